"""What `driftline check` tells of a risk that streams cannot have."""

from typing import Any

import pytest

from detectors.thresholds import ThresholdTable
from pipeline.cli.check_risk import within_reach
from pipeline.config import Config

TABLE = ThresholdTable((150, 500), (-5.0, -3.0, -2.0), ((3.0, 2.0, 1.9), (2.4, 1.7, 1.7)))
"""From 0.01 to 1 per 1,000 points."""


def _told(windows: dict[str, Any] | None = None, **risk: float) -> list[tuple[str, str]]:
    return list(within_reach(Config.model_validate({"detector": risk, "windows": windows or {}}), TABLE))


def test_a_risk_that_no_threshold_gives_is_warned_of() -> None:
    """Beyond the most that can be had, that is told; below it nothing is."""
    assert _told(risk=1.0) == []
    assert _told(risk=3.0) == [("warning", "risk: found 3; expected at most 1 per 1,000 points, which is what you get")]


def test_the_sparsest_stream_that_can_have_a_risk_per_day_is_told() -> None:
    """0.1 a day at 1 per 1,000 points takes 100 points a day."""
    (level, text) = _told(risk_per_day=0.1)[0]
    assert level == "info"
    assert text.startswith("a stream has 0.1 per day if its points are at most 14 min 24 s apart; a sparser one has ")


@pytest.mark.parametrize(
    ("hop", "part"),
    [
        ("1h", "with a point every 1 h; expected one every 8 s to 14 min 24 s: a stream has at most 1"),
        ("5s", "with a point every 5 s; expected one every 8 s to 14 min 24 s: a stream has at least 0.01"),
        ("5min", None),
    ],
)
def test_windows_of_time_without_the_points_for_a_risk_are_warned_of(hop: str, part: str | None) -> None:
    """Their hop is the interval, so that it is known whether a day has enough points, or too many."""
    told = _told({"kind": "time", "size": "1h", "hop": hop}, risk_per_day=0.1)
    assert [level for level, _ in told] == ["warning"] * (part is not None)
    assert all(part in text for _, text in told if part)
