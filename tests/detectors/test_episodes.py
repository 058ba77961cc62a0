"""Episodes driven by hand: a score for each point, and the level it lies at."""

from typing import NamedTuple

import numpy as np

from detectors.episodes import CLOSED, CLOSED_AS_LEVEL_SHIFT, NOTHING, OPENED, WORSENED, track_episode
from detectors.layout import allocate, lane_dtype
from detectors.lookback import DAY_US
from detectors.profiles import PROFILES
from detectors.thresholds import fixed_decision

THRESHOLD = 2.0
REST, QUIET = 20, 5


class _Run(NamedTuple):
    """What each point did."""

    flagged: list[bool]
    events: list[int]
    points: list[int]
    peaks: list[float]

    def happened(self) -> dict[int, int]:
        """Event by the point that caused it."""
        return {n: event for n, event in enumerate(self.events) if event != NOTHING}


def _run(
    scores: list[float],
    levels: list[float] | None = None,
    *,
    from_day_before: float = np.nan,
    step_us: int = 1000,
    **rules: float,
) -> _Run:
    decision = fixed_decision(THRESHOLD, rest=REST, quiet=QUIET, **rules)
    slab = allocate(lane_dtype(PROFILES["balanced"], 1, 1), 1)
    lane, window = slab["scalars"][0], slab["window"][0]
    run = _Run([], [], [], [])
    for n, score in enumerate(scores):
        window[lane["points"] % len(window)] = (levels or [0.0, 0.1] * len(scores))[n]
        lane["last_time_us"] = step_us * n
        flagged, event = track_episode(lane, window, decision, score, THRESHOLD, 100 + n, from_day_before)
        lane["points"] += 1
        run.flagged.append(bool(flagged))
        run.events.append(int(event))
        run.points.append(int(lane["episode_points"]))
        run.peaks.append(float(lane["peak_score"]))
        if event == OPENED:
            assert (lane["episode_position"], lane["episode_us"]) == (100 + n, step_us * n)
    return run


def test_a_score_at_the_threshold_opens_an_episode_that_closes_after_quiet_points() -> None:
    """A score equal to the threshold is an alert; the episode closes at the last of so many points without a flag."""
    run = _run([0.0, 1.99, 2.0, *[0.0] * 10])
    assert run.happened() == {2: OPENED, 2 + QUIET: CLOSED}
    assert [n for n, flagged in enumerate(run.flagged) if flagged] == [2]


def test_within_an_episode_only_a_clearly_worse_score_is_an_event() -> None:
    """Inside an episode points above the threshold are flagged, and only one clearly above the alert worsens it."""
    run = _run([0.0, 2.0, 2.1, 2.2, 2.4, 2.6, 2.9, *[0.0] * QUIET])
    assert run.happened() == {1: OPENED, 4: WORSENED, 6: WORSENED, 6 + QUIET: CLOSED}
    assert run.flagged[1:7] == [True] * 6
    assert run.points[1:7] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(run.peaks[1:], [2.0, 2.1, 2.2, 2.4, 2.6, *[2.9] * 6], rtol=1e-6)


def test_points_below_the_threshold_within_an_episode_are_not_flagged_and_keep_it_open() -> None:
    """Fewer quiet points than it takes to close leave the episode open, and the count starts anew at the next flag."""
    run = _run([2.0, *[0.0] * (QUIET - 1), 2.1, *[0.0] * QUIET])
    assert run.happened() == {0: OPENED, 2 * QUIET: CLOSED}
    assert run.flagged == [True, *[False] * (QUIET - 1), True, *[False] * QUIET]


def test_after_an_alert_the_lane_rests() -> None:
    """A new episode needs rest since the last alert; within it, only a clearly worse score opens one."""
    quiet = [0.0] * QUIET
    rest = [0.0] * (REST - QUIET - 1)
    assert _run([2.0, *quiet, 2.1, 0.0]).happened() == {0: OPENED, QUIET: CLOSED}
    assert _run([2.0, *quiet, 2.6, 0.0]).happened() == {0: OPENED, QUIET: CLOSED, QUIET + 1: OPENED}
    assert _run([2.0, *quiet, *rest, 2.1])[1][-1] == NOTHING
    assert _run([2.0, *quiet, *rest, 0.0, 2.1])[1][-1] == OPENED


def test_a_lane_that_never_alerted_needs_no_rest() -> None:
    """The very first alert is not kept back."""
    assert _run([2.0]).happened() == {0: OPENED}


def test_a_lasting_new_level_is_told_as_a_level_shift() -> None:
    """An episode behind which the lane lies steadily elsewhere closes as a level shift; another does not."""
    noise = (0.1 * np.random.default_rng(7).normal(size=140)).tolist()
    scores = [0.0] * 80 + [3.0] + [0.0] * 59
    shifted = [value + 2.0 * (n >= 80) for n, value in enumerate(noise)]
    spike = [value + 50.0 * (n == 80) for n, value in enumerate(noise)]
    assert _run(scores, shifted).happened() == {80: OPENED, 80 + QUIET: CLOSED_AS_LEVEL_SHIFT}
    assert _run(scores, spike).happened() == {80: OPENED, 80 + QUIET: CLOSED}
    assert _run(scores, noise).happened() == {80: OPENED, 80 + QUIET: CLOSED}


def test_a_level_that_the_day_before_had_is_no_level_shift() -> None:
    """It must differ from that of one day before as well, if the episode has not gone on for so long."""
    levels = [0.01 * (n % 2) + (n >= 80) for n in range(140)]
    scores = [0.0] * 80 + [3.0] + [0.0] * 59

    def closed_as(from_day_before: float, step_us: int = 1000) -> int:
        return _run(scores, levels, from_day_before=from_day_before, step_us=step_us).happened()[80 + QUIET]

    assert closed_as(np.nan) == closed_as(1.0) == closed_as(-1.0) == CLOSED_AS_LEVEL_SHIFT
    assert closed_as(0.0) == CLOSED
    assert closed_as(0.0, DAY_US // QUIET) == CLOSED_AS_LEVEL_SHIFT


def test_the_last_flagged_point_is_no_part_of_the_new_level() -> None:
    """The level behind an episode is that of the quiet points alone, so that its last point cannot hide a shift."""
    levels = [0.01 * (n % 2) for n in range(140)]
    levels[80:] = [1.0 + value for value in levels[80:]]
    levels[80] = -20.0
    assert _run([0.0] * 80 + [3.0] + [0.0] * 59, levels).happened()[80 + QUIET] == CLOSED_AS_LEVEL_SHIFT


def test_a_quiet_time_longer_than_the_window_is_harmless() -> None:
    """More quiet points than the window holds close the episode all the same, on what the window holds."""
    decision = fixed_decision(THRESHOLD, rest=REST, quiet=500)
    slab = allocate(lane_dtype(PROFILES["balanced"], 1, 1), 1)
    lane, window = slab["scalars"][0], slab["window"][0]
    events = []
    for n in range(601):
        window[n % len(window)] = 5.0 if n >= 100 else 0.0
        events.append(track_episode(lane, window, decision, 3.0 if n == 100 else 0.0, THRESHOLD, n, np.nan)[1])
        lane["points"] += 1
    assert [n for n, event in enumerate(events) if event] == [100, 600]
    assert events[600] == CLOSED_AS_LEVEL_SHIFT
