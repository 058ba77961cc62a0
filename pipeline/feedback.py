"""What people say of stretches of time: false alarms, maintenance, true anomalies; and which of it is about a point.

Where several are about the same point the weightiest counts: a true anomaly before maintenance, and that before a false
alarm.
"""

import fnmatch
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Suppression

Kind = Literal["false_alarm", "maintenance", "true_anomaly"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""The weightiest last."""
NONE, FALSE_ALARM, MAINTENANCE, TRUE_ANOMALY = range(4)
"""What `Ranges.kinds` tells of a point."""
OPEN_US = int(np.iinfo(np.int64).max)
"""End of a range that has none yet."""
_MOST_CACHED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What somebody says of a stretch of event time of some lanes.

    Attributes:
        id: of it; a later one of the same id takes its place.
        key: of the streams that it is about, exactly; None for what `keys` says.
        keys: a pattern of keys, with `*`, `?` and `[...]` as a shell has them; None, beside no key, for all.
        field: the lane; None for all lanes of a key, the joint one included.
        from_us, to_us: both within; `OPEN_US` for no end yet.
        note, by, at: why, by whom, and when it was said.
    """

    id: str
    kind: Kind
    key: str | None = None
    keys: str | None = None
    field: str | None = None
    from_us: int
    to_us: int = OPEN_US
    note: str = ""
    by: str = ""
    at: str = ""

    def covers(self, time_us: int) -> bool:
        """Whether a time lies in the range."""
        return self.from_us <= time_us <= self.to_us

    def is_about(self, field: str) -> bool:
        """Whether a field, of a key that it is about, is meant."""
        return self.field is None or self.field == field


class Ranges:
    """Feedback that can be asked what it says of a point; stays as it is, and can be asked from any thread.

    Iterating gives it by id.
    """

    def __init__(self, feedback: Iterable[Feedback] = ()) -> None:
        self._all = {one.id: one for one in sorted(feedback, key=lambda one: one.id)}
        self._by_key: dict[str, list[Feedback]] = {}
        self._by_pattern: list[tuple[re.Pattern[str], Feedback]] = []
        for one in self._all.values():
            if one.key is not None:
                self._by_key.setdefault(one.key, []).append(one)
            else:
                pattern = "*" if one.keys is None else one.keys
                self._by_pattern.append((re.compile(fnmatch.translate(pattern)), one))
        self._known: dict[str, tuple[Feedback, ...]] = {}

    def says_the_same(self, other: "Ranges") -> bool:
        """Whether another holds the same feedback."""
        return [*self] == [*other]

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Feedback]:
        return iter(self._all.values())

    def of(self, key: str) -> tuple[Feedback, ...]:
        """All that is about a key, the weightiest first, of one kind by id."""
        known = self._known.get(key)
        if known is None:
            found = [one for pattern, one in self._by_pattern if pattern.match(key)] + self._by_key.get(key, [])
            known = tuple(sorted(found, key=lambda one: (-KINDS.index(one.kind), one.id)))
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[key] = known
        return known

    def find(self, key: str, field: str, time_us: int) -> Feedback | None:
        """The weightiest that is about a point; None for none."""
        return next((one for one in self.of(key) if one.covers(time_us) and one.is_about(field)), None)

    def suppressing(self, key: str, field: str, time_us: int) -> Suppression | None:
        """Why nobody need be told of a point; None where that is not so."""
        found = self.find(key, field, time_us)
        if found is None or found.kind == "true_anomaly":
            return None
        return Suppression(found.id, found.kind, found.note)

    def suppressed_until(self, key: str, field: str, time_us: int) -> int:
        """End of the ranges that a point is suppressed by, one behind the other; the time where there is none."""
        end = time_us
        while (found := self.find(key, field, end)) is not None and found.kind != "true_anomaly":
            if found.to_us == OPEN_US:
                return OPEN_US
            end = found.to_us + 1
        return max(end - 1, time_us)

    def kinds(self, key: str, field: str, times_us: NDArray[np.int64]) -> NDArray[np.int8]:
        """What is said of each point (n,) of a lane: `NONE`, `FALSE_ALARM`, `MAINTENANCE` or `TRUE_ANOMALY`."""
        told = np.zeros(len(times_us), np.int8)
        for one in reversed(self.of(key)):
            if one.is_about(field):
                told[(times_us >= one.from_us) & (times_us <= one.to_us)] = 1 + KINDS.index(one.kind)
        return told

    def counts(self) -> dict[Kind, int]:
        """How much there is of each kind."""
        counted = Counter(one.kind for one in self)
        return {kind: counted[kind] for kind in KINDS}

    def digest(self) -> str:
        """16 hex digits of all that it says; those of none are ''."""
        if not self._all:
            return ""
        digest = hashlib.blake2b(digest_size=8)
        for one in self:
            said = (one.id, one.kind, one.key, one.keys, one.field, one.from_us, one.to_us, one.note, one.by, one.at)
            digest.update(repr(said).encode())
        return digest.hexdigest()


NOTHING_SAID: Final = Ranges()
