"""What users choose of a window, and the fields that the choice adds to a lane's row."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from pipeline.windows.points import TIME_END_US

Aggregate = Literal["last", "mean", "sum", "min", "max", "count"]

MAX_OPEN_PANES = 128
"""Every open pane takes room in every lane, so their number is bounded."""

_EXTRA_PANE_FIELDS: dict[Aggregate, tuple[tuple[str, str], ...]] = {
    "last": (("win_time_us", "i8"),),
    "mean": (("win_carry", "f8"), ("win_points", "i8")),
    "sum": (("win_carry", "f8"),),
    "min": (),
    "max": (),
    "count": (),
}


@dataclass(frozen=True, slots=True)
class CountWindows:
    """The last `size` accepted points of a lane, closed every `hop` points.

    Raises:
        ValueError: unless size >= hop >= 1.
    """

    size: int = 64
    hop: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.hop <= self.size:
            raise ValueError(f"found a window of {self.size} points with hop {self.hop}; expected size >= hop >= 1")


@dataclass(frozen=True, slots=True)
class TimeWindows:
    """`size_us` of event time, advancing by panes of `hop_us` that are aligned to 1970-01-01 UTC.

    Attributes:
        size_us: length of the window, a multiple of `hop_us`.
        hop_us: length of a pane; each closed pane is one step.
        allowed_lateness_us: how far the watermark stays behind the newest event time of the partition.
        aggregate: what a pane's points become.
        silence_panes: for sum and count, how many empty panes after a lane's last point are steps of value 0.

    Raises:
        ValueError: a length out of range, a size that is no multiple of the hop, or too many open panes.
    """

    size_us: int
    hop_us: int
    allowed_lateness_us: int = 0
    aggregate: Aggregate = "last"
    silence_panes: int = 96

    def __post_init__(self) -> None:
        if not 1 <= self.hop_us <= self.size_us <= TIME_END_US:
            raise ValueError(
                f"found a window of {self.size_us} us with hop {self.hop_us} us, "
                f"expected {TIME_END_US} >= size >= hop >= 1"
            )
        if self.size_us % self.hop_us:
            raise ValueError(
                f"found a window of {self.size_us} us with hop {self.hop_us} us; expected a multiple of the hop"
            )
        if not 0 <= self.allowed_lateness_us <= TIME_END_US:
            raise ValueError(
                f"found an allowed lateness of {self.allowed_lateness_us} us; expected 0 to {TIME_END_US} us"
            )
        if self.aggregate not in _EXTRA_PANE_FIELDS:
            raise ValueError(f"found aggregate {self.aggregate!r}; expected one of {', '.join(_EXTRA_PANE_FIELDS)}")
        if self.silence_panes < 0:
            raise ValueError(f"found {self.silence_panes} silence panes; expected 0 or more")
        if self.open_panes > MAX_OPEN_PANES:
            raise ValueError(
                f"found an allowed lateness of {self.allowed_lateness_us} us with hop {self.hop_us} us; expected a "
                f"lateness of at most {MAX_OPEN_PANES - 1} hops; lengthen the hop or allow less lateness"
            )

    @property
    def open_panes(self) -> int:
        """How many panes of a lane can be open at once."""
        return -(-self.allowed_lateness_us // self.hop_us) + 1

    @property
    def counts_empty_panes(self) -> bool:
        """Whether a pane without points is a step of value 0 rather than none."""
        return self.aggregate in ("sum", "count")


WindowSpec: TypeAlias = CountWindows | TimeWindows


def lane_fields(spec: WindowSpec) -> list[tuple[str, Any] | tuple[str, Any, tuple[int]]]:
    """Fields that the windows add to the row of a lane, all 8 bytes wide; zeros are a lane that has seen nothing."""
    fields: list[tuple[str, Any] | tuple[str, Any, tuple[int]]] = [("win_next_us", "i8")]
    if isinstance(spec, CountWindows):
        if spec.hop > 1:
            held = (spec.hop - 1,)
            fields += [
                ("win_held", "i8"),
                ("win_held_us", "i8", held),
                ("win_held_value", "f8", held),
                ("win_held_position", "i8", held),
            ]
        return fields
    fields += [("win_newest_value", "f8"), ("win_first_open", "i8")]
    if spec.counts_empty_panes:
        fields.append(("win_last_pane", "i8"))
    panes = (("win_pane", "i8"), ("win_position", "i8"), ("win_value", "f8"), *_EXTRA_PANE_FIELDS[spec.aggregate])
    return fields + [(name, kind, (spec.open_panes,)) for name, kind in panes]


def bytes_per_lane(spec: WindowSpec) -> int:
    """Bytes that the windows add to the row of a lane."""
    return np.dtype(lane_fields(spec)).itemsize
