"""A log in memory with transactions, and a member of its group that can be made to crash at any call."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pipeline.carrying import carry_state
from pipeline.codec.decoding import make_decoder
from pipeline.codec.formats import MessageFormat
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.errors import ExpiredError, TooLongError, TransactionError
from pipeline.interfaces import Headers, Membership
from pipeline.records import Checkpoint, Place, Position, RunIdentity
from pipeline.service.plan import Chunk, Standing, Work
from tests.fakes import MemorySpill, make_detector

LAYOUT = MessageFormat(time_field="time", time_unit="ms")


class Crash(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Stored:
    """A message in the log; fulfils `Message`."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Headers = ()


@dataclass
class MemoryLog:
    """Topics, and what the group has committed; outlives every crash."""

    partitions: dict[Place, list[Stored]] = field(default_factory=lambda: defaultdict(list))
    first: dict[Place, int] = field(default_factory=dict)
    committed: dict[Place, Position] = field(default_factory=dict)

    def append(self, place: Place, key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
        """The offset of a new message; every tenth offset is a mark of a transaction, not a message."""
        log = self.partitions[place]
        offset = log[-1].offset + 1 if log else 0
        offset += offset % 10 == 9
        log.append(Stored(offset, key, value, 1_700_000_000_000 + offset * 1000, tuple(headers)))
        return offset

    def contents(self, topic: str) -> dict[int, list[tuple[Any, ...]]]:
        """What readers of a topic see, by partition."""
        return {
            place.partition: [(one.key, one.value, one.headers) for one in log]
            for place, log in self.partitions.items()
            if place.topic == topic
        }


class Trap:
    """Crashes at the n-th call of anything that it watches."""

    def __init__(self, calls: int | None = None) -> None:
        self.left = calls

    def step(self) -> None:
        """A call."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash


class MemoryFeed:
    """Fulfils `Feed`: the one member of a group that holds every partition of a topic."""

    def __init__(self, log: MemoryLog, places: Collection[Place], trap: Trap) -> None:
        self._log = log
        self._places = list(places)
        self._trap = trap
        self._membership: Membership | None = None
        self.positions: dict[Place, int] = {}
        self.paused: set[Place] = set()
        self.to_lose: list[Place] = []
        self.to_revoke: list[Place] = []

    def subscribe(self, membership: Membership) -> None:
        self._membership = membership

    def poll(self, timeout_s: float, max_messages: int) -> Mapping[Place, Sequence[Stored]]:
        assert self._membership is not None
        self._trap.step()
        new = [place for place in self._places if place not in self.positions]
        if new:
            self.positions |= dict.fromkeys(new, 0)
            self._membership.on_assigned(new)
        if self.to_lose:
            lost, self.to_lose = self.to_lose, []
            for place in lost:
                del self.positions[place]
            self._membership.on_lost(lost)
        if self.to_revoke:
            revoked, self.to_revoke = self.to_revoke, []
            self._membership.on_revoked(revoked)
            for place in revoked:
                del self.positions[place]
        found = {}
        for place in self._places:
            if place in self.paused or place not in self.positions:
                continue
            at = self.positions[place]
            if at < self._log.first.get(place, 0):
                raise ExpiredError("gone", {tuple(place): at})  # type: ignore[dict-item]
            messages = [one for one in self._log.partitions[place] if one.offset >= at][:max_messages]
            if messages:
                found[place] = messages
                self.positions[place] = messages[-1].offset + 1
            else:
                self.positions[place] = max(at, self._end(place))
        return found

    def _end(self, place: Place) -> int:
        log = self._log.partitions[place]
        end = log[-1].offset + 1 if log else 0
        return end + (end % 10 == 9)

    def committed(self, place: Place) -> Position | None:
        return self._log.committed.get(place)

    def bounds(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        return {place: (self._log.first.get(place, 0), self._end(place)) for place in places}

    def position(self, place: Place) -> int:
        return self.positions[place]

    def seek(self, place: Place, offset: int) -> None:
        self.positions[place] = offset

    def pause(self, places: Collection[Place]) -> None:
        self.paused |= set(places)

    def resume(self, places: Collection[Place]) -> None:
        self.paused -= set(places)

    def close(self) -> None:
        assert self._membership is not None
        self._membership.on_revoked(list(self.positions))


class MemoryReceipt:
    """Fulfils `Receipt`."""

    def __init__(self) -> None:
        self.at = -1

    def offset(self) -> int:
        assert self.at >= 0, "asked before the commit"
        return self.at


class MemoryOutbox:
    """Fulfils `Outbox`; a commit can fail, be in doubt, or crash before or behind what it does.

    Args:
        failures: which commits do nothing and say so.
        doubts: which commits are made and said to have failed, as when the answer to the last request is lost.
    """

    def __init__(
        self, log: MemoryLog, trap: Trap, failures: set[int] | None = None, doubts: set[int] | None = None
    ) -> None:
        self._log = log
        self._trap = trap
        self._failures = failures or set()
        self._doubts = doubts or set()
        self._commits = 0
        self._waiting: list[tuple[Place, Any, Any, Headers, MemoryReceipt]] = []
        self.aborted = 0
        self.limit = 10**6

    def send(
        self, topic: str, partition: int, *, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> MemoryReceipt:
        size = len(key or b"") + len(value or b"") + sum(len(name) + len(content) for name, content in headers)
        if size > self.limit:
            raise TooLongError(topic, size, self.limit)
        receipt = MemoryReceipt()
        self._waiting.append((Place(topic, partition), key, value, headers, receipt))
        return receipt

    def commit(self, positions: Mapping[Place, Position]) -> None:
        self._trap.step()
        self._commits += 1
        if self._commits in self._failures:
            self.abort()
            raise TransactionError("found the transaction failing")
        for place, key, value, headers, receipt in self._waiting:
            receipt.at = self._log.append(place, key, value, headers)
        self._waiting.clear()
        for place, position in positions.items():
            before = self._log.committed.get(place)
            assert before is None or position.offset >= before.offset, "a commit went backwards"
            self._log.committed[place] = position
        self._trap.step()
        if self._commits in self._doubts:
            raise TransactionError("found no answer to a commit")

    def abort(self) -> None:
        self.aborted += bool(self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        self.abort()


class TestWorkshop:
    """Fulfils `Workshop`, with a small network; `settings` stand for the configuration.

    Args:
        fits: whether state of another configuration can be gone on with.
        bundle: that there is at first.
        newer: the one that there is after so many rounds.
    """

    __test__ = False
    BUNDLES: ClassVar = {"bundle": 1.0, "newer": 0.7, "newest": 0.4}
    """Gain of the network of each."""

    def __init__(
        self,
        settings: str = "one",
        threshold: float = 1.3,
        *,
        fits: bool = True,
        bundle: str = "bundle",
        newer: Mapping[int, str] | None = None,
    ) -> None:
        self._settings = settings
        self._threshold = threshold
        self._fits = fits
        self._bundle = bundle
        self._newer = newer or {}
        self._rounds = 0

    def renew(self) -> None:
        self._rounds += 1
        self._bundle = self._newer.get(self._rounds, self._bundle)

    def identity(self, place: Place) -> RunIdentity:
        return RunIdentity(self._settings, self._bundle, place.topic)

    def make(self, place: Place) -> Work:
        return self._make(place, self._settings, self._threshold, self._bundle)

    def make_under(self, place: Place, bundle: str) -> Work | None:
        return self._make(place, self._settings, self._threshold, bundle) if self._fits else None

    def make_for(self, place: Place, state: Checkpoint, *, redo: bool) -> Work | None:
        if not self._fits:
            return None
        return self._make(place, state.run.config_hash, state.meta["settings"]["threshold"], state.run.bundle)

    def carry(self, place: Place, old: Work) -> Work | None:
        new = self.make(place)
        return new if self._fits and carry_state(old.engine, new.engine) else None

    def release(self, place: Place) -> None:
        pass

    def _make(self, place: Place, settings: str, threshold: float, bundle: str) -> Work:
        detector = make_detector(threshold=threshold, gain=self.BUNDLES[bundle], warm_up=20)
        origin = Origin(place.topic, str(place.partition), bundle)
        return Work(
            PartitionEngine(detector, EngineConfig(), ("value",), origin, MemorySpill()),
            RunIdentity(settings, bundle, place.topic),
            {"threshold": threshold},
            1,
            lambda unit: make_decoder(LAYOUT, unit),
        )


class Notes:
    """Fulfils `Observer` and `Log`: remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.standing: dict[Place, Standing] = {}
        self.lost_records = 0

    def names(self) -> list[str]:
        """Events told, in order."""
        return [name for name, _ in self.events]

    def info(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    warning = error = info

    def beat(self) -> None:
        pass

    def at_rest(self) -> None:
        pass

    def set_status(self, status: Mapping[Place, str]) -> None:
        self.status = dict(status)

    def fetched(self, messages: int) -> None:
        pass

    def decoded(self, messages: int) -> None:
        pass

    def scored(self, messages: int) -> None:
        pass

    def in_hand(self, *, decoding: int, scoring: int, aborted: int) -> None:
        self.aborted = aborted

    def processed(self, place: Place, engine: Any, outcome: Any, chunk: Chunk, **seconds: float) -> None:
        pass

    def suppressed(self, place: Place, marked: Any) -> None:
        self.events.append(("suppressed", {"place": place, "marked": marked}))

    def dead_lettered(self, reasons: Mapping[str, int]) -> None:
        pass

    def committed(self, seconds: float) -> None:
        pass

    def commit_failed(self) -> None:
        self.events.append(("commit_failed_told", {}))

    def stands(self, standing: Mapping[Place, Standing]) -> None:
        self.standing |= standing

    def rebalanced(self, kind: str, places: Collection[Place]) -> None:
        pass

    def restored(self, place: Place, seconds: float, snapshot_offset: int) -> None:
        pass

    def swapped(self, place: Place, before: RunIdentity, now: RunIdentity) -> None:
        pass

    def snapshot_taken(self, place: Place, offset: int, seconds: float) -> None:
        self.events.append(("snapshot_taken", {"place": place, "offset": offset}))

    def lost(self, place: Place, records: int) -> None:
        self.lost_records += records

    def stalled(self, places: Collection[Place]) -> None:
        self.stalled_places = list(places)


def point(time_ms: int, value: Any) -> bytes:
    """A message."""
    return json.dumps({"time": time_ms, "value": value}).encode()
