"""The scoring kernel: walks the points of a micro-batch in order and updates each one's lane in place.

One point at a time and one order of summation make every result independent of how the stream was cut into batches, of
what other lanes do, and of how many processes share the work.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.episodes import CLOSED, NOTHING, is_learned, levels_of, threshold_of, track_episode
from detectors.evidence import in_units, weigh
from detectors.features import (
    INPUTS,
    MEAN_SEASONAL_DIFFERENCE,
    MEAN_WEEKLY_DIFFERENCE,
    SEASONAL_DIFFERENCE,
    WEEKLY_DIFFERENCE,
    observe,
)
from detectors.groups import groups_at, lay_out, make_groups
from detectors.layout import STREAMS
from detectors.lstm import SCORED_OUTPUTS, lstm_step, lstm_step_4, read_out
from detectors.minifloat import load, store
from detectors.normalise import FRAME_AFTER, scale_of
from detectors.novelty import forget, is_uncommon, mean_weight, novelty, rarity_scale, remember, remembered
from detectors.rebuilding import is_foreign, rebuild_hidden, rebuild_joint_hidden
from detectors.segments import smooth_segment

BLOCK = 4
"""Lanes that step through the LSTM together."""


class Weights(NamedTuple):
    """The network as the kernel walks it; see `detectors.lstm`."""

    input_layer: NDArray[np.float32]  # (INPUTS + H, 4H)
    upper_layers: NDArray[np.float32]  # (layers - 1, H + H, 4H)
    bias: NDArray[np.float32]  # (layers, 4H)
    head: NDArray[np.float32]  # (H + INPUTS, SCORED_OUTPUTS)
    head_bias: NDArray[np.float32]  # (SCORED_OUTPUTS,)
    band: NDArray[np.float64]  # Student-t quantile of the band at equal steps of 1 / degrees of freedom from 0 to 1
    mark: np.int64  # tells networks apart; never 0


class Work(NamedTuple):
    """Scratch of the kernel, for a block of rows of (h, c) that step together, and for their points."""

    h: NDArray[np.float32]  # (layers, BLOCK, H)
    c: NDArray[np.float32]  # (layers, BLOCK, H)
    gates: NDArray[np.float32]  # (BLOCK, 4H)
    out: NDArray[np.float32]  # (points, SCORED_OUTPUTS)
    inputs: NDArray[np.float32]  # (points, INPUTS)
    derived: NDArray[np.float64]  # (points, derived streams)
    ages: NDArray[np.int64]  # (3,) values seen of ordinary, of seasonal and of weekly streams
    log_totals: NDArray[np.float64]  # (3,) log10(N + 1) of the values remembered of each
    scales: NDArray[np.float64]  # (3,) what turns rarities of each into novelties
    novelties: NDArray[np.float64]  # (streams,)


class Verdicts(NamedTuple):
    """What the kernel says of each point (n,), and of each point with an episode event (m <= n)."""

    score: NDArray[np.float32]  # nan while warming
    threshold: NDArray[np.float32]
    expected: NDArray[np.float64]  # one-step forecast, in the units of the value; nan for none
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    surprise: NDArray[np.float32]  # one-step residual in units of its forecast scale; nan for none
    level: NDArray[np.float32]  # normalised value; nan where the detector has none
    segment: NDArray[np.float32]  # segment score; nan while warming
    points: NDArray[np.int32]  # points of the lane before this one
    gap: NDArray[np.bool_]
    log_scale: NDArray[np.float32]  # of the one-step forecast, in normalised units; nan for none and for constant lanes
    freedom: NDArray[np.float32]  # degrees of freedom of that forecast, a Student-t distribution; nan likewise
    flagged: NDArray[np.bool_]
    event: NDArray[np.int8]
    episode: NDArray[np.int64]  # position of the record that opened the point's episode; -1 for none
    event_point: NDArray[np.int64]  # (m,)
    event_opened_us: NDArray[np.int64]  # (m,) event time of the record that opened the episode
    event_peak: NDArray[np.float32]  # (m,) highest score of the episode so far
    event_points: NDArray[np.int32]  # (m,) flagged points of the episode so far
    event_novelty: NDArray[np.float32]  # (m, streams)
    event_evidence: NDArray[np.void]  # (m, streams) of EVIDENCE
    event_levels: NDArray[np.float64]  # (m, 2) level before the episode and now, in the units of the value
    event_window: NDArray[np.float64]  # (m, window), newest last, in the units of the value; nan before the first


@compiled
def _advance_block(hidden, rows, plan, weights, work, inputs):
    """One LSTM step for the rows of a block (1 to 4 distinct ones) of `hidden`, in place; `work.h` has the new h."""
    layers, size, count = plan.layers, plan.hidden, len(rows)
    h, c = work.h, work.c
    for i in range(count):
        for layer in range(layers):
            for j in range(size):
                h[layer, i, j] = load(hidden[rows[i], layer * size + j])
                c[layer, i, j] = load(hidden[rows[i], (layers + layer) * size + j])
    for layer in range(layers):
        x = inputs if layer == 0 else work.h[layer - 1]
        w = weights.input_layer if layer == 0 else weights.upper_layers[layer - 1]
        b = weights.bias[layer]
        if count == BLOCK:
            lstm_step_4(x, h[layer], c[layer], w, b, work.gates)
        else:
            for i in range(count):
                lstm_step(x[i], h[layer, i], c[layer, i], w, b, work.gates[i])
    for i in range(count):
        for layer in range(layers):
            for j in range(size):
                hidden[rows[i], layer * size + j] = store(hidden, h[layer, i, j])
                hidden[rows[i], (layers + layer) * size + j] = store(hidden, c[layer, i, j])


@compiled
def _keep_forecasts(lane, rings, plan, inputs, out):
    """Put the new forecasts where the points that answer them will look."""
    level = inputs[0]
    points = lane.points
    lane.location_1 = out[0] + level
    lane.log_scale_1 = min(max(out[4], np.float32(-9)), np.float32(4)) - np.float32(1)
    lane.freedom_1 = np.float32(math.log1p(math.exp(min(out[7], 30.0))) + 1.1)
    if plan.forecast_8 >= 0:
        rings[plan.forecast_8 + points % 8] = store(rings, out[1] + level)
    if plan.forecast_32 >= 0 and points % plan.stride_32 == 0:
        i = (points // plan.stride_32) % (32 // plan.stride_32)
        rings[plan.forecast_32 + i] = store(rings, out[2] + level)
        if plan.log_scale_32 >= 0:
            scale = min(max(out[5], np.float32(-9)), np.float32(4)) - np.float32(1)
            rings[plan.log_scale_32 + i] = store(rings, scale)
    if plan.forecast_96 >= 0 and points % plan.stride_96 == 0:
        i = (points // plan.stride_96) % (96 // plan.stride_96)
        rings[plan.forecast_96 + i] = store(rings, out[3] + level)
        if plan.log_scale_96 >= 0:
            scale = min(max(out[6], np.float32(-9)), np.float32(4)) - np.float32(1)
            rings[plan.log_scale_96 + i] = store(rings, scale)


@compiled
def _forecast(lane, band):
    """(expected, lower, upper) of the lane's next value, in its units."""
    scale = scale_of(lane)
    place = min(max(1.0 / np.float64(lane.freedom_1), 0.0), 1.0) * (len(band) - 1)
    i = min(int(place), len(band) - 2)
    reach = (band[i] + (band[i + 1] - band[i]) * (place - i)) * math.exp(np.float64(lane.log_scale_1))
    location = min(max(np.float64(lane.location_1), -50.0), 50.0)
    return (
        lane.mean + scale * math.sinh(location),
        lane.mean + scale * math.sinh(max(location - reach, -50.0)),
        lane.mean + scale * math.sinh(min(location + reach, 50.0)),
    )


