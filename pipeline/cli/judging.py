"""Judging a replay by labels of known anomalies."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.adapters.files import match_labels
from pipeline.adapters.outputs import VERDICTS
from pipeline.cli.screen import Screen
from pipeline.evaluation import evaluate_run

Spans = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Judged:
    """Measures of a replay, and the labels by key that they rest on; None where no label is about its streams."""

    evaluation: dict[str, Any] | None = None
    spans: dict[str, Spans] | None = None


def judge_by_labels(directory: Path, labels: dict[str, Spans], screen: Screen) -> Judged:
    """What the outputs in `directory` are worth; labels of other streams are left out, with a note."""
    keys = pq.read_table(directory / VERDICTS, columns=["key"])["key"].unique().drop_null().to_pylist()
    matched = match_labels(labels, keys)
    if not matched.spans:
        screen.note(f"notice: found labels of {_some(labels)}; expected some of {_some(keys)}: they are not used")
        return Judged()
    if matched.unmatched:
        screen.note(f"notice: labels of {len(matched.unmatched)} streams that are not in this replay are left out")
    with screen.working("judging by the labels"):
        return Judged(evaluate_run(directory, matched.spans), matched.spans)


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    return (", ".join(shown[:3]) or "nothing") + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
