"""What a history leaves, and engines whose keys begin with it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.adapters.spill import SqliteSpill
from pipeline.engine import EngineConfig, Outcome, PartitionEngine
from pipeline.episodes import Origin
from pipeline.errors import InputError
from pipeline.history import Past, first_time, take_history
from pipeline.records import Anomaly, Batch, Disposition, KeyedRows, Phase
from pipeline.silence import SilenceRule
from pipeline.windows import CountWindows, TimeWindows, WindowSpec
from tests.fakes import (
    COLUMNS,
    INTERVAL_US,
    START_US,
    Stretch,
    column,
    cut,
    every,
    make_batch,
    make_detector,
    process,
    seasonal,
    tables_of,
)

WINDOWS: dict[str, WindowSpec] = {
    "points": CountWindows(),
    "hop": CountWindows(64, 16),
    "means": TimeWindows(12 * INTERVAL_US, 2 * INTERVAL_US, allowed_lateness_us=INTERVAL_US, aggregate="mean"),
    "sums": TimeWindows(INTERVAL_US, INTERVAL_US, aggregate="sum", silence_panes=8),
}
ALL_WINDOWS = pytest.mark.parametrize("windows", list(WINDOWS))
DETECTOR = make_detector(threshold=1.3, warm_up=60, rest=20, quiet=10)
KEYS, POINTS, HALF = 6, 300, 900


def _fleet() -> Batch:
    """Streams a few seconds apart with faults before, across and behind the middle; some values are missing."""
    rng = np.random.default_rng(7)
    records = []
    for key in range(KEYS):
        values = seasonal(rng, POINTS)
        for fault in (100, 144 + key, 220 + 3 * key):
            values[fault : fault + 12] += 20
        values[rng.permutation(POINTS)[:5]] = np.nan
        records += [
            (START_US + INTERVAL_US * n + key * 1_000_000, f"key{key}", value)
            for n, value in enumerate(values.tolist())
        ]
    times, names, measured = zip(*sorted(records), strict=True)
    return make_batch(names, np.array(times), np.array(measured))


BATCH = _fleet()
FIRST, SECOND = BATCH.slice(0, HALF), BATCH.slice(HALF, len(BATCH))
END_US = int(SECOND.time_us[0])


def _of(*batches: Batch) -> list[Stretch]:
    return [
        Stretch(str(number), replace(batch, position=np.arange(1, len(batch) + 1)))
        for number, batch in enumerate(batches)
    ]


def _select(batch: Batch, which: NDArray[np.bool_]) -> Batch:
    return make_batch(
        np.array(batch.key_names)[batch.key_codes[which]].tolist(), batch.time_us[which], batch.values[which]
    )


@pytest.fixture
def make(tmp_path: Path) -> "Make":
    """Makes engines that use the disk."""
    return Make(tmp_path)


class Make:
    """Engines and pasts of one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def engine(self, windows: str, past: KeyedRows | None = None, keys_in_memory: int | None = None) -> PartitionEngine:
        """A fresh one."""
        origin = Origin(source="source", partition="0", bundle="bundle")
        rule = SilenceRule(heard_points=50)
        config = EngineConfig(windows=WINDOWS[windows], silence=rule, provisional_points=200)
        engine = PartitionEngine(DETECTOR, config, ("value",), origin, SqliteSpill(self._directory), past)
        if keys_in_memory is None:
            return engine
        config = replace(config, max_state_bytes=keys_in_memory * engine.lanes.bytes_per_lane)
        return PartitionEngine(DETECTOR, config, ("value",), origin, SqliteSpill(self._directory), past)

    def past(self, windows: str, partitions: Sequence[Stretch], end_us: int | None = None, size: int = 100) -> Past:
        """What a history has left."""
        past = take_history(
            partitions,
            self.engine(windows),
            told="history",
            end_us=end_us,
            micro_batch=size,
            observe=lambda _records: None,
            stop=lambda: False,
        )
        assert past is not None
        return past

    def rows(self, windows: str, *batches: Batch, end_us: int | None = None) -> KeyedRows:
        """The rows that it has left."""
        rows = self.past(windows, _of(*batches), end_us).rows
        assert isinstance(rows, KeyedRows)
        return rows


def _anomalies(outcomes: Sequence[Outcome]) -> list[Anomaly]:
    return [anomaly for outcome in outcomes for anomaly in outcome.anomalies]


def _rows(outcomes: Sequence[Outcome]) -> list[object]:
    """All verdict columns in their order, to the bit, keys by name."""
    names = [table.key_names[key] for table in tables_of(outcomes) for key in table.key.tolist()]
    return [names, *(column(outcomes, name).tobytes() for name in (*COLUMNS, "released_by"))]