@compiled
def _kind_of(stream):
    """Which of the ages of a lane a stream has: that of the lane, or of its look-back by a day or a week."""
    if stream in (SEASONAL_DIFFERENCE, MEAN_SEASONAL_DIFFERENCE):
        return 1
    return 2 if stream in (WEEKLY_DIFFERENCE, MEAN_WEEKLY_DIFFERENCE) else 0


@compiled
def _take_ages(lane, ages):
    """Values that the lane has seen of streams of each kind; `ages` is filled."""
    ages[0], ages[1], ages[2] = lane.points, lane.seasonal_points, lane.weekly_points


@compiled
def _score(lane, tails, counts, means, plan, streams, derived, warm_up, work):
    """Score of a point against what its lane remembers; fills `work.novelties`. 0 while warming.

    A stream that has nothing to say of this point (NaN) is left out, and one that began later than the lane is as young
    as it is: it is not scored before a warm-up of its own.
    """
    novelties, ages = work.novelties, work.ages
    novelties[:] = 0.0
    points, size = lane.points, plan.tail_size
    if points < warm_up:
        return 0.0
    total = remembered(points - FRAME_AFTER, plan.generation)
    for kind in range(3):
        work.log_totals[kind] = math.log10(min(ages[kind], total) + 1.0)
        work.scales[kind] = rarity_scale(ages[kind])
    power = 0.0
    for s in range(len(streams)):
        stream, base = streams[s], s * 4 * size
        kind = _kind_of(stream)
        if math.isnan(derived[stream]) or ages[kind] < warm_up:
            continue
        stored = store(tails, derived[stream])
        if is_uncommon(stored, tails, counts, base, size, means[s]):
            value = novelty(stored, tails, counts, base, size, means[s], work.log_totals[kind], work.scales[kind])
            novelties[s] = value
            square = value * value
            fourth = square * square
            power += fourth * fourth
    return math.sqrt(math.sqrt(math.sqrt(power)))


