"""Tables of figures, as HTML."""

from collections.abc import Sequence
from html import escape


def table(names: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int, label: str = "") -> str:
    """Rows of cells that are HTML already; the last `numbers` columns are of numbers.

    Args:
        label: what a screen reader calls it; then it can be scrolled with the keyboard.
    """
    first = len(names) - numbers
    kinds = ["" if column < first else ' class="number"' for column in range(len(names))]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(names, kinds, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell, kind in zip(row, kinds, strict=True))}</tr>" for row in rows
    )
    region = f' tabindex="0" role="region" aria-label="{escape(label)}"' if label else ""
    figures = f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scrolling"{region}>{figures}</div>'
