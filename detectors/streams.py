"""The derived streams of a lane: their names, their order in arrays, and what the segment score can use of them."""

from typing import Literal, get_args

StreamName = Literal[
    "value", "increment",
    "residual_1", "residual_8", "residual_32", "residual_96",
    "mean_residual_8", "mean_residual_32", "mean_residual_96",
    "mean_surprise_1", "mean_surprise_32", "mean_surprise_96",
    "spread_10", "spread_40", "mean_10", "mean_40",
    "seasonal_difference", "mean_seasonal_difference",
    "change_5", "change_20",
    "weekly_difference", "mean_weekly_difference",
]  # fmt: skip
STREAMS: tuple[StreamName, ...] = get_args(StreamName)
"""In the order of the columns of arrays that have one for each."""

(
    VALUE, INCREMENT,
    RESIDUAL_1, RESIDUAL_8, RESIDUAL_32, RESIDUAL_96,
    MEAN_RESIDUAL_8, MEAN_RESIDUAL_32, MEAN_RESIDUAL_96,
    MEAN_SURPRISE_1, MEAN_SURPRISE_32, MEAN_SURPRISE_96,
    SPREAD_10, SPREAD_40, MEAN_10, MEAN_40,
    SEASONAL_DIFFERENCE, MEAN_SEASONAL_DIFFERENCE,
    CHANGE_5, CHANGE_20,
    WEEKLY_DIFFERENCE, MEAN_WEEKLY_DIFFERENCE,
) = range(len(STREAMS))  # fmt: skip
"""Place of each in `STREAMS`, for compiled code."""

CHANGE_LAGS: dict[StreamName, int] = {"change_5": 5, "change_20": 20}
"""Points that a change is over."""

_LEVEL, _VOLATILITY, _INNOVATION = range(3)
SEGMENT_GROUPS: dict[StreamName, int] = {
    "value": _LEVEL, "mean_10": _LEVEL, "mean_40": _LEVEL,
    "seasonal_difference": _LEVEL, "mean_seasonal_difference": _LEVEL,
    "spread_10": _VOLATILITY, "spread_40": _VOLATILITY,
    "increment": _INNOVATION, "residual_1": _INNOVATION, "residual_8": _INNOVATION,
    "mean_residual_8": _INNOVATION, "mean_surprise_1": _INNOVATION,
}  # fmt: skip
"""Group of each stream that the segment score can use."""
