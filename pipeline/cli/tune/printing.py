"""The results of a search, as tables for people."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.cli.evaluate.running import number_of
from pipeline.cli.tables import left, print_pairs, print_table, right
from pipeline.cli.tune.outputs import CONFIG, PLOT, RESULTS
from pipeline.wording import brief, duration

_NAMES = {
    "f1": "F1 of labelled anomalies",
    "recall": "recall of labelled anomalies",
    "nab": "standard score of the Numenta Anomaly Benchmark",
    "faults": "share found of the faults put in",
}


def print_tuned(console: Console, described: dict[str, Any], out: Path) -> None:
    """What was searched, what came of it on either part, and what to do now."""
    print_pairs(console, _head(described))
    _print_settings(console, described)
    _print_parts(console, described)
    if described["objective"] == "faults":
        _print_kinds(console, described["held_out"])
    print_pairs(console, [("Held out", line) if not index else ("", line) for index, line in enumerate(say(described))])
    print_pairs(
        console,
        [
            ("Written", f"{CONFIG}, {RESULTS} and {PLOT} in {out}"),
            ("Use it", f"driftline replay HISTORY --config {out / CONFIG}"),
        ],
    )


def say(described: dict[str, Any]) -> Iterator[str]:
    """Whether tuning was worth it, in words, with what keeps the figures from being more than they are."""
    yield _verdict(described)
    yield from _reservations(described)


def _verdict(described: dict[str, Any]) -> str:
    name, compared = _NAMES[described["objective"]], described["comparison"]
    if described["best"]["number"] == 0:
        return "No settings tried were better than those configured, even on the part tuned on. They are kept."
    if compared["tuned"] is None:
        return f"The part held out has nothing to tell the {name} by, so what is configured is kept."
    told = f"{name} {_number(compared['tuned'])} tuned, {_number(compared['configured'])} as configured"
    if described["use"] == "tuned":
        return f"Tuning was better on what had no part in it: {told}."
    if compared["exceeds_budget"]:
        return f"Tuning did not hold: {told}, but at more alarms than allowed. What is configured is kept."
    return f"Tuning was not better on what had no part in it: {told}. What is configured is kept."


def _reservations(described: dict[str, Any]) -> Iterator[str]:
    compared, split = described["comparison"], described["split"]
    if described["best"]["number"] and compared["tuned"] is not None:
        if compared["difference_90"] is not None:
            low, high = compared["difference_90"]
            chance = "so chance may explain it" if compared["may_be_chance"] else "so chance hardly explains it"
            yield f"Over streams drawn again and again the difference is {low:+.3f} to {high:+.3f} (90 %), {chance}."
        else:
            yield "How much of the difference is chance cannot be told from so few streams, or of this objective."
        yield from _price(described)
    if described["objective"] == "faults":
        yield (
            "Faults are made up, of six kinds and sizes from 0.2 to 1.5 ranges of a stream, and each alarm of the "
            "history as it is counts against the budget, of real incidents too: take the "
            "figures as a comparison, not a promise."
        )
    if split["by"] == "time":
        yield "The part held out is the last of the time; streams had been learned from the time before."


def _price(described: dict[str, Any]) -> Iterator[str]:
    """What is worse with the tuned settings, though the objective is better."""
    ours, theirs = described["held_out"]["tuned"], described["held_out"]["configured"]
    if described["objective"] != "faults" and ours["found"] < theirs["found"]:
        yield (
            f"It costs anomalies: {ours['found']} of {ours['anomalies']} are found instead of {theirs['found']}. Where "
            "a miss is worse than a false alarm, take --objective recall with --alarms-per-day."
        )
    if ours["alarms"] > theirs["alarms"]:
        yield f"It costs alarms: {ours['alarms']} instead of {theirs['alarms']}."


def _head(described: dict[str, Any]) -> Iterator[tuple[str, str]]:
    history, split, budget = described["history"], described["split"], described["budget"]
    streams, files = number_of(history["streams"], "stream"), number_of(history["files"], "file")
    yield "History", f"{history['source']} ({streams} in {files}, {number_of(history['points'], 'point')})"
    yield "Read", history["read"]
    parts = f"{len(split['tuning'])} streams to tune on, {len(split['held_out'])} held out"
    if split["by"] == "time":
        parts = "the last of the time held out"
    short = f"; {number_of(len(split['left_out']), 'stream')} too short" if split["left_out"] else ""
    yield "Split", f"by {split['by']}: {parts}{short}"
    name = _NAMES[described["objective"]]
    if budget["tuning"] is not None:
        of = "false alarms" if described["objective"] != "faults" else "alarms"
        why = "" if budget["asked"] is not None else ", as many as what is configured raises"
        name += f", at {brief(budget['tuning'])} {of} per stream and day at most{why}"
    yield "Wanted", name
    put_in = described["faults_put_in"]
    if put_in["tuning"]:
        yield "Faults", f"{put_in['tuning']} put into the part to tune on, {put_in['held_out']} into the other"
    within = "" if described["best"]["value"] >= -1 or described["objective"] == "nab" else "; none kept the budget"
    yield "Trials", f"{len(described['trials'])}, the best is number {described['best']['number'] + 1}{within}"


def _print_settings(console: Console, described: dict[str, Any]) -> None:
    changed = described["best"]["changed"]
    print_table(
        console,
        "Settings",
        (left("key"), right("as configured"), right("tuned"), left("searched")),
        (
            (key, str(one["configured"]), str(changed.get(key, one["configured"])), one["within"])
            for key, one in described["searched"].items()
        ),
    )


def _print_parts(console: Console, described: dict[str, Any]) -> None:
    is_labelled = described["objective"] != "faults"
    columns = ("found", "recall", *(("precision", "F1", "NAB") if is_labelled else ()))
    rate = "false" if is_labelled else "alarms"
    rows = [
        (place, who, *_figures(described[part][key], is_labelled=is_labelled))
        for part, place in (("tuning", "tuned on"), ("held_out", "held out"))
        for key, who in (("configured", "as configured"), ("tuned", "tuned"))
    ]
    print_table(
        console,
        "Known anomalies, false alarms in all and per stream and day, median delay"
        if is_labelled
        else "Faults put in, median delay; alarms of the history as it is, in all and per stream and day",
        (
            left("part"), left("settings"), *(right(name) for name in columns), right(rate),
            right("a day"), right("delay"),
        ),
        rows,
    )  # fmt: skip


def _figures(figures: dict[str, Any], *, is_labelled: bool) -> tuple[str, ...]:
    rate = brief(figures["per_lane_and_day"])
    if is_labelled:
        shares = (_number(figures[name]) for name in ("recall", "precision", "f1"))
        nab = "-" if figures["nab_standard"] is None else f"{figures['nab_standard']:.1f}"
        found = f"{figures['found']} of {figures['anomalies']}"
        return found, *shares, nab, str(figures["false_alarms"]), rate, _delay(figures["median_delay_s"])
    faults = figures["faults"]
    found = f"{faults['found']} of {faults['put_in']}"
    return found, _number(faults["recall"]), str(figures["alarms"]), rate, _delay(faults["median_delay_s"])


def _print_kinds(console: Console, held_out: dict[str, Any]) -> None:
    ours, theirs = held_out["tuned"]["faults"], held_out["configured"]["faults"]
    rows = [(kind.replace("_", " "), ours["by_kind"][kind], theirs["by_kind"][kind]) for kind in ours["by_kind"]]
    rows += [(f"{size} faults", ours[size], theirs[size]) for size in ("small", "large")]
    print_table(
        console,
        "Held out, by kind of fault",
        (left("fault"), right("put in"), right("as configured"), right("tuned"), right("median delay, tuned")),
        (
            (name, str(one["put_in"]), str(other["found"]), str(one["found"]), _delay(one["median_delay_s"]))
            for name, one, other in rows
            if one["put_in"]
        ),
    )


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"


def _delay(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
