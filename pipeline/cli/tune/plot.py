"""The trials of a search as a drawing: each by its value, the best so far, and each setting against the value."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

_WIDTH, _PANEL, _HEIGHT, _MARGIN = 960, 300, 220, 46
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.t{font-weight:600}.a{stroke:#bbb}.d{fill:#4477aa;fill-opacity:.65}"
    ".b{fill:none;stroke:#cc6677;stroke-width:2}.o{fill:#999}.n{fill:#cc6677;font-weight:600}"
)


def draw_trials(described: dict[str, Any]) -> str:
    """SVG that stands alone; trials that exceed the budget are grey, at the bottom."""
    trials = described["trials"]
    values = np.array([trial["value"] for trial in trials], np.float64)
    kept = values > -1.0
    floor = float(values[kept].min()) if kept.any() else 0.0
    heights = np.where(kept, values, floor)
    best = np.maximum.accumulate(np.where(kept, values, floor))
    parts = [_panel(0, 0, _WIDTH, f"{described['objective']} by trial", np.arange(1, len(trials) + 1), heights, kept)]
    parts.append(_line(np.arange(1, len(trials) + 1), best, heights))
    for number, (key, one) in enumerate(described["searched"].items()):
        x, y = number % 3 * (_WIDTH / 3), (1 + number // 3) * _HEIGHT
        drawn = [trial["changed"].get(key, one["configured"]) for trial in trials]
        parts.append(_panel(x, y, _PANEL, key, drawn, heights, kept))
    rows = 1 + -(-len(described["searched"]) // 3)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {rows * _HEIGHT + 10}" role="img" '
        f'aria-label="Trials of driftline tune"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _panel(
    x: float, y: float, width: float, title: str, drawn: Sequence[Any] | np.ndarray[Any, Any], heights: Any, kept: Any
) -> str:
    """Dots of (drawn, height), with a title and the ends of either axis."""
    places, ends = _places(list(drawn))
    left, right, top, bottom = x + _MARGIN, x + width - 10, y + 30, y + _HEIGHT - 30
    low, high = float(heights.min()), float(heights.max())
    dots = "".join(
        f'<circle class="{"d" if ok else "o"}" r="3.5" cx="{left + at * (right - left):.1f}" '
        f'cy="{_y(height, low, high, top, bottom):.1f}"/>'
        for at, height, ok in zip(places, heights, kept, strict=True)
    )
    axis = f'<path class="a" fill="none" d="M{left:.1f} {top}V{bottom}H{right:.1f}"/>'
    texts = (
        f'<text class="t" x="{left:.1f}" y="{y + 18}">{escape(title)}</text>'
        f'<text x="{left - 6:.1f}" y="{top + 8}" text-anchor="end">{high:.3f}</text>'
        f'<text x="{left - 6:.1f}" y="{bottom}" text-anchor="end">{low:.3f}</text>'
    )
    marks = "".join(
        f'<text x="{left + at * (right - left):.1f}" y="{bottom + 16}" text-anchor="{anchor}">{escape(name)}</text>'
        for at, name, anchor in ends
    )
    return axis + dots + texts + marks


def _line(numbers: Any, best: Any, heights: Any) -> str:
    places, _ = _places(list(numbers))
    left, right, top, bottom = _MARGIN, _WIDTH - 10, 30, _HEIGHT - 30
    low, high = float(heights.min()), float(heights.max())
    steps = " ".join(
        f"{left + at * (right - left):.1f},{_y(value, low, high, top, bottom):.1f}"
        for at, value in zip(places, best, strict=True)
    )
    return f'<polyline class="b" points="{steps}"/>'


def _y(value: float, low: float, high: float, top: float, bottom: float) -> float:
    return bottom - (value - low) / ((high - low) or 1.0) * (bottom - top)


def _places(drawn: list[Any]) -> tuple[list[float], list[tuple[float, str, str]]]:
    """Where each lies along the axis, in [0, 1], and what is written there; numbers far apart by logarithm."""
    if any(isinstance(one, str) for one in drawn):
        names = sorted({str(one) for one in drawn})
        at = {name: (index + 0.5) / len(names) for index, name in enumerate(names)}
        return [at[str(one)] for one in drawn], [(at[name], name, "middle") for name in names]
    numbers = np.array(drawn, np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    is_log = low > 0 and high / low > 20
    scaled = np.log(numbers) if is_log else numbers
    span = float(scaled.max() - scaled.min()) or 1.0
    return list((scaled - scaled.min()) / span), [(0.0, f"{low:.3g}", "start"), (1.0, f"{high:.3g}", "end")]
