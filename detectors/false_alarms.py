"""Episodes that open under many decision rules, from little more than one walk over the points.

What a lane learns depends on the threshold only where a score is clearly above it (`Decision.clear`). So points are
walked once with no threshold at all; a lane whose scores all stay below a rule's thresholds and `clear` has these very
scores under that rule, and only its episodes are followed anew. The other lanes are walked again.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.detector import Detector
from detectors.episodes import OPENED, Decision, threshold_of, track_episode
from detectors.kernel import Verdicts
from detectors.layout import SCALARS, allocate
from detectors.network import Network
from detectors.profiles import Profile

_NEVER = 1e9
"""A threshold that no score reaches."""


class Points(NamedTuple):
    """Points of lanes (n,), in the order in which they are walked."""

    lane: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]


class Opened(NamedTuple):
    """How old lanes were, in points.

    Attributes:
        ages: under each rule, when an episode opened.
        points: (n,) at each point.
    """

    ages: list[NDArray[np.int32]]
    points: NDArray[np.int32]


def open_episodes(
    network: Network, profile: Profile, decisions: Sequence[Decision], lanes: int, points: Points
) -> Opened:
    """What opens under each rule in lanes that have seen nothing before these points.

    Args:
        network: the forecaster, one that lanes share.
        profile: what a lane remembers.
        decisions: rules with the thresholds of one rate, and one warm-up between them.
        lanes: how many there are.
        points: of all lanes.

    Raises:
        ValueError: a rule whose thresholds follow from the sampling interval, or rules of several warm-ups.
    """
    if len({one.warm_up for one in decisions}) != 1 or any(len(one.log_rates) != 1 for one in decisions):
        raise ValueError(
            "found rules of several warm-ups or rates; expected one warm-up and thresholds of one rate each"
        )
    never = decisions[0]._replace(thresholds=np.full_like(decisions[0].thresholds, _NEVER))
    unmoved = _walk(network, profile, never, lanes, points)
    highest = np.full(lanes, -np.inf)
    np.fmax.at(highest, points.lane, unmoved.score)
    ages = []
    for decision in decisions:
        moved = highest >= decision.thresholds.min() + decision.clear
        apart = moved[points.lane]
        again = _walk(
            network, profile, decision, lanes,
            Points(points.lane[apart], points.time_us[apart], points.value[apart]),
        )  # fmt: skip
        kept = ~apart
        events = np.zeros(np.count_nonzero(kept), np.int8)
        window = np.zeros(profile.window)
        kept_points = unmoved.points[kept]
        _follow(np.zeros(lanes, SCALARS), window, decision, points.lane[kept], kept_points, unmoved.score[kept], events)
        ages.append(np.concatenate([again.points[again.event == OPENED], kept_points[events == OPENED]]))
    return Opened(ages, unmoved.points)


def _walk(network: Network, profile: Profile, decision: Decision, lanes: int, points: Points) -> Verdicts:
    detector = Detector(network, profile, decision)
    return detector.score(allocate(detector.lane_dtype, lanes), *points, np.arange(len(points.lane)))


@compiled
def _follow(
    scalars: NDArray[Any],
    window: NDArray[np.float64],
    decision: Decision,
    rows: NDArray[np.int64],
    points: NDArray[np.int32],
    scores: NDArray[np.float32],
    events: NDArray[np.int8],
) -> None:
    """Fill in what points with these scores do to the episodes of their lanes."""
    for n in range(len(rows)):
        if not math.isnan(scores[n]):  # of a lane that is not warming any more
            threshold = threshold_of(decision, points[n], np.float32(0))
            _, events[n] = track_episode(
                scalars[rows[n]], window, decision, np.float64(scores[n]), threshold, np.int64(n), np.nan
            )