@compiled
def _take_evidence(lane, tails, counts, means, plan, streams, derived, level, work, evidence):
    """Fill in the evidence (streams,) of a point just scored, before it is remembered."""
    total = remembered(lane.points - FRAME_AFTER, plan.generation)
    for s in range(len(streams)):
        if work.novelties[s] > 0:
            stream = streams[s]
            weigh(
                evidence[s], store(tails, derived[stream]), tails, counts, s * 4 * plan.tail_size, plan.tail_size,
                means[s], min(work.ages[_kind_of(stream)], total), in_units(lane, stream, derived[stream], level),
            )  # fmt: skip


@compiled
def _remember(lane, tails, counts, means, plan, streams, derived, learned, ages):
    """Take a point into what its lane remembers; one that is not to be learned only makes the lane older."""
    size, generation = plan.tail_size, plan.generation
    age = lane.points - FRAME_AFTER
    if age < 0:
        return
    current = (age // generation) & 1
    ends = (age + 1) % generation == 0
    for s in range(len(streams)):
        stream, base = streams[s], s * 4 * size
        if learned and not math.isnan(derived[stream]):
            kind = _kind_of(stream)
            stored = store(tails, derived[stream])
            weight = mean_weight(ages[kind] if kind > 0 else age)
            means[s] += weight * (np.float64(load(stored)) - means[s])
            remember(stored, tails, counts, base, size, current)
        if ends:
            forget(counts, base, size, 1 - current)


@compiled
def _from_day_before(derived):
    """Difference from one day before, of the newest points where their mean is kept, else of this one; NaN: unknown."""
    mean = derived[MEAN_SEASONAL_DIFFERENCE]
    return derived[SEASONAL_DIFFERENCE] if math.isnan(mean) else mean


@compiled
def _count_seasons(lane, derived):
    """Count the differences from a day and a week ago that this point had."""
    if lane.points < FRAME_AFTER:
        return
    if not math.isnan(derived[SEASONAL_DIFFERENCE]):
        lane.seasonal_points += 1
    if not math.isnan(derived[WEEKLY_DIFFERENCE]):
        lane.weekly_points += 1


@compiled
def copy_window(lane, window, out):
    """Write the window in the units of the value, newest last; called before the newest point is counted."""
    size = len(window)
    scale = np.float64(lane.frame_scale) if lane.frame_scale > 0 else 1.0
    for back in range(size):
        have = back <= lane.points
        stored = np.float64(load(window[(lane.points - back) % size]))
        out[size - 1 - back] = lane.frame_mean + scale * stored if have else np.nan


@compiled
def _receive(lane, rings, window, plan, band, value, time_us, derived, inputs):
    """Compare a point with its pending forecast, then take it into its lane's front end.

    Returns:
        Whether it came after a gap; the expected value and its band; the surprise. The last four are NaN without
        forecast.
    """
    expected = lower = upper = surprise = np.nan
    if lane.run > 0:
        expected, lower, upper = _forecast(lane, band)
    location, log_scale = np.float64(lane.location_1), np.float64(lane.log_scale_1)
    gap = observe(lane, rings, window, plan, value, time_us, derived, inputs)
    if gap:
        expected = lower = upper = np.nan
    elif not math.isnan(expected):
        surprise = (np.float64(inputs[0]) - location) * math.exp(-log_scale)
    return gap, expected, lower, upper, surprise


@compiled
def _spread(lane):
    """(log scale, degrees of freedom) of the pending one-step forecast; NaN where its lane has been constant so far.

    What a constant lane makes of a forecast is the rounding of numbers, and no measure of it.
    """
    if lane.run == 0 or lane.variance == 0:
        return np.float32(np.nan), np.float32(np.nan)
    return lane.log_scale_1, lane.freedom_1


@compiled
def _block_at(rows, start):
    """End of the run of at most `BLOCK` distinct rows that begins at `start`."""
    end = start + 1
    while end < min(start + BLOCK, len(rows)):
        for i in range(start, end):
            if rows[i] == rows[end]:
                return end
        end += 1
    return end


@compiled
def _advance_rows(hidden, rows, plan, weights, work):
    """One LSTM step and read-out for the lanes of a block, in place."""
    _advance_block(hidden, rows, plan, weights, work, work.inputs)
    for i in range(len(rows)):
        read_out(work.inputs[i], work.h[plan.layers - 1, i], weights.head, weights.head_bias, work.out[i])


@compiled
def _advance_groups(hidden, groups, joint, rows, start, plan, weights, work):
    """One LSTM step for the keys of a block of groups, and the read-out for each of their points, in place."""
    _advance_block(hidden, groups.keys[: groups.number[0]], plan, weights, work, groups.inputs)
    for g in range(groups.number[0]):
        for n in range(groups.bounds[g], groups.bounds[g + 1]):
            place = joint.places[rows[n] % joint.width]
            h = work.h[plan.layers - 1, g]
            read_out(groups.inputs[g], h, joint.head[place], joint.head_bias[place], work.out[n - start])


@compiled
def walk(
    lanes, hidden, plan, streams, segment, weights, joint, decision, rows, time_us, values, positions, records, verdicts
):  # fmt: skip
    """Score points in order; returns how many episode events there were.

    Up to four neighbouring points of different lanes go through the LSTM together, which changes no bit of any; with a
    joint network up to four groups of points of different keys, see `detectors.groups`.

    Args:
        lanes: arrays of the slab, updated in place.
        hidden: (h, c) of each lane, as in `lanes`; with a joint network a view of it by key, (keys, 2 * layers * H).
        streams: (S,) derived streams that the profile scores.
        segment: streams of the segment score and their groups.
        joint: what a joint network has besides; None for a shared one, for which what concerns it is not compiled.
        rows: (n,) row of each point's lane.
        time_us: (n,) event time, rising within a lane.
        values: (n,) finite values.
        positions: (n,) position of each point's record.
        records: (n,) what tells the records apart that released the points; looked at for a joint network alone.
        verdicts: filled.
    """
    layers, size = plan.layers, plan.hidden
    block = BLOCK
    if joint is not None:
        block = BLOCK * len(joint.places)
        groups = make_groups(len(joint.places), BLOCK)
    work = Work(
        np.empty((layers, BLOCK, size), np.float32),
        np.empty((layers, BLOCK, size), np.float32),
        np.empty((BLOCK, 4 * size), np.float32),
        np.empty((block, SCORED_OUTPUTS), np.float32),
        np.empty((block, INPUTS), np.float32),
        np.empty((block, len(STREAMS))),
        np.empty(3, np.int64),
        np.empty(3),
        np.empty(3),
        np.zeros(len(streams)),
    )
    events = start = 0
    while start < len(rows):
        if joint is None:
            end = _block_at(rows, start)
            for row in rows[start:end]:
                if lanes.scalars[row].network != weights.mark:
                    rebuild_hidden(lanes.scalars[row], hidden[row], lanes.window[row], plan, weights, work)
        else:
            end = groups_at(rows, time_us, records, joint, start, groups)
            for g in range(groups.number[0]):
                key = groups.keys[g]
                first, last = key * joint.width, (key + 1) * joint.width
                if is_foreign(lanes.scalars[first:last], weights.mark):
                    rebuild_joint_hidden(
                        lanes.scalars[first:last], hidden[key], lanes.window[first:last], joint.places, plan, weights,
                        work, groups.inputs[0],
                    )  # fmt: skip
        for n in range(start, end):
            row, i = rows[n], n - start
            lane = lanes.scalars[row]
            verdicts.points[n] = lane.points
            verdicts.log_scale[n], verdicts.freedom[n] = _spread(lane)
            (
                verdicts.gap[n], verdicts.expected[n], verdicts.lower[n], verdicts.upper[n], verdicts.surprise[n],
            ) = _receive(
                lane, lanes.rings[row], lanes.window[row], plan, weights.band, values[n], time_us[n], work.derived[i],
                work.inputs[i],
            )  # fmt: skip
            verdicts.level[n] = work.inputs[i, 0]
        if joint is None:
            _advance_rows(hidden, rows[start:end], plan, weights, work)
        else:
            lay_out(rows, start, joint, work.inputs, groups)
            _advance_groups(hidden, groups, joint, rows, start, plan, weights, work)
        for n in range(start, end):
            row, i = rows[n], n - start
            lane, window = lanes.scalars[row], lanes.window[row]
            _keep_forecasts(lane, lanes.rings[row], plan, work.inputs[i], work.out[i])
            _take_ages(lane, work.ages)
            score = _score(
                lane, lanes.tails[row], lanes.tail_counts[row], lanes.tail_means[row], plan, streams, work.derived[i],
                decision.warm_up, work,
            )  # fmt: skip
            energy = smooth_segment(
                lanes.segment_moments[row], lanes.segment_energy[row], segment, work.derived[i], work.ages
            )
            verdicts.segment[n] = energy if lane.points >= decision.warm_up else np.nan
            threshold = threshold_of(decision, lane.points, lane.interval_us)
            flagged_before = lane.episode_points
            flagged, event, episode = False, NOTHING, np.int64(-1)
            if lane.points >= decision.warm_up:
                flagged, event = track_episode(
                    lane, window, decision, score, threshold, positions[n], _from_day_before(work.derived[i])
                )
                if lane.episode_points > 0 or event >= CLOSED:
                    episode = lane.episode_position
            else:
                score = np.nan
            if event != NOTHING:
                _take_evidence(
                    lane, lanes.tails[row], lanes.tail_counts[row], lanes.tail_means[row], plan, streams,
                    work.derived[i], np.float64(work.inputs[i, 0]), work, verdicts.event_evidence[events],
                )  # fmt: skip
            _remember(
                lane, lanes.tails[row], lanes.tail_counts[row], lanes.tail_means[row], plan, streams, work.derived[i],
                is_learned(lane, decision, threshold, flagged, work.inputs[i, 0]), work.ages,
            )  # fmt: skip
            _count_seasons(lane, work.derived[i])
            verdicts.score[n], verdicts.threshold[n] = score, threshold
            verdicts.flagged[n], verdicts.event[n], verdicts.episode[n] = flagged, event, episode
            if event != NOTHING:
                verdicts.event_point[events] = n
                verdicts.event_opened_us[events] = lane.episode_us
                verdicts.event_peak[events] = lane.peak_score
                verdicts.event_points[events] = max(flagged_before, lane.episode_points)
                verdicts.event_novelty[events] = work.novelties
                verdicts.event_levels[events] = levels_of(lane, window, decision)
                copy_window(lane, window, verdicts.event_window[events])
                events += 1
            lane.points += 1
        start = end
    return events
