"""A comparison as people read it in a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column

from pipeline.adapters.report.diff import Comparison
from pipeline.adapters.report.diff.page import headline
from pipeline.cli.tables import left, print_pairs, print_table, right
from pipeline.records import JOINT
from pipeline.wording import whole

MOST = 10


def print_comparison(console: Console, comparison: Comparison, out: Path | None) -> None:
    """What was compared, whether it is equal, and what differs, the worst first."""
    told = comparison.told
    verdict = "Equal" if comparison.is_equal else "Different"
    print_pairs(console, [("A", told["a"]["path"]), ("B", told["b"]["path"]), (verdict, headline(told))])
    differing = [
        (one["entry"], _shown(one["a"]), _shown(one["b"]))
        for group, found in told["settings"].items()
        if group != "run"
        for one in found
    ]
    if differing:
        print_table(
            console,
            "What the summaries say differently",
            (left("entry"), Column("A", overflow="fold"), Column("B", overflow="fold")),
            differing,
        )
    if told["verdicts"]:
        print_pairs(console, _agreement(told["verdicts"]))
    if told["alarms"]:
        _print_alarms(console, told["alarms"])
    _print_lanes(console, told)
    if out is not None:
        print_pairs(console, [(str(out), "open it in a browser")])


def _agreement(verdicts: Mapping[str, Any]) -> list[tuple[str, str]]:
    scores, flagged, forecasts = verdicts["scores"], verdicts["flagged"], verdicts["forecasts"]
    rows = [
        ("Points", f"{_three(verdicts)}; {whole(verdicts['identical'])} identical"),
        ("Flagged", _three(flagged)),
    ]
    if scores["both"]:
        correlation = "" if scores["correlation"] is None else f", correlation {scores['correlation']:.4f}"
        rows.append(("Scores", f"{scores['mean_absolute_difference']:.4f} apart on average{correlation}"))
    if forecasts["both"]:
        closer = forecasts["closer"]
        shares = [f"{side.upper()} at {closer[side] / forecasts['both']:.1%}" for side in ("a", "b")]
        rows.append(("Forecasts", f"closer by {', by '.join(shares)} of the points"))
    return rows


def _print_alarms(console: Console, alarms: Mapping[str, Any]) -> None:
    print_pairs(console, [("Alarms", f"{_three(alarms)}; {whole(alarms['both_the_same'])} the same")])
    if not alarms["told"]:
        return
    rows = [
        (
            one["in"] if one["in"] == "both" else one["in"].upper(),
            _stream(one["key"], one["field"]),
            " / ".join(dict.fromkeys(at[:16].replace("T", " ") for at in one["opened"] if at)),
            " / ".join(dict.fromkeys(grade for grade in one["severity"] if grade)),
            one["kind"].replace("_", " "),
            *("-" if peak is None else f"{peak:.2f}" for peak in one["peak_score"]),
        )
        for one in alarms["told"][:MOST]
    ]
    number = len(alarms["told"])
    title = f"Alarms that differ: the worst {MOST} of {whole(number)}" if number > MOST else "Alarms that differ"
    columns = (left("in"), Column("stream", overflow="fold", min_width=12), left("opened (UTC)"), left("severity"),
               left("what"), right("score A"), right("score B"))  # fmt: skip
    print_table(console, title, columns, rows)


def _print_lanes(console: Console, told: Mapping[str, Any]) -> None:
    differing = [row for row in told["lanes"] if _differs(row)]
    if not differing:
        return
    rows = [
        (
            _stream(row["key"], row["field"]),
            *(whole(row["alarms"][which]) for which in ("both", "only_a", "only_b")),
            whole(row["points"]["differing"]) if "points" in row else "-",
            *("-" if one is None else f"{one:.4g}" for one in row.get("mean_error", (None, None))),
            f"{row['largest_difference']:.3f}" if "points" in row else "-",
        )
        for row in differing[:MOST]
    ]
    columns = (Column("stream", overflow="fold", min_width=12), right("alarms"), right("only A"), right("only B"),
               right("points"), right("error A"), right("error B"), right("scores"))  # fmt: skip
    print_table(console, f"Streams that differ most, of {whole(told['lanes_in_all'])}", columns, rows)


def _three(counts: Mapping[str, int]) -> str:
    return f"{whole(counts['both'])} in both, {whole(counts['only_a'])} only in A, {whole(counts['only_b'])} only in B"


def _differs(row: Mapping[str, Any]) -> bool:
    points = row.get("points") or {}
    return bool(
        row["alarms"]["only_a"]
        or row["alarms"]["only_b"]
        or any(points.get(name) for name in ("differing", "only_a", "only_b"))
    )


def _stream(key: str, field: str) -> str:
    return f"{key}/{'all fields' if field == JOINT else field}"


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
