"""What the alerts of a run were worth, event by event: windows found and missed, delays, false alarms.

A labelled window is detected once, by the first alert within it, both ends inclusive; further alerts within it are
repeats and count neither for nor against. An alert within no window is a false alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

US_PER_S = 1_000_000
S_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class LaneAlerts:
    """Alerts and labels of one lane, or of lanes that are labelled together, such as the fields of one key.

    Attributes:
        lane: its name.
        start_us, end_us: event time of its first and last point; windows that lie wholly outside are left out.
        alerts_us: (a,) int64, event time of each alert, in any order.
        windows: (w, 2) int64, first and last microsecond of each labelled window; empty for a lane without labels.
        lanes: how many lanes the alerts are of; a window is found by an alert of any of them.
    """

    lane: str
    start_us: int
    end_us: int
    alerts_us: NDArray[np.int64]
    windows: ArrayLike = ()
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class LaneOutcome:
    """What became of the windows and alerts of one lane, or of lanes that are labelled together.

    Attributes:
        lane: its name.
        days: time covered, in days, summed over the lanes.
        windows: (w, 2) int64, those within the time covered, by start.
        is_detected: (w,) bool.
        delay_s: (w,) float64, seconds from the start of each window to its first alert; NaN where it was missed.
        alerts: number of alerts.
        false_alarms: number of alerts within no window.
        lanes: number of lanes.
    """

    lane: str
    days: float
    windows: NDArray[np.int64]
    is_detected: NDArray[np.bool_]
    delay_s: NDArray[np.float64]
    alerts: int
    false_alarms: int
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Detection:
    """The outcomes of all lanes together; what has no cases to be measured on is None.

    Attributes:
        lanes: number of lanes, labelled or not.
        windows: number of labelled windows.
        detected: windows with an alert.
        alerts: number of alerts, repeats within a window included.
        false_alarms: alerts within no window.
        precision: detected / (detected + false alarms).
        recall: detected / windows.
        f1: harmonic mean of the two.
        mean_delay_s, median_delay_s: over detected windows, seconds from window start to first alert.
        false_alarms_per_lane_day: false alarms / days covered, summed over lanes.
    """

    lanes: int
    windows: int
    detected: int
    alerts: int
    false_alarms: int
    precision: float | None
    recall: float | None
    f1: float | None
    mean_delay_s: float | None
    median_delay_s: float | None
    false_alarms_per_lane_day: float | None


def judge(lane: LaneAlerts) -> LaneOutcome:
    """Which windows of `lane` its alerts found, how late, and which alerts were false.

    Raises:
        ValueError: a window, or the lane, that ends before it starts.
    """
    if lane.end_us < lane.start_us:
        raise ValueError(f"{lane.lane}: found points from {lane.start_us} to {lane.end_us} us; expected start <= end")
    windows = np.asarray(lane.windows, dtype=np.int64).reshape(-1, 2)
    if (windows[:, 1] < windows[:, 0]).any():
        start_us, end_us = windows[windows[:, 1] < windows[:, 0]][0]
        raise ValueError(f"{lane.lane}: found a window from {start_us} to {end_us} us; expected start <= end")
    windows = windows[(windows[:, 1] >= lane.start_us) & (windows[:, 0] <= lane.end_us)]
    windows = windows[np.argsort(windows[:, 0], kind="stable")]
    starts_us, ends_us = windows.T
    alerts_us = np.sort(lane.alerts_us)
    never_us = np.iinfo(np.int64).max
    first_us = np.append(alerts_us, never_us)[np.searchsorted(alerts_us, starts_us)]
    is_detected = first_us <= ends_us
    # As many windows have started as have ended: none is open at the alert.
    is_false = np.searchsorted(starts_us, alerts_us, side="right") == np.searchsorted(np.sort(ends_us), alerts_us)
    return LaneOutcome(
        lane=lane.lane,
        days=lane.lanes * (lane.end_us - lane.start_us) / US_PER_S / S_PER_DAY,
        windows=windows,
        is_detected=is_detected,
        delay_s=np.where(is_detected, (first_us - starts_us) / US_PER_S, np.nan),
        alerts=len(alerts_us),
        false_alarms=int(is_false.sum()),
        lanes=lane.lanes,
    )


def summarise(outcomes: Sequence[LaneOutcome]) -> Detection:
    """The outcomes of all lanes as one."""
    windows = sum(len(outcome.windows) for outcome in outcomes)
    detected = sum(int(outcome.is_detected.sum()) for outcome in outcomes)
    false_alarms = sum(outcome.false_alarms for outcome in outcomes)
    days = sum(outcome.days for outcome in outcomes)
    delay_s = np.concatenate([outcome.delay_s[outcome.is_detected] for outcome in outcomes] or [np.empty(0)])
    return Detection(
        lanes=sum(outcome.lanes for outcome in outcomes),
        windows=windows,
        detected=detected,
        alerts=sum(outcome.alerts for outcome in outcomes),
        false_alarms=false_alarms,
        precision=_ratio(detected, detected + false_alarms),
        recall=_ratio(detected, windows),
        f1=2 * detected / (detected + false_alarms + windows) if windows else None,
        mean_delay_s=float(np.mean(delay_s)) if detected else None,
        median_delay_s=float(np.median(delay_s)) if detected else None,
        false_alarms_per_lane_day=_ratio(false_alarms, days),
    )


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None
