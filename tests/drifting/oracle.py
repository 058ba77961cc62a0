"""Whether readers of committed messages find what a replay of the topic says, record for record, once."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.cli import run
from tests.drifting.campaign import Course
from tests.kafka_broker import read_committed, read_to_end

FLOATS = ("value", "expected", "lower", "upper")
HALVES = ("score", "threshold", "surprise", "segment_score")
"""Of four bytes in the file."""
SAYS = ("is_anomaly", "severity", "phase", "disposition", "episode")


def replay(course: Course, out: Path, *arguments: str) -> Path:
    """Directory of a replay of the whole topic."""
    command = ["replay", f"kafka://{course.bootstrap}/{course.names.input}", "--config", str(course.config)]
    if (status := run([*command, "--out", str(out), "--overwrite", "--quiet", *arguments])) != 0:
        raise AssertionError(f"found exit status {status} of the replay to {out}")
    return out


def compare(course: Course, replayed: Path) -> tuple[dict[str, int], list[str]]:
    """(what there was to compare, differences); no differences, if all is well."""
    bootstrap, names = course.bootstrap, course.names
    anomalies, letters = read_committed(bootstrap, names.anomalies, names.dead_letters)
    verdicts = read_to_end(bootstrap, names.verdicts)
    sent = read_to_end(bootstrap, names.input)
    lines = [json.loads(line) for message in verdicts for line in message.value.splitlines()]
    events = [json.loads(one.value or "") for mine in anomalies.values() for one in mine]
    told = {"records": len(sent), "verdicts": len(lines), "anomalies": len(events)}
    differences = _coverage({(str(one.partition), one.offset) for one in sent}, lines)
    differences += _verdicts(lines, pq.read_table(replayed / "verdicts.parquet"))
    expected = [json.loads(line) for line in (replayed / "anomalies.jsonl").read_text().splitlines()]
    if _by_id(events) != _by_id(expected):
        differences.append(f"anomalies: {len(events)} committed, {len(expected)} replayed, and not the same")
    if dead := sum(map(len, letters.values())):
        differences.append(f"{dead} dead letters where every record can be used")
    return told, differences


def _by_id(events: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """In an order that does not depend on that of partitions; one that is there twice stays twice."""
    return sorted(((str(one["id"]), one) for one in events), key=lambda pair: pair[0])


def _coverage(sent: set[tuple[str, int]], lines: list[dict[str, Any]]) -> list[str]:
    found = Counter((str(one["partition"]), one["offset"]) for one in lines)
    missed, doubled = sent - found.keys(), [place for place, times in found.items() if times > 1]
    differences = [f"{len(missed)} records without a verdict, such as {min(missed)}"] if missed else []
    if doubled:
        differences.append(f"{len(doubled)} records with several verdicts, such as {min(doubled)}")
    if extra := found.keys() - sent:
        differences.append(f"{len(extra)} verdicts of records that are not there, such as {min(extra)}")
    return differences


def _verdicts(lines: list[dict[str, Any]], replayed: pa.Table) -> list[str]:
    """Columns that differ, of verdicts by key and offset, to the bit."""
    if len(lines) != len(replayed):
        return [f"{len(lines)} verdicts committed, {len(replayed)} replayed"]
    lines = sorted(lines, key=lambda one: (one["key"], one["offset"]))
    replayed = replayed.set_column(0, "key", replayed["key"].cast("string"))
    replayed = replayed.sort_by([("key", "ascending"), ("position", "ascending")])
    differences = []
    for column in ("key", *FLOATS, *HALVES, *SAYS):
        mine, theirs = [one[column] for one in lines], replayed[column].to_pylist()
        if column in HALVES:  # a topic tells the shortest digits that come to the same four bytes
            same = np.array_equal(np.array(mine, np.float32), np.array(theirs, np.float32), equal_nan=True)
        else:
            same = mine == theirs
        if not same:
            differences.append(f"verdicts: {column} is not the same")
    return differences
