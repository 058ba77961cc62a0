"""What an engine says that nothing disturbs, and that goes over from bundle to bundle where the service did.

A member tells of a swap before anything that follows from it is committed, so the logs of all members, killed ones too,
tell of every swap that came about. They tell of others as well: a member killed behind its word leaves a swap that
never was, and another makes it at another offset, or not at all. Which ones came about is told by what was committed:
the oracle goes both ways at each, and keeps the one whose outputs and state are those that are there, to the byte.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pipeline.adapters.bundles import Bundle
from pipeline.catalogue.service import DEAD_LETTER_REASONS, OTHER
from pipeline.cli.workshop import EngineWorkshop
from pipeline.codec.checkpoints import decode_checkpoint, encode_checkpoint
from pipeline.config import Config
from pipeline.records import Place
from pipeline.service.outputs import send_outputs
from pipeline.service.plan import Topics
from pipeline.service.task import Task
from tests.chaos.state import hash_of
from tests.kafka_broker import Committed
from tests.pipeline.service.fakes import MemoryLog, MemoryOutbox, Trap

OUTPUTS = ("anomalies", "verdicts", "dead_letters")
_BATCH = 700
"""Messages at a time; not what the service takes, as it must not matter."""

Tally: TypeAlias = Counter[tuple[str, str]]
"""Counts by name and label of the metric, '' for a metric without one."""


class Told(NamedTuple):
    """A swap that a member has told of.

    Attributes:
        offset: of the first record behind it.
        before, bundle: short ids.
    """

    offset: int
    before: str
    bundle: str


def swaps_told(logs: Iterable[str], topic: str) -> dict[int, list[Told]]:
    """Swaps by partition and offset that logs in JSON tell of, each once; those at one offset as they were told."""
    events = [json.loads(line) for log in logs for line in log.splitlines() if '"swapped"' in line]
    found: dict[int, dict[Told, None]] = {}
    for event in sorted(events, key=lambda one: str(one["timestamp"])):
        name, _, partition = event["place"].rpartition("/")
        if name == topic:
            found.setdefault(int(partition), {})[Told(event["offset"], *event["bundle"])] = None
    return {partition: sorted(mine, key=lambda one: one.offset) for partition, mine in found.items()}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run left behind of a partition.

    Attributes:
        outputs: messages by output.
        state: see `hash_of`.
    """

    outputs: Mapping[str, Sequence[Committed]]
    state: str


@dataclass(slots=True)
class Account:
    """What the oracle says of a partition.

    Attributes:
        sent: messages of each output so far.
        swaps: that came about.
        tallies: counts up to before an offset.
        dead_letters, alarms: counts that an engine does not keep.
        difference: where what is there parts from it; '' for nowhere.
        reached: offset up to which all is equal.
    """

    sent: Counter[str] = field(default_factory=Counter)
    swaps: list[Told] = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)
    dead_letters: Counter[str] = field(default_factory=Counter)
    alarms: int = 0
    difference: str = ""
    reached: int = 0

    def fork(self) -> "Account":
        """One that goes on for itself."""
        return Account(
            self.sent.copy(), list(self.swaps), dict(self.tallies), self.dead_letters.copy(), self.alarms,
            self.difference, self.reached,
        )  # fmt: skip


