"""Profiles: what a lane remembers and how exactly, as users choose it."""

from dataclasses import dataclass

from detectors.streams import CHANGE_LAGS, SEGMENT_GROUPS, STREAMS, StreamName

RING_LENGTHS = {
    "forecast_8": 8,
    "mean_residual_8": 10,
    "mean_residual_32": 20,
    "mean_residual_96": 40,
    "mean_surprise_1": 10,
    "mean_surprise_32": 20,
    "mean_surprise_96": 40,
    "mean_seasonal_difference": 20,
    "mean_weekly_difference": 40,
}
"""Length of each moving-mean ring in points, and of the ring of pending 8-step forecasts."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a lane remembers and how exactly; with the network and the windows it decides the bytes per lane.

    Attributes:
        name: as users select it.
        streams: derived streams whose novelty is scored.
        segment_streams: derived streams whose energy the segment score smooths; see `detectors.segments`.
        tail_size: distinct extreme values kept on each side, in each of two generations, for each stream.
        generation: points after which a stream's older generation is forgotten.
        day_slots: slots of the day for the look-back of one day.
        week_slots: slots of the week; 0 for none.
        stride_32: every how many points a 32-step forecast is kept.
        stride_96: every how many points a 96-step forecast is kept.
        window: points of the lane kept as they are.
        compact_rings: rings in 16 bits.
        compact_tails: tails in 16 bits.
        compact_hidden: what the network carries in 16 bits, rounded after each step.

    Raises:
        ValueError: streams that are none, a window too short for what looks back in it, or strides that do not divide.
    """

    name: str
    streams: tuple[StreamName, ...] = (
        "value", "increment", "change_5", "change_20",
        "residual_1", "residual_8", "residual_32", "residual_96",
        "mean_residual_32", "mean_residual_96", "mean_surprise_1", "mean_surprise_32", "mean_surprise_96",
        "spread_40", "mean_10", "mean_40",
        "seasonal_difference", "mean_seasonal_difference", "mean_weekly_difference",
    )  # fmt: skip
    segment_streams: tuple[StreamName, ...] = (
        "value", "mean_10", "mean_40", "seasonal_difference", "mean_seasonal_difference",
        "spread_10", "spread_40",
        "increment", "residual_1", "residual_8", "mean_residual_8", "mean_surprise_1",
    )  # fmt: skip
    tail_size: int = 4
    generation: int = 4000
    day_slots: int = 96
    week_slots: int = 168
    stride_32: int = 1
    stride_96: int = 1
    window: int = 64
    compact_rings: bool = True
    compact_tails: bool = True
    compact_hidden: bool = False

    def __post_init__(self) -> None:
        for streams, known in ((self.streams, STREAMS), (self.segment_streams, tuple(SEGMENT_GROUPS))):
            if set(streams) - set(known) or not streams:
                raise ValueError(f"found streams {streams}; expected some of {known}")
        longest = max((lag for name, lag in CHANGE_LAGS.items() if name in self.streams), default=0)
        if self.window <= longest:
            raise ValueError(f"found a window of {self.window} points; expected more than the {longest} of a change")
        if self.window < max(RING_LENGTHS.values()):
            raise ValueError(f"found a window of {self.window} points; expected at least {max(RING_LENGTHS.values())}")
        if 32 % self.stride_32 or 96 % self.stride_96:
            raise ValueError(
                f"found forecast strides {self.stride_32} and {self.stride_96}; expected divisors of 32 and of 96"
            )


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("accurate", day_slots=288, week_slots=336, compact_rings=False, compact_tails=False),
        Profile("balanced"),
        Profile(
            "dense",
            streams=(
                "value", "increment", "change_5", "change_20", "residual_1", "residual_32",
                "residual_96", "mean_residual_96", "spread_40", "mean_10", "mean_40", "seasonal_difference",
            ),
            segment_streams=(
                "value", "mean_10", "mean_40", "seasonal_difference",
                "spread_10", "spread_40",
                "increment", "residual_1",
            ),
            tail_size=2,
            day_slots=48,
            week_slots=0,
            stride_32=2,
            stride_96=4,
            window=40,
            compact_hidden=True,
        ),
    )
}  # fmt: skip
"""The profiles users choose from by name."""
