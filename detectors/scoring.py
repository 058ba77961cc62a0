"""The score of a point against what its lane remembers of each derived stream, and what it leaves behind there."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.evidence import in_units, weigh
from detectors.minifloat import load, store
from detectors.normalise import FRAME_AFTER
from detectors.novelty import (
    forget,
    is_uncommon,
    log_total,
    mean_weight,
    novelty,
    rarity_scale,
    remember,
    remembered,
)
from detectors.profiles import Profile
from detectors.streams import (
    MEAN_SEASONAL_DIFFERENCE,
    MEAN_WEEKLY_DIFFERENCE,
    SEASONAL_DIFFERENCE,
    STREAMS,
    WEEKLY_DIFFERENCE,
)

_KINDS = {SEASONAL_DIFFERENCE: 1, MEAN_SEASONAL_DIFFERENCE: 1, WEEKLY_DIFFERENCE: 2, MEAN_WEEKLY_DIFFERENCE: 2}


class Streams(NamedTuple):
    """Derived streams that are scored, as the kernel takes them."""

    places: NDArray[np.int64]  # (S,) index into STREAMS
    kinds: NDArray[
        np.int64
    ]  # (S,) which of the ages of a lane each has: its own, or its look-back's by a day or a week


def make_streams(profile: Profile) -> Streams:
    """The streams of a profile."""
    places = [STREAMS.index(name) for name in profile.streams]
    return Streams(np.array(places), np.array([_KINDS.get(place, 0) for place in places]))


class ScoreWork(NamedTuple):
    """Scratch for a point."""

    ages: NDArray[np.int64]  # (3,) values seen of ordinary, of seasonal and of weekly streams
    log_totals: NDArray[np.float64]  # (3,) log10(N + 1) of the values remembered of each
    scales: NDArray[np.float64]  # (3,) what turns rarities of each into novelties
    weights: NDArray[np.float64]  # (3,) of a value in the running means of each
    stored: NDArray[np.float32] | NDArray[np.int16]  # (streams,) values as the tails store them
    novelties: NDArray[np.float64]  # (streams,)


def make_score_work(streams: Streams, tails: NDArray[np.float32] | NDArray[np.int16]) -> ScoreWork:
    """Scratch for so many streams and such tails."""
    count = len(streams.places)
    return ScoreWork(
        np.empty(3, np.int64), np.empty(3), np.empty(3), np.empty(3), np.empty(count, tails.dtype), np.zeros(count)
    )


@compiled
def take_values(lane, tails, streams, derived, work):
    """Values that the lane has seen of streams of each kind, and those of the point as its tails store them."""
    work.ages[0], work.ages[1], work.ages[2] = lane.points, lane.seasonal_points, lane.weekly_points
    for s in range(len(streams.places)):
        work.stored[s] = store(tails, derived[streams.places[s]])


@compiled
def score_of(lane, tails, counts, means, plan, streams, derived, warm_up, work):
    """Score of a point against what its lane remembers; fills `work.novelties`. 0 while warming.

    A stream that has nothing to say of this point (NaN) is left out, and one that began later than the lane is as young
    as it is: it is not scored before a warm-up of its own. Called behind `take_values`.
    """
    novelties, ages = work.novelties, work.ages
    novelties[:] = 0.0
    points, size = lane.points, plan.tail_size
    if points < warm_up:
        return 0.0
    total = remembered(points - FRAME_AFTER, plan.generation)
    for kind in range(3):
        work.log_totals[kind] = log_total(min(ages[kind], total))
        work.scales[kind] = rarity_scale(ages[kind])
    power = 0.0
    for s in range(len(streams.places)):
        kind, base = streams.kinds[s], s * 4 * size
        if math.isnan(derived[streams.places[s]]) or ages[kind] < warm_up:
            continue
        stored = work.stored[s]
        if is_uncommon(stored, tails, counts, base, size, means[s]):
            value = novelty(stored, tails, counts, base, size, means[s], work.log_totals[kind], work.scales[kind])
            novelties[s] = value
            square = value * value
            fourth = square * square
            power += fourth * fourth
    return math.sqrt(math.sqrt(math.sqrt(power)))


@compiled
def take_evidence(lane, tails, counts, means, plan, streams, derived, level, work, evidence):
    """Fill in the evidence (streams,) of a point just scored, before it is remembered."""
    total = remembered(lane.points - FRAME_AFTER, plan.generation)
    for s in range(len(streams.places)):
        if work.novelties[s] > 0:
            stream = streams.places[s]
            weigh(
                evidence[s], work.stored[s], tails, counts, s * 4 * plan.tail_size, plan.tail_size,
                means[s], min(work.ages[streams.kinds[s]], total), in_units(lane, stream, derived[stream], level),
            )  # fmt: skip


@compiled
def remember_point(lane, tails, counts, means, plan, streams, derived, learned, work):
    """Take a point into what its lane remembers; one that is not to be learned only makes the lane older.

    Called behind `take_values`.
    """
    size, generation = plan.tail_size, plan.generation
    age = lane.points - FRAME_AFTER
    if age < 0:
        return
    current = (age // generation) & 1
    if learned:
        work.weights[0] = mean_weight(age)
        work.weights[1], work.weights[2] = mean_weight(work.ages[1]), mean_weight(work.ages[2])
        for s in range(len(streams.places)):
            if not math.isnan(derived[streams.places[s]]):
                stored = work.stored[s]
                means[s] += work.weights[streams.kinds[s]] * (np.float64(load(stored)) - means[s])
                remember(stored, tails, counts, s * 4 * size, size, current)
    if (age + 1) % generation == 0:
        for s in range(len(streams.places)):
            forget(counts, s * 4 * size, size, 1 - current)


@compiled
def from_day_before(derived):
    """Difference from one day before, of the newest points where their mean is kept, else of this one; NaN: unknown."""
    mean = derived[MEAN_SEASONAL_DIFFERENCE]
    return derived[SEASONAL_DIFFERENCE] if math.isnan(mean) else mean


@compiled
def count_seasons(lane, derived):
    """Count the differences from a day and a week ago that this point had."""
    if lane.points < FRAME_AFTER:
        return
    if not math.isnan(derived[SEASONAL_DIFFERENCE]):
        lane.seasonal_points += 1
    if not math.isnan(derived[WEEKLY_DIFFERENCE]):
        lane.weekly_points += 1
