"""The results of an evaluation, as tables for people."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column

from pipeline.adapters.report.header import brief_risk
from pipeline.cli.evaluate.running import DETECTOR, RESULTS, SCORES, THRESHOLDS, number_of
from pipeline.cli.tables import left, print_pairs, print_table, right
from pipeline.evaluation.scoring import READ_OUTS
from pipeline.wording import brief, duration, whole

_PROFILES = {"standard": "standard", "reward_low_FP_rate": "low FP", "reward_low_FN_rate": "low FN"}
_MEASURES = {"vus_pr": "VUS-PR", "auc_pr": "AUC-PR"}
_WIDE = 130
"""Columns of text from which a table has room for every measure."""
FILES_SHOWN = 60


def print_nab(console: Console, results: dict[str, Any], out: Path | None) -> None:
    """Our scores among the published ones, then everything else that was measured."""
    ours = f"Driftline, {results['profile'] or results['detector']}"
    rows = {ours: results["scores"], **results["published"]}
    print_table(
        console,
        "Numenta Anomaly Benchmark",
        (left("detector"), *(right(name) for name in _PROFILES.values())),
        (
            (f"> {name}" if name == ours else f"  {name}", *(f"{scores[profile]:.2f}" for profile in _PROFILES))
            for name, scores in sorted(rows.items(), key=lambda row: -row[1]["standard"])
        ),
    )
    print_pairs(console, [("Held out", _held_out(results["held_out"])), *_measures(results)])
    _print_categories(console, results["categories"])
    if out is not None:
        print_pairs(
            console,
            [
                (str(out / DETECTOR), "scores as NAB's scorer reads them"),
                (str(out / THRESHOLDS), "thresholds, as it reads those"),
                (str(out / RESULTS), "these figures and more"),
            ],
        )


def _held_out(held_out: dict[str, dict[str, float]] | None) -> str:
    if held_out is None:
        return "- (a half of the files has no window)"
    scores = {label: held_out[profile] for profile, label in _PROFILES.items()}
    return ", ".join(f"{label} {score['mean']:.1f} ± {score['sd']:.1f}" for label, score in scores.items())


def _print_categories(console: Console, categories: dict[str, dict[str, Any]]) -> None:
    measures = _measures_shown(console)
    category, files = Column("category", overflow="fold", min_width=12), right("files")
    print_table(
        console,
        "By category",
        (category, files, *(right(name) for name in _PROFILES.values()), *_columns(measures)),
        (
            (
                name,
                str(results["files"]),
                *(_number(results["scores"] and results["scores"][profile], ".1f") for profile in _PROFILES),
                *_cells(results, measures),
            )
            for name, results in categories.items()
        ),
    )


def print_folder(console: Console, results: dict[str, Any], out: Path | None) -> None:
    """Every file, then all of them together."""
    files, measures = results["per_file"], _measures_shown(console)
    print_table(
        console,
        "Files" if len(files) <= FILES_SHOWN else f"The first {FILES_SHOWN} of {len(files)} files",
        (Column("file", overflow="fold", min_width=12), right("rows"), right("fields"), *_columns(measures)),
        (
            (file["name"], whole(file["rows"]), str(len(file["fields"])), *_cells(file, measures))
            for file in files[:FILES_SHOWN]
        ),
    )
    print_pairs(console, _measures(results))
    if out is not None:
        print_pairs(
            console, [(str(out / SCORES), "a score for every row"), (str(out / RESULTS), "these figures and more")]
        )


def _measures(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """All streams together, as names and values."""
    for name in READ_OUTS:
        ranking = results[name]
        if ranking["vus_pr"] is None and name != "event":
            continue
        told = f"VUS-PR {_number(ranking['vus_pr'], '.3f')}, AUC-PR {_number(ranking['auc_pr'], '.3f')}"
        yield f"Ranking, {name}", f"{told} (mean over {number_of(results['labelled_files'], 'labelled file')})"
    detection = results["detection"]
    found = f"{detection['detected']} of {detection['windows']} windows found"
    shares = f"recall {_share(detection['recall'])}, precision {_share(detection['precision'])}"
    yield "Labelled", f"{found}: {shares}, F1 {_number(detection['f1'], '.2f')}"
    rate = detection["false_alarms_per_lane_day"]
    false = f"{whole(detection['alerts'])}, {whole(detection['false_alarms'])} of them false"
    yield "Alarms", f"{false}: {'-' if rate is None else brief(rate)} per lane and day"
    if detection["detected"]:
        delay = detection["detection_delay_s"]
        told = f"{duration(delay['median'])} (median), {duration(delay['mean'])} (mean)"
        yield "Delay", f"{told} from the start of a window to its alarm"
    speed = "-" if results["points_per_s"] is None else whole(results["points_per_s"])
    yield "Speed", f"{speed} points/s of one process, {whole(results['points'])} points"
    yield "State", f"{whole(results['bytes_per_lane'])} bytes per lane"
    chosen = results["detector"]
    if results["profile"] is not None:
        chosen = f"profile {results['profile']}, bundle {results['bundle']}"
    yield "Detector", f"{chosen}, risk {brief_risk(results['risk'], results['risk_per_day'])}"


def _measures_shown(console: Console) -> Sequence[str]:
    """The rankings that there is room for, the more telling first; with one, other columns are left out too."""
    return [*_MEASURES] if console.width >= _WIDE else [*_MEASURES][:1]


def _columns(measures: Sequence[str]) -> Iterator[Column]:
    """Heads of the columns that `_cells` fills."""
    for name in READ_OUTS:
        for measure in measures:
            yield right(f"{name}\n{_MEASURES[measure]}")
    yield from (right("found"), right("false"))
    if len(measures) > 1:
        yield right("precision")
    yield right("delay")


def _cells(results: dict[str, Any], measures: Sequence[str]) -> Iterator[str]:
    """Measures of one file or of several."""
    for name in READ_OUTS:
        ranking = results.get(name) or {}
        yield from (_number(ranking.get(measure), ".3f") for measure in measures)
    detection = results["detection"]
    yield f"{detection['detected']} of {detection['windows']}"
    yield whole(detection["false_alarms"])
    if len(measures) > 1:
        yield _share(detection["precision"])
    delay = detection["detection_delay_s"]["median"]
    yield "-" if delay is None else _short(delay)


def _short(seconds: float) -> str:
    """In its largest unit: 16.8 h."""
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def _number(number: float | None, form: str) -> str:
    return "-" if number is None else format(number, form)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
