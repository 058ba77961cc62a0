"""A user's history, as the engine saw it: the steps of every key, taken from the verdicts of a replay.

What is trained on has so been through the very windows, rules of time and order that scoring has, and the verdicts tell
which points are of an incident.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.feedback import FALSE_ALARM, MAINTENANCE, NONE, NOTHING_SAID, Ranges
from pipeline.records import JOINT, Anomaly, Checkpoint, Disposition, VerdictTable

_DTYPE = np.dtype(
    [
        ("time_us", "i8"),
        ("position", "i8"),
        ("value", "f8"),
        ("field", "i1"),
        ("in_episode", "?"),
        ("opens", "?"),
    ]
)
SLACK = 1.25
"""Points are forgotten when there are so many times as many as may be kept: seldom, since it takes a pass over all."""


def of_fields(table: VerdictTable) -> NDArray[np.bool_]:
    """Which rows (n,) are of fields: those of joint lanes are made of them, and no record has their values."""
    return np.array([name != JOINT for name in table.field_names])[table.field]


def kinds_of(table: VerdictTable, feedback: Ranges) -> NDArray[np.int8]:
    """What is said of each row (n,) of a table; see `Ranges.kinds`."""
    told = np.zeros(len(table), np.int8)
    for code in np.unique(table.key).tolist() if len(feedback) else ():
        key = table.key_names[code]
        if feedback.of(key):
            for place, name in enumerate(table.field_names):
                rows = np.flatnonzero((table.key == code) & (table.field == place))
                told[rows] = feedback.kinds(key, name, table.time_us[rows])
    return told


@dataclass(slots=True)
class KeyHistory:
    """What is kept of a key.

    Attributes:
        seen: its points so far.
        parts: the newest of them, in order.
    """

    seen: int = 0
    parts: list[NDArray[np.void]] = field(default_factory=list)

    def points(self) -> NDArray[np.void]:
        """Those kept, as one array."""
        if len(self.parts) != 1:
            self.parts = [np.concatenate(self.parts) if self.parts else np.empty(0, _DTYPE)]
        return self.parts[0]

    def keep(self, count: int) -> None:
        """Forget all but so many of the newest."""
        points = self.points()
        if len(points) > count:
            self.parts = [points[len(points) - count :].copy()]


class History:
    """Takes the verdicts of replays and keeps the points of each key; fulfils `pipeline.interfaces.Outputs`.

    Memory is bounded: of each key the newest points are kept, as many as the budget has room for. Where that would
    leave keys with fewer than `least`, only as many keys as have room are kept, chosen by a hash of their names. What
    is kept does not depend on how the records were cut into micro-batches.

    Iterating gives (source, partition and key; the key's points in order), by name.

    Args:
        most: points kept in all.
        least: points of a key below which none is cut.
        feedback: points in maintenance and in true anomalies count as points of episodes, which are not learned;
            those of false alarms do not.

    Attributes:
        source, partition: of the records to come; part of a key's name here.
        fields: names of the fields, in the order of the first table; joint lanes, which come last, are left out.
        feedback: as given.
    """

    def __init__(self, most: int, least: int, feedback: Ranges = NOTHING_SAID) -> None:
        self.source = ""
        self.partition = ""
        self.fields: tuple[str, ...] = ()
        self._most = most
        self._least = least
        self.feedback = feedback
        self._keys: dict[tuple[str, str, str], KeyHistory] = {}
        self._held = 0
        self._forgotten: set[tuple[str, str, str]] = set()

    def add(self, tables: Iterable[VerdictTable], anomalies: Iterable[Anomaly]) -> None:  # noqa: ARG002
        """Take what came of a micro-batch."""
        for table in tables:
            self.fields = self.fields or tuple(name for name in table.field_names if name != JOINT)
            taken = np.flatnonzero((table.disposition <= Disposition.WARMING) & of_fields(table))
            points = np.empty(len(taken), _DTYPE)
            for name in ("time_us", "position", "value"):
                points[name] = getattr(table, name)[taken]
            place = np.array([self.fields.index(name) for name in table.field_names if name != JOINT], np.int8)
            points["field"] = place[table.field[taken]]
            said = kinds_of(table, self.feedback)[taken]
            points["in_episode"] = np.where(said == NONE, table.episode[taken] != -1, said > FALSE_ALARM)
            opens = table.is_anomaly[taken] & (table.episode[taken] == table.position[taken])
            points["opens"] = opens & (said != MAINTENANCE)
            self._file(table.key_names, table.key[taken], points)
        if self._held > SLACK * self._most:
            self._forget()

    def checkpoint(self, state: Checkpoint) -> None:
        """Nothing: a history is not gone on with."""

    def suspend(self, state: Checkpoint) -> None:
        """As above."""

    def publish(self) -> None:
        """Forget what is too much, at the end of a replay."""
        self._forget()

    @property
    def keys_seen(self) -> int:
        """Keys, those included that had no room."""
        return len(self._keys) + len(self._forgotten)

    @property
    def points_seen(self) -> int:
        """Points of the keys that are kept, those included that had no room."""
        return sum(key.seen for key in self._keys.values())

    @property
    def keys_kept(self) -> int:
        """Keys that have room."""
        return len(self._keys)

    @property
    def points_kept(self) -> int:
        """Points of all keys."""
        return self._held

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str], NDArray[np.void]]]:
        """(source, partition and key; its points in order), by name."""
        for name in sorted(self._keys):
            yield name, self._keys[name].points()

    def window_us(self) -> tuple[int, int]:
        """Event time of the first point that is kept, and the one before which they end; there is at least one."""
        kept = [points["time_us"] for _, points in self if len(points)]
        return min(int(times.min()) for times in kept), 1 + max(int(times.max()) for times in kept)

    def digest(self) -> str:
        """SHA-256 in hex of all that is kept: names, times, fields and values, and of what was said of them."""
        digest = hashlib.sha256(repr(self.fields).encode() + self.feedback.digest().encode())
        for name, points in self:
            digest.update(repr(name).encode())
            for column in ("time_us", "field", "value"):
                digest.update(np.ascontiguousarray(points[column]).tobytes())
        return digest.hexdigest()

    def _file(self, names: list[str], codes: NDArray[np.int32], points: NDArray[np.void]) -> None:
        order = np.argsort(codes, kind="stable")
        codes, points = codes[order], points[order]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(codes)], strict=True):
            name = (self.source, self.partition, names[codes[start]])
            if name in self._forgotten:
                continue
            key = self._keys.setdefault(name, KeyHistory())
            key.seen += int(stop - start)
            key.parts.append(points[start:stop])
            self._held += int(stop - start)

    def _forget(self) -> None:
        room = max(self._most // self._least, 1)
        if self.keys_seen > room:
            by_hash = sorted(self._keys, key=lambda name: hashlib.sha256(repr(name).encode()).digest())
            for name in by_hash[room:]:
                del self._keys[name]
                self._forgotten.add(name)
            cap = self._least
        else:
            cap = _cap([key.seen for key in self._keys.values()], self._most)
        for key in self._keys.values():
            key.keep(cap)
        self._held = sum(len(key.points()) for key in self._keys.values())


def _cap(counts: list[int], most: int) -> int:
    """Largest cap under which counts sum to no more than `most`."""
    room = most
    for done, count in enumerate(sorted(counts)):
        if count * (len(counts) - done) > room:
            return room // (len(counts) - done)
        room -= count
    return max(counts, default=0)
