"""Members looked at as Prometheus does, every now and then until they are gone, and what that must add up to.

What a process counts begins at 0 with it, and what it committed behind the last look at it nobody has seen. How much
that is, offsets tell: each look shows up to where a partition is committed, and the log where the process took it up.
What lies in between it must have counted, and no other process may have.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from tests.chaos.oracle import Tally
from tests.chaos.service import Samples, Serving

INTERVAL_S = 0.25
METRICS = {
    "records_consumed": "", "records": "disposition", "points": "disposition", "problems": "reason", "gaps": "",
    "anomalies": "severity", "episode_events": "event", "alarms_opened": "", "dead_letters": "reason",
}  # fmt: skip
"""Counters of what came of records, and their label."""

Spans = Mapping[int, Sequence[tuple[int, int]]]


class Standing(NamedTuple):
    """What was shown of a partition: what its state is made of, up to before an offset."""

    partition: int
    offset: int
    records: Counter[str]


@dataclass(slots=True)
class Looks:
    """What all looks at one process have shown.

    Attributes:
        counted: by the newest look.
        committed: offset, by that look or one before, up to which a partition taken up at an offset was committed.
        standings: of every look.
        faults: what cannot be right in itself.
        number: of looks.
    """

    counted: Tally = field(default_factory=Counter)
    committed: dict[tuple[int, int], int] = field(default_factory=dict)
    standings: list[Standing] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    number: int = 0
    _commits: float = 0.0
    _offsets: dict[int, int] = field(default_factory=dict)
    _taken_up: dict[int, int] = field(default_factory=dict)

    def add(self, samples: Samples, taken_up: Mapping[int, int]) -> None:
        """A look.

        Args:
            taken_up: offset at which each partition was taken up the last time.
        """
        self.number += 1
        offsets = {int(dict(labels)["partition"]): int(value) for labels, value in _of(samples, "committed_offset")}
        counted: Tally = Counter()
        for metric, label in METRICS.items():
            for labels, value in _of(samples, f"{metric}_total"):
                counted[metric, dict(labels).get(label, "")] += int(value)
        ((_, commits),) = _of(samples, "commits_total")
        held = [n for n in offsets if n in self._offsets and taken_up.get(n) == self._taken_up.get(n)]
        moved = [n for n in held if offsets[n] > self._offsets[n]]
        if commits == self._commits and (moved or +counted != +self.counted):
            self.faults.append(f"found partitions {moved} or counts moved on without a commit")
        self.counted, self._commits, self._offsets, self._taken_up = counted, commits, offsets, dict(taken_up)
        for partition, offset in offsets.items():
            records: Counter[str] = Counter()
            for labels, value in _of(samples, "accounting_records_total"):
                if dict(labels)["partition"] == str(partition):
                    records[dict(labels)["disposition"]] += int(value)
            self.standings.append(Standing(partition, offset, records))
            if (start := taken_up.get(partition)) is not None and offset >= start:
                known = self.committed.get((partition, start), start)
                self.committed[partition, start] = max(known, offset)

    def spans(self) -> dict[int, list[tuple[int, int]]]:
        """Ranges of offsets by partition that this process has committed, as far as was seen."""
        found: dict[int, list[tuple[int, int]]] = {}
        for (partition, start), offset in sorted(self.committed.items()):
            found.setdefault(partition, []).append((start, offset))
        return found


def _of(samples: Samples, name: str) -> Iterator[tuple[tuple[tuple[str, str], ...], float]]:
    return ((labels, value) for (one, labels), value in samples.items() if one == f"driftline_{name}")


class Scraper:
    """Looks at processes, each on a thread of its own, so that a frozen one keeps no other from being looked at."""

    def __init__(self) -> None:
        self._looks: list[tuple[Serving, Looks, threading.Lock]] = []
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def watch(self, member: Serving) -> None:
        """Look at a member from now on, for as long as it runs."""
        watched = member, Looks(), threading.Lock()
        self._looks.append(watched)
        thread = threading.Thread(target=self._run, args=watched, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self, member: Serving, looks: Looks, lock: threading.Lock) -> None:
        while member.is_running and not self._end.wait(INTERVAL_S):
            _look(member, looks, lock)

    def close(self) -> list[Looks]:
        """Look at those that still run once more; what was seen of all."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        for member, looks, lock in self._looks:
            before = looks.number
            while member.is_running and looks.number == before:
                _look(member, looks, lock)
        return [looks for _, looks, _ in self._looks]

    @property
    def partitions_committed(self) -> set[int]:
        """Partitions of which something was committed."""
        return {one.partition for _, looks, _ in self._looks for one in tuple(looks.standings) if one.offset > 0}


