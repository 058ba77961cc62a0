from pathlib import Path

import numpy as np

from pipeline.adapters.files import ColumnMapping, open_source
from pipeline.tuning.history import fingerprint, measure_after, record_batches
from tests.pipeline.tuning.samples import recording

ROWS = """time,key,value
2024-01-01 00:00:00,b,1
2024-01-01 00:00:01,a,2
2024-01-01 00:00:02,,3
2024-01-01 00:00:03,b,x
2024-01-01 00:00:04,a,5
"""


def test_a_file_is_recorded_however_it_is_cut(tmp_path: Path) -> None:
    """Records come in their order with their keys; one without a key is left out, a value that is none is missing."""
    (tmp_path / "file.csv").write_text(ROWS)
    source = open_source(tmp_path / "file.csv", ColumnMapping(key_field="key"))
    for size in (1, 2, 100):
        read = record_batches("file", source.fields, source.partitions[0].batches(size))
        assert [read.keys[code] for code in read.key] == ["b", "a", "b", "a"]
        assert np.array_equal(read.values[:, 0], [1, 2, np.nan, 5], equal_nan=True)
        assert np.diff(read.time_us).tolist() == [1_000_000, 2_000_000, 1_000_000]


def test_batches_hold_what_was_recorded() -> None:
    """Positions are rows counted from 1, and the records of all batches are those of the recording."""
    whole = recording(100, "ab")
    batches = list(whole.batches(33))
    assert np.concatenate([batch.position for batch in batches]).tolist() == list(range(1, 201))
    assert np.array_equal(np.concatenate([batch.values for batch in batches]), whole.values)
    names = [batch.key_names[code] for batch in batches for code in batch.key_codes]
    assert names == ["a", "b"] * 100


def test_some_streams_keep_their_records_labels_and_measured_rows() -> None:
    """A selection has what the whole has of its streams, and nothing of others."""
    whole = measure_after(recording(100, "abc", windows={"c": [(50, 60)]}), 30)
    some = whole.of_keys([2, 0])
    assert some.keys == ("c", "a")
    assert len(some) == 200
    assert some.windows[0].tolist() == whole.windows[2].tolist()
    for code, key in enumerate(some.keys):
        of = whole.keys.index(key)
        assert np.array_equal(some.values[some.key == code], whole.values[whole.key == of])
        assert np.array_equal(some.time_us[some.rows_of(code)], whole.time_us[whole.rows_of(of)])
        assert len(some.rows_of(code)) == 70


def test_a_stream_too_short_is_not_measured() -> None:
    """Nor is anything behind the end of a part."""
    assert len(measure_after(recording(30), 30).rows_of(0)) == 0
    assert len(measure_after(recording(100), 30).until(20).rows_of(0)) == 0


def test_any_difference_shows_in_the_fingerprint() -> None:
    """A value, a time, a label or a name that differs makes another history."""
    first = recording(50, "ab", windows={"a": [(10, 20)]})
    others = [recording(50, "ab"), recording(50, "ab", windows={"a": [(10, 21)]}), recording(51, "ab"),
              recording(50, "ac"), recording(50, "ab", windows={"b": [(10, 20)]})]  # fmt: skip
    changed = recording(50, "ab", windows={"a": [(10, 20)]})
    changed.values[7] += 1e-9
    found = {fingerprint([one]) for one in (first, *others, changed)}
    assert len(found) == 7
    assert fingerprint([first]) == fingerprint([recording(50, "ab", windows={"a": [(10, 20)]})])
