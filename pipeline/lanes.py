"""The lanes of a partition: which rows of the slab belong to which key, within a hard budget.

A key's fields have neighbouring rows. When room for new keys runs short, those heard of longest ago are evicted: their
rows go to the spill as bytes and come back as the same bytes when the key returns, so an eviction changes no verdict.
Who is evicted, and when, follows from the records alone, not from how they are cut into batches: at every `interval`-th
record room is made for that many new keys.

A key that is met for the first time begins with rows of zeros, or where its past is known with the rows that this has
left, whenever that is.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.layout import Slab, allocate
from pipeline.interfaces import Spill
from pipeline.records import Batch, KeyedRows

FIRST_KEYS = 64
LONGEST_INTERVAL = 4096


class LaneTable:
    """Rows of the slab by key.

    Args:
        row: dtype of a lane's row.
        fields: lanes per key.
        max_keys: keys held at most at once.
        spill: takes what is evicted.
        past: rows that keys begin with; for other keys, and with None for all, zeros.

    Attributes:
        slab: the state, `fields` rows per key; replaced when it grows.
        names: key of each slot; slot k has the rows from k * fields on.
        interval: records between two times at which room is made; no more than `max_keys`.
        evictions, returns: keys evicted and brought back so far.
        with_past: keys that began with rows of the past so far.

    Raises:
        ValueError: no room for any key.
    """

    def __init__(
        self, row: np.dtype[Any], fields: int, max_keys: int, spill: Spill, past: KeyedRows | None = None
    ) -> None:
        if max_keys < 1:
            raise ValueError(f"found room for {max_keys} keys; expected at least 1")
        self.fields = fields
        self.max_keys = max_keys
        self.interval = max(1, min(LONGEST_INTERVAL, max_keys // 4))
        self.names: list[str] = []
        self.evictions = 0
        self.returns = 0
        self.with_past = 0
        self._row = row
        self._spill = spill
        self._past = past
        self._slots: dict[str, int] = {}
        self._capacity = min(FIRST_KEYS, max_keys)
        self._last_used = np.zeros(self._capacity, np.int64)
        self.slab: Slab = allocate(row, self._capacity * fields)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def row_type(self) -> np.dtype[Any]:
        """What a lane's row is made of; a saved table can be loaded by one of the same type."""
        return self._row

    @property
    def keys_seen(self) -> int:
        """Distinct keys so far, evicted ones included."""
        return len(self) + self.evictions - self.returns

    @property
    def bytes_per_lane(self) -> int:
        """Bytes of a lane's state."""
        return self._row.itemsize

    @property
    def state_bytes(self) -> int:
        """Bytes of the rows in use."""
        return len(self) * self.fields * self._row.itemsize

    @property
    def budget_bytes(self) -> int:
        """Bytes of the rows of `max_keys`."""
        return self.max_keys * self.fields * self._row.itemsize

    def used(self) -> Slab:
        """The rows in use, as views."""
        return {name: array[: len(self) * self.fields] for name, array in self.slab.items()}

    def rows_of(self, batch: Batch, unusable: NDArray[np.bool_], consumed: int) -> NDArray[np.int64]:
        """First row of each record's key; 0 for unusable records, whose points reach no lane.

        New keys get their rows in the order in which they are first met, however the records are cut into batches.

        Args:
            batch: the records.
            unusable: (n,) whether nothing can be made of a record.
            consumed: records before these.
        """
        usable = np.flatnonzero(~unusable)[::-1]
        first = np.full(len(batch.key_names), len(batch), np.int64)
        first[batch.key_codes[usable]] = usable  # of several records of a key, the one assigned last: its first
        used = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(batch))]
        last = np.zeros(len(batch.key_names), np.int64)
        last[batch.key_codes[usable[::-1]]] = usable[::-1]
        slots = np.zeros(len(batch.key_names), np.int64)
        names = [batch.key_names[code] for code in used.tolist()]
        slots[used] = self.slots_of(names, consumed + 1 + last[used])
        return slots[batch.key_codes] * self.fields

    def slots_of(self, keys: Sequence[str], last_used: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slot of each of the distinct keys, made or brought back where needed.

        Args:
            last_used: of each key, the ordinal of the newest record of it.

        Raises:
            ValueError: there is no room for so many new keys.
        """
        new = [key for key in keys if key not in self._slots]
        if new:
            self._admit(new)
        slots = np.fromiter((self._slots[key] for key in keys), np.int64, len(keys))
        self._last_used[slots] = last_used
        return slots

    def slot_of(self, key: str) -> int | None:
        """Slot of a key; None where it is not in memory."""
        return self._slots.get(key)

    def is_roomy(self, keys: int) -> bool:
        """Whether no room has to be made even if so many keys are new."""
        return len(self) + keys <= self.max_keys - self.interval

    def make_room(self) -> None:
        """Evict the keys used longest ago until `interval` new ones have room."""
        surplus = len(self) - (self.max_keys - self.interval)
        if surplus > 0:
            self._evict(surplus)

    def put_away(self) -> None:
        """Evict all keys, so that what is saved has them in order."""
        self._evict(len(self))

    def rows(self, slot: int) -> Slab:
        """The rows of one slot, as views."""
        return {name: array[slot * self.fields : (slot + 1) * self.fields] for name, array in self.slab.items()}

    def _admit(self, new: Sequence[str]) -> None:
        if len(self) + len(new) > self.max_keys:
            raise ValueError(f"found {len(new)} new keys beside {len(self)}; expected at most {self.max_keys} in all")
        self._grow(len(self) + len(new))
        kept = self._spill.take_many(new)
        self.returns += len(kept)
        if self._past is not None and len(kept) < len(new):
            begun = self._past.find([key for key in new if key not in kept])
            self.with_past += len(begun)
            kept |= begun
        for slot, key in enumerate(new, len(self)):
            self._slots[key] = slot
            if key in kept:
                self._unpack(slot, kept[key])
        self.names += new

    def _evict(self, count: int) -> None:
        """Free the slots of so many keys, those used longest ago; keys behind them move into the holes."""
        slots = np.sort(np.argsort(self._last_used[: len(self)], kind="stable")[:count])
        self._spill.put_many([(self.names[slot], self._pack(slot)) for slot in slots.tolist()])
        left = len(self) - count
        holes = slots[slots < left]
        moved = np.setdiff1d(np.arange(left, len(self)), slots)
        for array in self.slab.values():
            by_key = self._by_key(array)
            by_key[holes] = by_key[moved]
            by_key[left : len(self)] = np.zeros((), array.dtype)
        self._last_used[holes] = self._last_used[moved]
        for slot in slots.tolist():
            del self._slots[self.names[slot]]
        for hole, slot in zip(holes.tolist(), moved.tolist(), strict=True):
            self.names[hole] = self.names[slot]
            self._slots[self.names[hole]] = hole
        del self.names[left:]
        self.evictions += count

    def _grow(self, keys: int) -> None:
        if keys <= self._capacity:
            return
        self._capacity = min(max(keys, 2 * self._capacity), self.max_keys)
        larger = allocate(self._row, self._capacity * self.fields)
        for name, array in self.slab.items():
            larger[name][: len(array)] = array
        self.slab = larger
        last_used = np.zeros(self._capacity, np.int64)
        last_used[: len(self._last_used)] = self._last_used
        self._last_used = last_used

    def _pack(self, slot: int) -> bytes:
        return b"".join(array.tobytes() for array in self.rows(slot).values())

    def _unpack(self, slot: int, packed: bytes) -> None:
        offset = 0
        for array in self.rows(slot).values():
            array[...] = np.frombuffer(packed, array.dtype, array.size, offset).reshape(array.shape)
            offset += array.nbytes

    def save(self) -> tuple[dict[str, NDArray[Any]], list[str], Iterable[tuple[str, bytes]]]:
        """(arrays of the rows in use with when each key was last used, keys of the slots, spilled keys).

        All are of this moment, whatever comes later; the spilled keys are left where they are, and can be read until
        the next call.
        """
        arrays = {name: array.copy() for name, array in self.used().items()}
        arrays["lanes_last_used"] = self._last_used[: len(self)].copy()
        arrays["lanes_counters"] = np.array([self.evictions, self.returns, self.with_past])
        return arrays, list(self.names), self._spill.items()

    def load(
        self, arrays: Mapping[str, NDArray[Any]], names: Sequence[str], spilled: Iterable[tuple[str, bytes]]
    ) -> None:
        """Become what `save` gave; the table must be empty."""
        self.evictions, self.returns, *others = arrays["lanes_counters"].tolist()
        self.with_past = others[0] if others else 0  # states saved by earlier versions have no such count
        self._spill.put_many(spilled)
        last_used = arrays["lanes_last_used"]
        by_use = np.argsort(last_used, kind="stable")
        surplus = max(len(names) - self.max_keys, 0)  # where the budget has become smaller
        kept = np.sort(by_use[surplus:])
        self._grow(len(kept))
        self.names = [names[slot] for slot in kept.tolist()]
        self._slots = {key: slot for slot, key in enumerate(self.names)}
        self._last_used[: len(kept)] = last_used[kept]
        for name, array in self.used().items():
            array[...] = arrays[name] if not surplus else self._by_key(arrays[name])[kept].reshape(array.shape)
        self._spill.put_many(
            (names[slot], b"".join(self._by_key(arrays[name])[slot].tobytes() for name in self.slab))
            for slot in by_use[:surplus].tolist()
        )
        self.evictions += surplus

    def _by_key(self, array: NDArray[Any]) -> NDArray[Any]:
        """(keys, fields, ...) view of an array of rows."""
        return array.reshape(-1, self.fields, *array.shape[1:])
