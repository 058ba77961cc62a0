"""How far a history reaches."""

from datetime import timedelta

import numpy as np
import pytest

from pipeline.gate import extent as module
from pipeline.gate.extent import measure_extent
from tests.fakes import INTERVAL_US, START_US, one_stream
from tests.pipeline.gate.samples import Recorded, extent_of, streams

HISTORY = one_stream(np.zeros(1_000))


def test_a_share_is_of_the_records_and_not_of_the_time() -> None:
    """The newest fifth of the records, however far back a stray one lies."""
    stray = one_stream(np.zeros(1))
    stray.time_us[:] = 0
    extent = extent_of([HISTORY, stray])
    assert (extent.records, extent.first_us, extent.last_us) == (1_001, 0, START_US + 999 * INTERVAL_US)
    assert extent.begin_of(0.2) == START_US + 799 * INTERVAL_US


def test_a_duration_reaches_back_from_the_last_record() -> None:
    """A slice of so many sampling intervals has as many records."""
    begin = extent_of([HISTORY]).begin_of(timedelta(microseconds=100 * INTERVAL_US))
    assert (HISTORY.time_us >= begin).sum() == 100


def test_records_behind_the_end_do_not_count() -> None:
    """Nor does a history without any."""
    extent = extent_of([HISTORY], START_US + 10 * INTERVAL_US)
    assert (extent.records, extent.last_us) == (10, START_US + 9 * INTERVAL_US)
    assert measure_extent([Recorded(HISTORY)], START_US, lambda _: None, lambda: False) is None
    assert measure_extent([Recorded(HISTORY)], None, lambda _: None, lambda: True) is None


def test_of_many_records_a_regular_part_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slice begins within a thousandth of where it would with all of them."""
    monkeypatch.setattr(module, "MOST_TIMES", 2_000)
    batch = streams(keys=4, points=5_000)
    extent = extent_of([batch.slice(0, 7_777), batch.slice(7_777, len(batch))])
    assert 1_000 <= len(extent.times) <= 2_000
    assert abs((batch.time_us >= extent.begin_of(0.3)).mean() - 0.3) < 1e-3
