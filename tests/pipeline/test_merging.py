from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.merging import has_time, merge_by_time
from pipeline.records import Batch, Problem
from tests.fakes import Stretch, make_batch


def _stretch(name: str, times: list[int], unusable: frozenset[int] = frozenset()) -> Stretch:
    problems = [Problem(n, -1, "bad_time", "?") for n in sorted(unusable) if n < len(times)]
    values = np.arange(len(times), dtype=np.float64) + 1000 * ord(name)
    return Stretch(name, make_batch([f"{name}{n % 3}" for n in range(len(times))], np.array(times), values, problems))


def _all(batch: Batch) -> NDArray[np.bool_]:
    return np.ones(len(batch), np.bool_)


def _told(batches: Iterator[Batch]) -> list[tuple[str, int, float, bool]]:
    """(key, time, value, whether it has a usable time) of each record."""
    return [
        (batch.key_names[code], time, value, usable)
        for batch in batches
        for code, time, value, usable in zip(
            batch.key_codes.tolist(),
            batch.time_us.tolist(),
            batch.values[:, 0].tolist(),
            has_time(batch).tolist(),
            strict=True,
        )
    ]


def _expected(stretches: list[Stretch]) -> list[tuple[str, int, float, bool]]:
    placed = []
    for number, stretch in enumerate(stretches):
        newest = 0
        for row, record in enumerate(_told(iter([stretch.whole]))):
            newest = max(newest, record[1] if record[3] else 0)
            placed.append((newest, number, row, record))
    return [record for *_, record in sorted(placed, key=lambda one: one[:3])]


STRETCHES = st.lists(
    st.tuples(st.lists(st.integers(1, 30), max_size=40), st.frozensets(st.integers(0, 39), max_size=3)),
    max_size=5,
)


@given(STRETCHES, st.integers(1, 9), st.integers(1, 4))
def test_records_come_by_time_however_much_is_read_at_once(
    drawn: list[tuple[list[int], frozenset[int]]], size: int, files: int
) -> None:
    """Any partitions, sorted or not, give one order: by newest time so far, then partition, then row."""
    stretches = [_stretch(chr(97 + n), times, unusable) for n, (times, unusable) in enumerate(drawn) if times]
    with (
        patch("pipeline.merging._LEAST", size),
        patch("pipeline.merging._MOST", size),
        patch("pipeline.merging._OPEN", files),
    ):
        assert _told(merge_by_time(stretches, 1, _all)) == _expected(stretches)


def test_what_is_not_chosen_has_no_part_in_the_order() -> None:
    """A record that is left out neither comes nor holds back those behind it."""
    one, other = _stretch("a", [1, 99, 3]), _stretch("b", [2, 4])

    def early(batch: Batch) -> NDArray[np.bool_]:
        return batch.time_us < 50

    assert [time for _, time, *_ in _told(merge_by_time([one, other], 1, early))] == [1, 2, 3, 4]


def test_files_that_follow_one_another_are_open_one_at_a_time() -> None:
    """However many files there are, no more than the limit are open; those of one day each need but one."""
    open_now, most = set(), 0

    class _Counted(Stretch):
        def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
            nonlocal most
            open_now.add(self.name)
            most = max(most, len(open_now))
            try:
                yield from super().batches(batch_size, after_row=after_row)
            finally:
                open_now.discard(self.name)

    days = [_stretch(chr(97 + n), list(range(100 * n + 1, 100 * n + 51))) for n in range(12)]
    counted = [_Counted(day.name, day.whole) for day in days]
    with patch("pipeline.merging._LEAST", 5), patch("pipeline.merging._MOST", 5), patch("pipeline.merging._OPEN", 3):
        assert _told(merge_by_time(counted, 1, _all)) == _expected(days)
    assert most <= 4  # the limit, and the one that is being opened
