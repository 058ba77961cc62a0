"""A stream in both runs as SVG: what was observed, both forecasts with their bands, and the alarms of each."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.report.drawing import WIDE, Frame
from pipeline.adapters.report.encode import gaps
from pipeline.adapters.report.verdicts import Points

_ROOM = 0.15
"""Of the span of the values, how far forecasts beyond it are shown above and below."""
Marks = Sequence[tuple[float, str]]
"""Alarms: event time in milliseconds, and what to say of it."""


def plot_stream(
    name: str, runs: tuple[Points | None, Points | None], alarms: tuple[Marks, Marks], ends_us: tuple[float, float]
) -> str:
    """A drawing of one stream between two event times; '' where neither run has a point there.

    Alarms of the first run point down from the top, those of the second up from the bottom.
    """
    shown = [
        None if one is None else one.take((ends_us[0] <= one.time_us) & (one.time_us <= ends_us[1])) for one in runs
    ]
    there = [one for one in shown if one is not None and len(one)]
    if not there:
        return ""
    observed = max(there, key=len)
    values = observed.value[np.isfinite(observed.value)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = (high - low) * _ROOM or 1.0
    frame = _Stream(low - room, high + room, ends_us)
    bands = [frame.band(side, one) for side, one in zip("ab", shown, strict=True) if one is not None and len(one)]
    lines = [
        frame.line(side, one, one.expected)
        for side, one in zip("ab", shown, strict=True)
        if one is not None and len(one)
    ]
    drawn = [*bands, frame.line("observed", observed, observed.value), *lines]
    for side, marks in zip("ab", alarms, strict=True):
        drawn += [frame.mark(side, at, told) for at, told in marks if ends_us[0] <= at * 1000 <= ends_us[1]]
    return frame.drawing("".join(drawn), name)


class _Stream:
    """Where times and values lie in a drawing."""

    def __init__(self, low: float, high: float, ends_us: tuple[float, float]) -> None:
        self._frame = Frame(WIDE, low, high)
        self._low, self._high, self._ends_us = low, high, ends_us

    def line(self, kind: str, points: Points, values: NDArray[np.float64]) -> str:
        """A line through the values, broken where there are none and where there is a gap."""
        known = np.isfinite(values)
        opens = (np.diff(known.astype(np.int8), prepend=0) == 1) | (gaps(points) > 0)
        path = "".join(
            f"{'M' if begins else 'L'}{x:.1f} {y:.1f}"
            for x, y, begins in zip(
                self._x(points.time_us[known]), self._y(values[known]), opens[known].tolist(), strict=True
            )
        )
        return f'<path class="line {kind}" d="{path}"/>' if path else ""

    def band(self, side: str, points: Points) -> str:
        """The band of a run, as one shape for each stretch in which there is one."""
        known = np.isfinite(points.lower) & np.isfinite(points.upper)
        opens = (np.diff(known.astype(np.int8), prepend=0) == 1) | (gaps(points) > 0)
        stretches = np.split(np.flatnonzero(known), np.flatnonzero(opens[known])[1:])
        path = ""
        for rows in stretches:
            if len(rows) < 2:
                continue
            there = [*zip(self._x(points.time_us[rows]), self._y(points.upper[rows]), strict=True)]
            back = [*zip(self._x(points.time_us[rows]), self._y(points.lower[rows]), strict=True)][::-1]
            path += "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (*there, *back)) + "Z"
        return f'<path class="band {side}" d="{path}"/>' if path else ""

    def mark(self, side: str, time_ms: float, told: str) -> str:
        """A triangle at the edge, with what it means where the pointer rests."""
        (x,) = self._x(np.array([time_ms * 1000]))
        edge, tip = (self._high, 9) if side == "a" else (self._low, -9)
        y = self._frame.y(edge)
        shape = f"M{x - 5:.1f} {y:.1f}h10L{x:.1f} {y + tip:.1f}Z"
        return f'<path class="mark {side}" d="{shape}"><title>{escape(told)}</title></path>'

    def drawing(self, content: str, name: str) -> str:
        ends = tuple(str(np.datetime64(int(at), "us"))[:16].replace("T", " ") for at in self._ends_us)
        return self._frame.drawing(
            content, (ends[0], ends[1]), f"{name}: observed, and forecasts and alarms of A and B"
        )

    def _x(self, time_us: NDArray[np.float64] | NDArray[np.int64]) -> list[float]:
        start, end = self._ends_us
        shares = (time_us - start) / max(end - start, 1.0)
        return [self._frame.x(share) for share in shares.tolist()]

    def _y(self, values: NDArray[np.float64]) -> list[float]:
        return [self._frame.y(value) for value in np.clip(values, self._low, self._high).tolist()]