class Oracle:
    """Knows what is right.

    Args:
        bundles: all that there were, the first of them the one that everything began with.
        topic: of the input.
        scratch: for what engines evict.
    """

    def __init__(self, config: Config, bundles: Sequence[Bundle], topic: str, scratch: Path) -> None:
        self._workshops = {bundle.short_id: EngineWorkshop(config, bundle, scratch) for bundle in bundles}
        self._first = bundles[0].short_id
        self._topic = topic

    def judge(
        self, partition: int, messages: Sequence[Any], told: Sequence[Told], seen: Seen, marks: Iterable[int]
    ) -> Account:
        """What is right for a partition, by the swaps that explain most of what is there.

        Args:
            messages: of the input, by offset.
            told: swaps that may have come about, by offset.
            marks: offsets at which counts are wanted; those at the end are there anyway.
        """
        place = Place(self._topic, partition)
        end = messages[-1].offset + 1 if messages else 0
        task = Task(place)
        task.begin(self._workshops[self._first].make(place), None)
        cuts = sorted({*marks, *(one.offset for one in told), 0, end})
        try:
            return self._follow(task, Account(), messages, cuts, list(told), seen)
        finally:
            for workshop in self._workshops.values():
                workshop.release(place)

    def _follow(
        self, task: Task, account: Account, messages: Sequence[Any], cuts: list[int], told: list[Told], seen: Seen
    ) -> Account:
        """The account from where the task is, of whichever swaps lead to the least difference."""
        best: Account | None = None
        for cut in cuts:
            if cut < task.offset:
                continue
            first, last = (bisect_left(messages, at, key=lambda one: one.offset) for at in (task.offset, cut))
            self._process(task, account, messages[first:last], seen)
            if account.difference:
                return _better(best, account)
            account.reached = task.offset = cut
            account.tallies[cut] = _tally(task, account)
            while told and told[0].offset <= cut:
                swap, *told = told
                if task.work is None or swap.before != task.work.identity.bundle:
                    continue
                saved = b"".join(encode_checkpoint(task.save()))
                without = account.fork()
                self._swap(task, swap.bundle)
                account.swaps.append(swap)
                account = self._follow(task, account, messages, cuts, told, seen)
                if not account.difference:
                    return account
                best, account = _better(best, account), without
                task = self._restored(task.place, saved)
        _require_all(account, task, seen)
        return _better(best, account)

    def _swap(self, task: Task, bundle: str) -> None:
        if task.work is None or task.decoder is None:
            raise AssertionError("found no engine; expected one before a swap")
        work = self._workshops[bundle].carry(task.place, task.work)
        if work is None:
            raise AssertionError(f"found lanes that do not fit bundle {bundle}; expected those of a network alike")
        task.begin(work, task.decoder.unit)

    def _restored(self, place: Place, saved: bytes) -> Task:
        checkpoint = decode_checkpoint("oracle", memoryview(saved))
        task = Task(place)
        task.load(self._workshops[checkpoint.run.bundle].make(place), checkpoint)
        task.offset = checkpoint.meta["position"]
        return task

    def _process(self, task: Task, account: Account, messages: Sequence[Any], seen: Seen) -> None:
        for at in range(0, len(messages), _BATCH):
            chunk = messages[at : at + _BATCH]
            if task.work is None or task.decoder is None:
                raise AssertionError("found no engine; expected one before messages")
            log = MemoryLog()
            outbox = MemoryOutbox(log, Trap())
            batch = task.decoder.decode(chunk)
            outcome = task.work.engine.process(batch)
            topics, work = Topics(*("anomalies", "dead_letters", "verdicts")), task.work
            dead = send_outputs(outbox, topics, task.place, chunk, batch, outcome, work.points_per_message)
            outbox.commit({})
            task.advance(len(batch), chunk[-1].offset + 1)
            account.dead_letters += dead
            account.alarms += sum(one.event == "opened" and one.kind != "silence" for one in outcome.anomalies)
            for name in OUTPUTS:
                expected = [_as_seen(*one) for one in log.contents(name).get(task.place.partition, [])]
                sent = account.sent[name]
                found = list(seen.outputs[name][sent : sent + len(expected)])
                if found != expected:
                    account.difference = _difference(name, task.place, sent, found, expected)
                    return
                account.sent[name] += len(expected)


def _require_all(account: Account, task: Task, seen: Seen) -> None:
    for name in OUTPUTS:
        if (there := len(seen.outputs[name])) != account.sent[name]:
            account.difference = f"{name}, partition {task.place.partition}: {there} messages, not {account.sent[name]}"
            return
    if hash_of(task.save(), task.offset) != seen.state:
        account.difference = f"state of partition {task.place.partition}"


def _better(one: Account | None, other: Account) -> Account:
    """The one that explains more."""
    if one is None or not other.difference:
        return other
    return one if one.reached >= other.reached else other


def _difference(name: str, place: Place, sent: int, found: Sequence[Committed], expected: Sequence[Committed]) -> str:
    at = next(n for n, one in enumerate(expected) if n >= len(found) or found[n] != one)
    there = found[at] if at < len(found) else "no more"
    return f"{name}, partition {place.partition}, message {sent + at}: {there}, not {expected[at]}"


def _as_seen(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Committed:
    """A message as Kafka's console consumer shows it."""
    shown = ("null" if one is None else one.decode(errors="replace") for one in (key, value))
    told = ",".join(f"{name}:{content.decode(errors='replace')}" for name, content in headers) or "NO_HEADERS"
    return Committed(next(shown), next(shown), told)


def _tally(task: Task, account: Account) -> Tally:
    counts, tally = task.counts, Counter[tuple[str, str]]()
    tally["records_consumed", ""] = counts["consumed"]
    tally["gaps", ""] = counts["gaps"]
    tally["alarms_opened", ""] = account.alarms
    for metric, name in {
        "records": "records", "points": "points", "problems": "problems", "anomalies": "flagged",
        "episode_events": "events",
    }.items():  # fmt: skip
        for label, count in counts[name].items():
            tally[metric, label] = count
    for reason, count in account.dead_letters.items():
        tally["dead_letters", reason if reason in DEAD_LETTER_REASONS else OTHER] += count
    return tally
