"""Small drawings as SVG, coloured by the style sheet of the page: lines, bars and a histogram of two sides each."""

from collections.abc import Sequence
from html import escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 24
WIDE, NARROW, _HEIGHT = 1140, 560, 220
_STEPS = 4
Values = Sequence[Sequence[float | None]]


def lines(values: Values, sides: Sequence[str], ends: tuple[str, str], label: str, width: int = WIDE) -> str:
    """A line for each side, broken where there is no value; a value alone is a dot."""
    known = [value for side in values for value in side if value is not None]
    if not known:
        return _NOTHING
    low, high = min(known), max(known)
    frame = Frame(width, low, high)
    drawn = []
    for name, side in zip(sides, values, strict=True):
        for run in _runs(side):
            places = [(frame.x((at + 0.5) / len(side)), frame.y(value)) for at, value in run]
            if len(places) > 1:
                points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
                drawn.append(f'<polyline class="line {name}" points="{points}"/>')
            else:
                drawn.append(f'<circle class="dot {name}" r="2" cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}"/>')
    return frame.drawing("".join(drawn), ends, label)


def paired_bars(
    values: Sequence[Sequence[int]], sides: Sequence[str], ends: tuple[str, str], label: str, width: int = NARROW
) -> str:
    """A bar for each count, the sides beside each other."""
    most = max(max(side) for side in values)
    frame = Frame(width, 0.0, float(_STEPS * max(1, -(-most // _STEPS))))  # so that marks are of whole numbers
    drawn = "".join(
        frame.bar(name, (at + 0.1 + 0.4 * number) / len(side), 0.4 / len(side), count)
        for number, (name, side) in enumerate(zip(sides, values, strict=True))
        for at, count in enumerate(side)
        if count
    )
    return frame.drawing(drawn, ends, label)


def histogram(shares: Sequence[Sequence[float] | None], sides: Sequence[str]) -> str:
    """Shares by equal parts of 0 to 1, the sides beside each other, and the line on which all would be equal."""
    known = [side for side in shares if side is not None]
    if len(known) < len(sides):
        return _NOTHING
    even = 1.0 / len(known[0])
    frame = Frame(NARROW, 0.0, max(1.5 * even, *(max(side) for side in known)))
    drawn = "".join(
        frame.bar(name, (at + 0.1 + 0.4 * number) / len(side), 0.4 / len(side), share)
        for number, (name, side) in enumerate(zip(sides, known, strict=True))
        for at, share in enumerate(side)
    )
    drawn += f'<path class="nominal" d="M{frame.x(0):.1f} {frame.y(even):.1f}H{frame.x(1):.1f}"/>'
    return frame.drawing(drawn, ("0", "1"), "Probabilities of champion and challenger")


class Frame:
    """Where values lie in a drawing, and what is around them."""

    def __init__(self, width: int, low: float, high: float) -> None:
        self._width, self._low, self._high = width, low, high
        self._span = (high - low) or 1.0

    def x(self, share: float) -> float:
        """Place of a share of the width, from the left."""
        return _LEFT + share * (self._width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Place of a value, from the top."""
        return _TOP + (1.0 - (value - self._low) / self._span) * (_HEIGHT - _TOP - _BOTTOM)

    def bar(self, side: str, start: float, length: float, value: float) -> str:
        """A bar from the bottom up, with its value where the pointer rests."""
        top = self.y(value)
        return (
            f'<rect class="bar {side}" x="{self.x(start):.1f}" y="{top:.1f}" width="{self.x(length) - self.x(0):.1f}" '
            f'height="{self.y(self._low) - top:.1f}"><title>{side}: {value:.4g}</title></rect>'
        )

    def drawing(self, content: str, ends: tuple[str, str], label: str) -> str:
        """The whole, with marks at the left and what both ends of the width stand for."""
        bottom, right = self.y(self._low), self.x(1)
        marks = ""
        for step in range(_STEPS + 1):
            value = self._low + self._span * step / _STEPS
            marks += f'<path class="grid" d="M{_LEFT} {self.y(value):.1f}H{right:.1f}"/>'
            marks += f'<text x="{_LEFT - 6}" y="{self.y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        return (
            f'<svg viewBox="0 0 {self._width} {_HEIGHT}" role="img" aria-label="{escape(label)}">{marks}'
            f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom:.1f}H{right:.1f}"/>{content}'
            f'<text x="{_LEFT}" y="{_HEIGHT - 6}">{escape(ends[0])}</text>'
            f'<text x="{right:.1f}" y="{_HEIGHT - 6}" text-anchor="end">{escape(ends[1])}</text></svg>'
        )


_NOTHING = '<p class="notice">No point had a forecast that could be judged.</p>'


def _runs(side: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Neighbouring values that are known, with their places."""
    runs: list[list[tuple[int, float]]] = []
    for at, value in enumerate(side):
        if value is None:
            continue
        if at and side[at - 1] is not None:
            runs[-1].append((at, value))
        else:
            runs.append([(at, value)])
    return runs
