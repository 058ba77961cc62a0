"""The lanes of a partition: which rows of the slab belong to which key, within a hard budget.

A key's fields have neighbouring rows. When there is room for no more keys, those heard of longest ago are evicted:
their rows go to the spill as bytes and come back as the same bytes when the key returns, so an eviction changes no
verdict.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.layout import Slab, allocate
from pipeline.interfaces import Spill

FIRST_KEYS = 64


class LaneTable:
    """Rows of the slab by key.

    Args:
        row: dtype of a lane's row.
        fields: lanes per key.
        max_keys: keys held at most at once.
        spill: takes what is evicted.

    Attributes:
        slab: the state, `fields` rows per key; replaced when it grows.
        names: key of each slot; slot k has the rows from k * fields on.
        evictions, returns: keys evicted and brought back so far.
    """

    def __init__(self, row: np.dtype[Any], fields: int, max_keys: int, spill: Spill) -> None:
        if max_keys < 1:
            raise ValueError(f"found room for {max_keys} keys, expected at least 1")
        self.fields = fields
        self.max_keys = max_keys
        self.names: list[str] = []
        self.evictions = 0
        self.returns = 0
        self._row = row
        self._spill = spill
        self._slots: dict[str, int] = {}
        self._capacity = min(FIRST_KEYS, max_keys)
        self._last_used = np.zeros(self._capacity, np.int64)
        self._tick = 0
        self.slab: Slab = allocate(row, self._capacity * fields)

    def __len__(self) -> int:
        return len(self.names)

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

    def used(self) -> Slab:
        """The rows in use, as views."""
        return {name: array[: len(self) * self.fields] for name, array in self.slab.items()}

    def slots_of(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Slot of each of the distinct keys, made or brought back where needed; at most `max_keys` at a time."""
        if len(keys) > self.max_keys:
            raise ValueError(f"found {len(keys)} keys at once, expected at most {self.max_keys}")
        self._tick += 1
        new = [key for key in keys if key not in self._slots]
        if new:
            for key in keys:
                if (slot := self._slots.get(key)) is not None:
                    self._last_used[slot] = self._tick
            self._admit(new)
        slots = np.fromiter((self._slots[key] for key in keys), np.int64, len(keys))
        self._last_used[slots] = self._tick
        return slots

    def rows(self, slot: int) -> Slab:
        """The rows of one slot, as views."""
        return {name: array[slot * self.fields : (slot + 1) * self.fields] for name, array in self.slab.items()}

    def _admit(self, new: Sequence[str]) -> None:
        free = self.max_keys - len(self.names)
        reused = self._evict(len(new) - free) if len(new) > free else []
        self._grow(len(self.names) + len(new) - len(reused))
        kept = self._spill.take_many(new)
        self.returns += len(kept)
        for key in new:
            if reused:
                slot = reused.pop()
                self.names[slot] = key
            else:
                slot = len(self.names)
                self.names.append(key)
            self._slots[key] = slot
            if key in kept:
                self._unpack(slot, kept[key])
            self._last_used[slot] = self._tick

    def _evict(self, needed: int) -> list[int]:
        """Free the slots of as many keys as needed, those used longest ago."""
        slots: list[int] = np.argsort(self._last_used[: len(self)], kind="stable")[:needed].tolist()
        self._spill.put_many([(self.names[slot], self._pack(slot)) for slot in slots])
        for slot in slots:
            del self._slots[self.names[slot]]
            for array in self.rows(slot).values():
                array[...] = np.zeros((), array.dtype)
        self.evictions += len(slots)
        return slots

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

    def save(self) -> tuple[dict[str, NDArray[Any]], list[str], list[tuple[str, bytes]]]:
        """(arrays of the rows in use with when each key was last used, keys of the slots, spilled keys)."""
        arrays = {name: array.copy() for name, array in self.used().items()}
        arrays["lanes_last_used"] = self._last_used[: len(self)].copy()
        arrays["lanes_counters"] = np.array([self._tick, self.evictions, self.returns])
        return arrays, list(self.names), sorted(self._spill.items())

    def load(
        self, arrays: Mapping[str, NDArray[Any]], names: Sequence[str], spilled: Iterable[tuple[str, bytes]]
    ) -> None:
        """Become what `save` gave; the table must be empty."""
        self._tick, self.evictions, self.returns = arrays["lanes_counters"].tolist()
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
            array[...] = self._by_key(arrays[name])[kept].reshape(array.shape)
        self._spill.put_many(
            (names[slot], b"".join(self._by_key(arrays[name])[slot].tobytes() for name in self.slab))
            for slot in by_use[:surplus].tolist()
        )
        self.evictions += surplus

    def _by_key(self, array: NDArray[Any]) -> NDArray[Any]:
        """(keys, fields, ...) view of an array of rows."""
        return array.reshape(-1, self.fields, *array.shape[1:])