def _steps(outcomes: Sequence[Outcome]) -> dict[str, list[bytes]]:
    """All of each lane's verdicts, to the bit, but for positions, which the history has none of."""
    names = np.array([table.key_names[key] for table in tables_of(outcomes) for key in table.key.tolist()])
    return {
        key: [column(outcomes, name)[names == key].tobytes() for name in COLUMNS if name not in {"position", "episode"}]
        for key in sorted(set(names.tolist()))
    }


@ALL_WINDOWS
def test_a_stream_cut_in_two_goes_on_to_the_bit(make: Make, windows: str) -> None:
    """The second half, begun where the first has left its keys, says what it says when both are one stream."""
    _, expected = process(make.engine(windows), [FIRST, SECOND])
    found = make.engine(windows, make.rows(windows, FIRST)).process(SECOND)
    assert _steps([found]) == _steps([expected])
    assert found.counts.records == expected.counts.records
    assert found.counts.flagged == expected.counts.flagged
    same = ("event", "kind", "key", "time", "observed", "score", "severity", "points", "opened_at", "context")
    assert [[getattr(one, name) for name in same] for one in found.anomalies] == [
        [getattr(one, name) for name in same] for one in expected.anomalies
    ]
    assert len(found.anomalies) > KEYS


def test_the_first_record_has_a_verdict(make: Make) -> None:
    """Nothing of what goes on warms up, and all of it is counted as the scored records that it is."""
    engine = make.engine("points", make.rows("points", FIRST))
    outcome = engine.process(SECOND)
    (table,) = outcome.verdicts
    valued = table.disposition != Disposition.MISSING
    assert np.isfinite(table.score[valued]).all()
    assert (table.phase[valued] >= Phase.PROVISIONAL).all()
    assert engine.counts.consumed == len(SECOND)
    assert engine.counts.balance() == 0
    assert not engine.counts.records["warming"]
    assert engine.lanes.with_past == KEYS


@ALL_WINDOWS
@pytest.mark.parametrize("size", [1, 7])
def test_the_size_of_the_batches_does_not_show(make: Make, windows: str, size: int) -> None:
    """With a past too, verdicts, the records that release them and anomalies do not depend on micro-batches."""
    rows = make.rows(windows, FIRST)
    whole = process(make.engine(windows, rows), [SECOND])
    parts = process(make.engine(windows, rows), cut(SECOND, every(SECOND, size)))
    assert _rows(parts) == _rows(whole)
    assert _anomalies(parts) == _anomalies(whole)


def _by_key() -> list[Batch]:
    return [_select(FIRST, FIRST.key_codes == FIRST.key_names.index(name)) for name in FIRST.key_names]


def _by_day() -> list[Batch]:
    return [FIRST.slice(start, start + 150) for start in range(0, HALF, 150)]


@ALL_WINDOWS
@pytest.mark.parametrize("files", [_by_key(), _by_day(), _by_day()[::-1]], ids=["by_key", "by_day", "out_of_order"])
def test_how_a_history_lies_in_files_does_not_show(make: Make, windows: str, files: list[Batch]) -> None:
    """Files of one key each, of one day each, and named in any order leave the same rows as one file."""
    assert list(make.rows(windows, *files)) == list(make.rows(windows, FIRST))


def test_the_size_of_a_historys_batches_does_not_show(make: Make) -> None:
    """The rows are the same however many records are taken at a time."""
    one, other = (list(make.past("means", _of(FIRST), size=size).rows) for size in (7, 1000))
    assert one == other


@ALL_WINDOWS
def test_a_history_has_no_future(make: Make, windows: str) -> None:
    """Records at or behind the end change nothing, and are counted as left out."""
    spoilt = replace(BATCH, values=np.where(BATCH.time_us[:, None] >= END_US, 1e6, BATCH.values))
    past = make.past(windows, _of(spoilt), END_US)
    assert past.left_out == len(SECOND)
    assert past.counts.consumed == len(FIRST)
    assert past.last_us == int(FIRST.time_us.max())
    assert list(past.rows) == list(make.rows(windows, FIRST))


def test_the_first_time_is_that_of_any_partition() -> None:
    """The end of a history is the earliest event time at the beginning of any partition, but for unusable ones."""
    late, early = _of(SECOND, FIRST)
    assert first_time([late, early]) == START_US
    assert first_time([Stretch("none", FIRST.slice(0, 0))]) is None


