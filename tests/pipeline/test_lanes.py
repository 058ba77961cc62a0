from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.lanes import FIRST_KEYS, LaneTable
from tests.fakes import MemorySpill

_ORDINAL = [0]
"""Of the newest record."""
ROW = np.dtype([("count", "i8"), ("ring", "f4", (3,))])


def _table(max_keys: int, fields: int = 1, spill: MemorySpill | None = None) -> LaneTable:
    return LaneTable(ROW, fields, max_keys, spill or MemorySpill())


def _slots(table: LaneTable, *keys: str) -> NDArray[np.int64]:
    """Slots of keys that are used now."""
    _ORDINAL[0] += len(keys)
    return table.slots_of(keys, _ORDINAL[0] + np.arange(len(keys)))


def _visit(table: LaneTable, *keys: str) -> NDArray[np.int64]:
    """Count a visit of each key in each of its rows, and write it into their rings."""
    if not table.is_roomy(len(keys)):
        table.make_room()
    slots = _slots(table, *keys)
    for slot in slots.tolist():
        rows = table.rows(slot)
        rows["count"] += 1
        rows["ring"] += np.arange(table.fields, dtype=np.float32)[:, None]
    return slots


def _state(table: LaneTable, key: str) -> tuple[Any, ...]:
    if key not in table.names:
        table.make_room()
    rows = table.rows(int(_slots(table, key)[0]))
    return tuple(array.tolist() for array in rows.values())


def test_a_key_keeps_its_slot_and_starts_at_zero() -> None:
    """Keys get slots in the order given, the same ones ever after, and rows that have seen nothing."""
    table = _table(10, fields=2)
    assert _slots(table, "b", "a").tolist() == [0, 1]
    assert _slots(table, "a", "c", "b").tolist() == [1, 2, 0]
    assert table.names == ["b", "a", "c"]
    assert len(table.used()["count"]) == 6
    assert not table.used()["ring"].any()


def test_growing_keeps_the_rows() -> None:
    """More keys than there was room for at first change no row, and the bytes count the rows in use."""
    table = _table(1000, fields=2)
    for _ in range(3):
        _visit(table, "first")
    _visit(table, *(str(n) for n in range(2 * FIRST_KEYS)))
    assert _state(table, "first") == ([3, 3], [[0.0] * 3, [3.0] * 3])
    assert table.state_bytes == (2 * FIRST_KEYS + 1) * 2 * ROW.itemsize
    assert table.keys_seen == 2 * FIRST_KEYS + 1


def test_the_key_used_longest_ago_is_evicted_and_comes_back_as_it_was() -> None:
    """Making room sends the key used longest ago to the spill; it returns to the bit, and no rows are mixed up."""
    spill = MemorySpill()
    table = _table(3, fields=2, spill=spill)
    for key in "abac":
        _visit(table, key)
    table.make_room()
    assert sorted(spill.rows) == ["b"]
    assert _state(table, "c") == ([1, 1], [[0.0] * 3, [1.0] * 3])
    assert _state(table, "a") == ([2, 2], [[0.0] * 3, [2.0] * 3])
    _visit(table, "b")
    table.make_room()
    assert sorted(spill.rows) == ["c"]
    assert _state(table, "b") == ([2, 2], [[0.0] * 3, [2.0] * 3])
    assert (table.evictions, table.returns, table.keys_seen, len(table)) == (2, 1, 3, 2)
    assert not table.slab["count"][2 * len(table) :].any()


def test_more_new_keys_than_there_is_room_for_are_refused() -> None:
    """A call may bring as many new keys as there is room for, and no more."""
    table = _table(3)
    assert sorted(_slots(table, "b", "x", "y").tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="found 1 new keys beside 3; expected at most 3 in all"):
        _slots(table, "a")


def test_visits_are_counted_right_however_few_keys_fit() -> None:
    """Random visits of many keys with room for few leave every key with its own number of visits."""
    rng = np.random.default_rng(7)
    table = _table(3)
    visits = rng.integers(0, 20, 500)
    for key in visits:
        _visit(table, str(key))
    for key in range(20):
        assert _state(table, str(key))[0] == [(visits == key).sum()]


@pytest.mark.parametrize("room", [3, 5, 2])
def test_a_saved_table_goes_on_in_another(room: int) -> None:
    """A table that loads what was saved has the same keys, rows, order of eviction and counts, also with less room."""
    table = _table(3)
    for key in "abcadbeab":
        _visit(table, key)
    arrays, names, spilled = table.save()
    _visit(table, "e")
    again = _table(room)
    again.load(arrays, names, spilled)
    assert again.keys_seen == 5
    assert len(again) == min(room, 3)
    assert again.evictions - again.returns == 5 - len(again)
    _visit(again, "e")
    for key in "abcde":
        assert _state(again, key) == _state(table, key)


def test_what_was_saved_does_not_change_afterwards() -> None:
    """Later visits leave the saved arrays alone."""
    table = _table(3)
    _visit(table, "a")
    arrays, names, _ = table.save()
    _visit(table, "a", "b")
    assert arrays["count"].tolist() == [1]
    assert names == ["a"]


def test_room_for_no_key_is_refused() -> None:
    """A table needs room for one key."""
    with pytest.raises(ValueError, match="found room for 0 keys; expected at least 1"):
        _table(0)
