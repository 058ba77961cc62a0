"""What a replay came to, as tables for people."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column

from pipeline.adapters.files import FileSource
from pipeline.adapters.kafka.source import TopicSource
from pipeline.adapters.outputs import ANOMALIES, VERDICTS
from pipeline.adapters.report.episodes import Episode, read_episodes
from pipeline.adapters.report.header import brief_risk
from pipeline.cli.session import REPORT, SUMMARY, Replayed
from pipeline.cli.tables import left, print_pairs, print_table, right
from pipeline.records import JOINT, Severity
from pipeline.summary import SEVERITIES
from pipeline.wording import brief, duration, whole

WORST = 10
EXPLAINED = 3
"""Of the worst episodes, as many as are told why."""
RISKS = ("risk", "risk_per_day")
NAB_NAMES = {"reward_low_FP_rate": "few false alarms", "reward_low_FN_rate": "few misses"}


def print_replay(console: Console, replayed: Replayed, out: Path) -> None:
    """Everything that a user wants to know at the end of a replay."""
    summary = replayed.summary
    episodes = read_episodes(out / ANOMALIES)
    print_pairs(console, _what_was_read(replayed.source, summary))
    print_pairs(console, _what_was_found(summary, episodes))
    _print_worst(console, episodes, several_fields=len(summary["fields"]) > 1)
    if "evaluation" in summary:
        print_pairs(console, _against_labels(summary["evaluation"]))
    print_pairs(console, _where(out))


def _against_labels(evaluation: dict[str, Any]) -> list[tuple[str, str]]:
    """How the alarms compare with the labels."""

    def share(name: str) -> str:
        return "-" if evaluation[name] is None else f"{evaluation[name]:.0%}"

    delay = evaluation["detection_delay_s"]["median"]
    found = f"{evaluation['detected']} of {evaluation['windows']} anomalies found"
    false = f"{evaluation['alerts']}, {evaluation['false_alarms']} of them false"
    rate = brief(evaluation["false_alarms_per_lane_day"] or 0.0)
    rows = [
        ("Labelled", f"{found}: recall {share('recall')}, precision {share('precision')}"),
        ("Alarms", f"{false}: {rate} per stream and day"),
    ]
    if delay is not None:
        rows.append(("Delay", f"{duration(delay)} from the start of an anomaly to its alarm (median)"))
    if evaluation["vus_pr"] is not None:
        rows.append(("VUS-PR", brief(evaluation["vus_pr"])))
    if evaluation["nab"] is not None:
        scores = (f"{NAB_NAMES.get(name, name)} {score:.1f}" for name, score in evaluation["nab"].items())
        rows.append(("NAB score", ", ".join(scores)))
    return rows


def _what_was_read(source: FileSource | TopicSource, summary: dict[str, Any]) -> list[tuple[str, str]]:
    time = ("Time", f"{summary['first_time'] or '-'} to {summary['last_time'] or '-'}")
    if isinstance(source, TopicSource):
        partitions = f"{whole(len(source.partitions))} partition{'s' * (len(source.partitions) != 1)}"
        return [("Source", f"{summary['source']} ({partitions})"), ("Messages", source.told), time]
    mapping = source.mapping

    def found_out(name: str) -> str:
        return " (found out)" if name in mapping.detected else ""

    keys = f"key {mapping.key_field}{found_out('key_field')}" if mapping.key_field else "each file a stream"
    columns = (
        f"time {mapping.time_field}{found_out('time_field')} in {mapping.time_unit}; "
        f"values {', '.join(mapping.value_fields)}{found_out('value_fields')}; {keys}"
    )
    files = f"{whole(len(source.partitions))} file{'s' * (len(source.partitions) != 1)}"
    ignored = f", {whole(source.ignored_files)} others left out" if source.ignored_files else ""
    return [
        ("Source", f"{summary['source']} ({files}{ignored})"),
        ("Columns", columns),
        time,
    ]


def _what_was_found(summary: dict[str, Any], episodes: list[Episode]) -> list[tuple[str, str]]:
    records = dict(summary["records"])
    consumed = records.pop("consumed")
    fates = " + ".join(f"{whole(count)} {fate.replace('_', '-')}" for fate, count in records.items() if count)
    grades = [Severity(episode.severity).name.lower() for episode in episodes]
    by_grade = [f"{grades.count(grade)} {grade}" for grade in reversed(SEVERITIES) if grade in grades]
    rows = [
        ("Records", f"{whole(consumed)}" + (f" = {fates}" if fates else "")),
        ("Speed", f"{whole(summary['points_per_s'])} points/s, {duration(summary['run_time_s'])}"),
        ("Streams", f"{whole(summary['lanes'])}, {whole(summary['bytes_per_lane'])} bytes each"),
        ("Detector", f"{_what_scored(summary)}, risk {brief_risk(summary['risk'], summary['risk_per_day'])}"),
        ("Episodes", f"{whole(len(episodes))}" + (f": {', '.join(by_grade)}" if by_grade else "")),
    ]
    if (warm := summary.get("warm_from")) is not None:
        begun = f"{whole(warm['keys_begun'])} of {whole(warm['keys'])} keys of {warm['history']}"
        until = f"{whole(warm['records']['consumed'])} records up to {warm['last_time'] or '-'}"
        rows.insert(3, ("Warm from", f"{begun} ({until})"))
    if summary["problems"]:
        told = ", ".join(f"{whole(count)} {reason.replace('_', ' ')}" for reason, count in summary["problems"].items())
        rows.append(("Problems", told))
    return rows


def _what_scored(summary: dict[str, Any]) -> str:
    if summary["bundle"] is not None:
        return f"profile {summary['profile']}, bundle {summary['bundle']}"
    options = ", ".join(f"{name}={value}" for name, value in summary["detector"]["options"].items())
    return f"{summary['detector']['kind']}{f' ({options})' if options else ''}"


def _print_worst(console: Console, episodes: list[Episode], *, several_fields: bool) -> None:
    if not episodes:
        return
    worst = sorted(episodes, key=lambda episode: episode.rank, reverse=True)[:WORST]
    title = (
        f"The worst {WORST} of {whole(len(episodes))} episodes" if len(episodes) > WORST else "Episodes, worst first"
    )
    print_table(
        console,
        title,
        (
            left("severity"),
            Column("stream", overflow="fold", min_width=12),
            left("from (UTC)"),
            right("for"),
            left("what"),
            right("observed"),
            right("expected"),
        ),
        (
            (
                Severity(episode.severity).name.lower(),
                _stream_of(episode, several_fields=several_fields),
                _time_text(episode.opened_ms),
                "still open" if episode.closed_ms is None else duration((episode.closed_ms - episode.opened_ms) / 1000),
                episode.kind.replace("_", " "),
                _number(episode.observed),
                _number(episode.expected),
            )
            for episode in worst
        ),
    )
    print_pairs(
        console,
        (
            ("Why" if place == 0 else "", f"{_stream_of(episode, several_fields=several_fields)}: {episode.reason}")
            for place, episode in enumerate([episode for episode in worst if episode.reason][:EXPLAINED])
        ),
    )


def _stream_of(episode: Episode, *, several_fields: bool) -> str:
    return f"{episode.key}/{_field(episode.field)}" if several_fields else episode.key


def _field(name: str) -> str:
    return f"{name} (all fields)" if name == JOINT else name


def _time_text(time_ms: float) -> str:
    """Event time to the minute, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _number(number: float | None) -> str:
    return "-" if number is None else brief(number)


def _where(out: Path) -> list[tuple[str, str]]:
    files = {
        REPORT: "open it in a browser",
        ANOMALIES: "one line an event of an episode",
        VERDICTS: "every point",
        SUMMARY: "these figures and more",
    }
    return [(str(out / name), what) for name, what in files.items() if (out / name).exists()]


def print_next(console: Console, summary: dict[str, Any]) -> None:
    """Options that are worth a try after this replay."""
    option, risk = next((f"--{name.replace('_', '-')}", summary[name]) for name in RISKS if summary[name] is not None)
    rows = [("Try next", f"{option} {brief(risk / 2)} for fewer alarms, {option} {brief(risk * 2)} for more")]
    if "evaluation" not in summary:
        rows.append(("", "--labels FILE, a table of key, start and end of known incidents, to be judged by them"))
    print_pairs(console, rows)