def test_overlapping_records_are_not_counted_twice(make: Make) -> None:
    """Where a past reaches into the stream, its records are late or duplicates, and the rest is as ever."""
    rows = make.rows("points", FIRST)
    engine = make.engine("points", rows)
    outcome = engine.process(BATCH.slice(HALF - 60, len(BATCH)))
    known = outcome.counts.records["late"] + outcome.counts.records["duplicate"]
    assert 50 <= known <= 60
    expected = make.engine("points", rows).process(SECOND)
    assert _scored([outcome]) == _scored([expected])


def _scored(outcomes: Sequence[Outcome]) -> dict[tuple[str, int], tuple[float, bool]]:
    return {
        (table.key_names[key], time): (score, flagged)
        for table in tables_of(outcomes)
        for key, time, score, flagged, fate in zip(
            table.key.tolist(),
            table.time_us.tolist(),
            table.score.tolist(),
            table.is_anomaly.tolist(),
            table.disposition.tolist(),
            strict=True,
        )
        if fate == Disposition.SCORED
    }


@ALL_WINDOWS
def test_an_episode_of_the_past_goes_on_under_a_name_of_its_own(make: Make, windows: str) -> None:
    """What the history left open is closed, and names an opening at minus an event time, which no record has."""
    found = make.engine(windows, make.rows(windows, FIRST)).process(SECOND)
    opened = {one.episode for one in found.anomalies if one.event == "opened"}
    older = [one for one in found.anomalies if one.episode not in opened]
    assert {one.event for one in older} >= {"closed"}
    assert all(int(one.episode.split("/")[2]) < 0 for one in older)
    assert len({one.id for one in found.anomalies}) == len(found.anomalies)


def test_keys_that_only_the_history_has_are_not_missed(make: Make) -> None:
    """A key that does not come is not told as silent, however long ago the history was; one that came is watched."""
    later = replace(SECOND, time_us=SECOND.time_us + 30 * 86_400_000_000)
    there = _select(later, later.key_codes < 3)
    gone = (there.key_codes == 1) & (np.arange(len(there)) > 60)
    outcome = make.engine("points", make.rows("points", FIRST)).process(_select(there, ~gone))
    silences = [(one.key, one.event) for one in outcome.anomalies if one.kind == "silence"]
    assert silences == [(there.key_names[1], "opened")]


@pytest.mark.parametrize("size", [1, 50])
def test_evicted_keys_return_as_they_were_and_not_as_the_past_was(make: Make, size: int) -> None:
    """With room for few keys, each begins with its past once, and comes back from its eviction, others come anew."""
    names = [SECOND.key_names[code] for code in SECOND.key_codes.tolist()]
    strangers = [f"new{n // 5}" if n % 5 == 0 else name for n, name in enumerate(names)]
    mixed = make_batch(strangers, SECOND.time_us, SECOND.values)
    rows = make.rows("points", FIRST)
    roomy, tight = make.engine("points", rows), make.engine("points", rows, keys_in_memory=8)
    expected, found = roomy.process(mixed), process(tight, cut(mixed, every(mixed, size)))
    assert _rows(found) == _rows([expected])
    assert tight.lanes.returns > KEYS
    assert tight.lanes.with_past == roomy.lanes.with_past == KEYS
    assert tight.counts.records == roomy.counts.records


def test_a_saved_engine_goes_on_with_its_past(make: Make) -> None:
    """Keys that come first behind a restart begin with their past all the same."""
    rows = make.rows("points", FIRST)
    few = _select(SECOND, SECOND.key_codes < 2)
    whole, first, second = (make.engine("points", rows) for _ in range(3))
    expected = process(whole, [few, SECOND])
    first.process(few)
    second.load(first.save(), first.counts.to_dict())
    found = second.process(SECOND)
    assert _rows([found]) == _rows(expected[1:])
    assert second.lanes.with_past == whole.lanes.with_past == KEYS


def test_a_history_in_the_wrong_order_is_refused(make: Make) -> None:
    """A history that goes backwards in time is told, with how much of it."""
    backwards = replace(
        FIRST, **{name: getattr(FIRST, name)[::-1].copy() for name in ("key_codes", "time_us", "values")}
    )
    with pytest.raises(InputError, match=r"history: found times that go back: 876 of 900"):
        make.past("points", _of(backwards))


def test_a_history_can_be_stopped(make: Make) -> None:
    """Nothing is left of a history that was stopped on the way."""
    taken: list[int] = []
    past = take_history(
        _of(FIRST),
        make.engine("points"),
        told="history",
        end_us=None,
        micro_batch=100,
        observe=taken.append,
        stop=lambda: len(taken) == 3,
    )
    assert past is None
    assert sum(taken) == 300