def _look(member: Serving, looks: Looks, lock: threading.Lock) -> None:
    """What it shows, unless it has just taken a partition up, or is not there."""
    with lock:
        before = _taken_up(member.told)
        try:
            samples = member.metrics(timeout_s=2.0)
        except (OSError, AssertionError, ValueError):  # not up yet, frozen, or killed in the middle of its answer
            return
        if ("driftline_commits_total", ()) in samples and _taken_up(member.told) == before:
            looks.add(samples, before)


def _taken_up(log: str) -> dict[int, int]:
    """Offset from which on a process last had output for each partition, by what it tells."""
    return {partition: committed for _, partition, committed in takings_up(log)}


def takings_up(log: str) -> list[tuple[float, int, int]]:
    """(seconds since 1970, partition, offset from which on it had output) whenever a process took up a partition."""
    found = []
    for line in log.splitlines():
        if '"restored"' in line and line.endswith("}"):
            event = json.loads(line)
            time_s = datetime.fromisoformat(event["timestamp"]).timestamp()
            found.append((time_s, int(event["place"].rpartition("/")[2]), int(event["committed"])))
    return found


def compare_counts(
    looks: Sequence[Looks], tallies: Mapping[int, Mapping[int, Tally]], ends: Mapping[int, int]
) -> tuple[list[str], str]:
    """What the counts seen differ in from the oracle's; and in words, how much of it was seen.

    Args:
        tallies: the oracle's counts up to before an offset, by partition, at least for all offsets seen and the end.
        ends: offset at which each partition ends.
    """
    differences = [fault for one in looks for fault in one.faults]
    for one in looks:
        differences += list(_wrong_standings(one.standings, tallies))
    seen: list[tuple[int, int, int]] = sorted(
        (partition, start, end) for one in looks for partition, mine in one.spans().items() for start, end in mine
    )
    for (partition, _, end), (other, start, _) in pairwise(seen):
        if partition == other and start < end:
            differences.append(f"partition {partition}: {start} to {end - 1} committed by two processes")
    total = _sum((tallies[partition][end] for partition, end in ends.items()))
    covered = _sum(_within(one.spans(), tallies) for one in looks)
    counted = _sum(one.counted for one in looks)
    unseen = total - covered
    differences += _outside("all processes", counted, covered, total)
    for number, one in enumerate(looks, 1):
        at_least = _within(one.spans(), tallies)
        differences += _outside(f"process {number}", one.counted, at_least, at_least + unseen)
    records = ("records_consumed", "")
    told = (
        f"{sum(one.number for one in looks)} looks at {len(looks)} processes: {counted[records]} of {total[records]} "
        f"records counted, {covered[records]} of them certain by the offsets shown beside them; "
        f"{sum(len(one.standings) for one in looks)} accounts of partitions compared"
    )
    return differences, told


def _wrong_standings(standings: Iterable[Standing], tallies: Mapping[int, Mapping[int, Tally]]) -> Iterator[str]:
    for partition, offset, records in standings:
        tally = tallies[partition][offset]
        expected = {label: count for (metric, label), count in tally.items() if metric == "records" and count}
        if +records != expected:
            yield f"accounts of partition {partition} at {offset}: {dict(+records)}, not {expected}"


def _within(spans: Spans, tallies: Mapping[int, Mapping[int, Tally]]) -> Tally:
    """The oracle's counts in ranges of offsets."""
    found: Tally = Counter()
    for partition, mine in spans.items():
        for start, end in mine:
            found.update(tallies[partition][end])
            found.subtract(tallies[partition][start])
    return found


def _sum(tallies: Iterable[Tally]) -> Tally:
    found: Tally = Counter()
    for tally in tallies:
        found.update(tally)
    return found


def _outside(who: str, counted: Tally, at_least: Tally, at_most: Tally) -> list[str]:
    return [
        f"{' '.join(name)} of {who}: {counted[name]}, not {at_least[name]} to {at_most[name]}"
        for name in sorted({*counted, *at_least, *at_most})
        if not at_least[name] <= counted[name] <= at_most[name]
    ]
