"""The invariants of the service, at the engine: what a partition says depends on its records alone."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.thresholds import ThresholdTable
from pipeline.accounting import Counts
from pipeline.engine import EngineConfig, Outcome, PartitionEngine
from pipeline.episodes import iso_time, share_evidence
from pipeline.records import Anomaly, Batch, Disposition, Phase, Problem, Severity
from pipeline.rows import MOST_FIELDS
from pipeline.silence import SilenceRule
from pipeline.windows import CountWindows, TimeWindows, WindowSpec
from tests.fakes import (
    COLUMNS,
    INTERVAL_US,
    START_US,
    column,
    cut,
    every,
    make_batch,
    make_detector,
    make_engine,
    one_stream,
    process,
    rows_by_lane,
    seasonal,
    tables_of,
)

FIELDS = ("flow", "heat")
WINDOWS: dict[str, WindowSpec] = {
    "points": CountWindows(),
    "hop": CountWindows(64, 16),
    "means": TimeWindows(12 * INTERVAL_US, 2 * INTERVAL_US, allowed_lateness_us=INTERVAL_US, aggregate="mean"),
    "sums": TimeWindows(INTERVAL_US, INTERVAL_US, aggregate="sum", silence_panes=8),
}
ALL_WINDOWS = pytest.mark.parametrize("windows", list(WINDOWS))
BY_POINTS = pytest.mark.parametrize("windows", ["points", "hop"])
DETECTORS = {
    profile: make_detector(profile, threshold=1.3, warm_up=60, rest=20, quiet=10) for profile in ("balanced", "dense")
}
KEYS, POINTS = 4, 260


def _fleet(rng: np.random.Generator) -> Batch:
    """Two fields of several keys, interleaved, with gaps, silences, faults and whatever can be wrong with a record."""
    records: list[tuple[int, str, float, float]] = []
    for key in range(KEYS):
        flow, heat = seasonal(rng, POINTS), 100 * seasonal(rng, POINTS)
        (flow, heat)[key % 2][150 + key : 160 + key] += 30
        time_us = START_US + key * 1_000_000 + INTERVAL_US * np.arange(POINTS)
        time_us[200:] += 12 * INTERVAL_US * (key == 1)
        falls_silent = (np.arange(POINTS) >= 100) & (np.arange(POINTS) < 140) & (key == 2)
        records += [(int(time_us[n]), f"key{key}", flow[n], heat[n]) for n in np.flatnonzero(~falls_silent).tolist()]
    records.sort()
    spoilt = iter(rng.permutation(len(records)).tolist())
    for _ in range(30):
        time_us, name, _, heat = records[n := next(spoilt)]
        records[n] = (time_us, name, np.nan, heat)
        time_us, name, flow, _ = records[n := next(spoilt)]
        records[n] = (time_us, name, flow, np.inf)
        time_us, name, flow, heat = records[n := next(spoilt)]
        records[n] = (time_us - 20 * INTERVAL_US, name, flow, heat)
    for n in sorted((next(spoilt) for _ in range(20)), reverse=True):
        records.insert(n, records[n])
    problems = []
    for n in rng.permutation(len(records))[:40].tolist():
        time_us, name, _, heat = records[n]
        whole = n % 2 == 0
        records[n] = (time_us, name, np.nan, np.nan if whole else heat)
        problems.append(Problem(n, -1 if whole else 0, "bad_time" if whole else "not_a_number", "?"))
    times, names, *values = zip(*records, strict=True)
    return make_batch(names, np.array(times), np.array(values).T, problems)


BATCH = _fleet(np.random.default_rng(7))
CUTS = st.sets(st.integers(1, len(BATCH) - 1), max_size=20).map(sorted)


def _engine(windows: str = "points", profile: str = "balanced", keys_in_memory: int | None = None) -> PartitionEngine:
    config = EngineConfig(windows=WINDOWS[windows], silence=SilenceRule(heard_points=50), provisional_points=200)
    return make_engine(DETECTORS[profile], config, fields=FIELDS, keys_in_memory=keys_in_memory)


def _run(engine: PartitionEngine, batch: Batch = BATCH, cuts: Iterable[int] = ()) -> list[Outcome]:
    return process(engine, cut(batch, cuts))


def _rows(outcomes: Sequence[Outcome]) -> list[bytes]:
    """All verdict columns in their order, to the bit, keys and fields by name."""
    names = [
        f"{table.key_names[key]}/{table.field_names[field]}"
        for table in tables_of(outcomes)
        for key, field in zip(table.key.tolist(), table.field.tolist(), strict=True)
    ]
    return [" ".join(names).encode(), *(column(outcomes, name).tobytes() for name in COLUMNS)]


def _anomalies(outcomes: Sequence[Outcome]) -> list[Anomaly]:
    return [anomaly for outcome in outcomes for anomaly in outcome.anomalies]


def _memory(engine: PartitionEngine) -> tuple[object, ...]:
    """All that the engine remembers of its lanes, but for what counts batches."""
    state = engine.save()
    arrays = {name: array.tobytes() for name, array in state.arrays.items() if not name.startswith("lanes_")}
    return arrays, state.keys, state.spilled, state.clocks


def _of_key(batch: Batch, name: str) -> Batch:
    """The records of one key, at their positions in the partition."""
    mine = batch.key_codes == batch.key_names.index(name)
    place = np.cumsum(mine) - 1
    problems = (
        dataclasses.replace(problem, index=int(place[problem.index]))
        for problem in batch.problems
        if mine[problem.index]
    )
    codes = np.zeros(int(mine.sum()), np.int32)
    return Batch([name], codes, batch.time_us[mine], batch.values[mine], batch.position[mine], tuple(problems))


def test_the_stream_of_these_tests_has_everything() -> None:
    """Whatever can become of a record or an episode occurs, so that the tests below are about something."""
    engine = _engine()
    anomalies = _anomalies(_run(engine))
    assert set(engine.counts.records) == {"scored", "warming", "late", "duplicate", "dead_lettered"}
    assert set(engine.counts.points) == {one.name.lower() for one in Disposition}
    assert set(engine.counts.events) == {"opened", "worsened", "closed"}
    assert engine.counts.gaps
    kinds = Counter(anomaly.kind for anomaly in anomalies)
    assert kinds["point"] > 10
    assert kinds["silence"] == 4  # of two fields: it begins, and it ends


@ALL_WINDOWS
@pytest.mark.parametrize("profile", ["balanced", "dense"])
@settings(max_examples=6)
@given(cuts=CUTS)
def test_the_size_of_the_batches_does_not_matter(windows: str, profile: str, cuts: list[int]) -> None:
    """Verdicts, anomalies, counts and memory are the same, to the bit and in order, however the records are cut."""
    whole, pieces = _engine(windows, profile), _engine(windows, profile)
    expected, found = _run(whole), _run(pieces, cuts=cuts)
    assert _rows(found) == _rows(expected)
    assert _anomalies(found) == _anomalies(expected)
    assert pieces.counts == whole.counts
    assert _memory(pieces) == _memory(whole)


@ALL_WINDOWS
def test_one_record_at_a_time_says_the_same(windows: str) -> None:
    """Batches of one give the verdicts, anomalies and counts of one batch."""
    whole, singly = _engine(windows), _engine(windows)
    expected, found = _run(whole), _run(singly, cuts=every(BATCH, 1))
    assert _rows(found) == _rows(expected)
    assert _anomalies(found) == _anomalies(expected)
    assert singly.counts == whole.counts


@BY_POINTS
def test_the_other_keys_do_not_matter(windows: str) -> None:
    """Each key alone has the verdicts, to the bit, that it has among the others."""
    together = rows_by_lane(_run(_engine(windows), cuts=every(BATCH, 100)))
    for name in BATCH.key_names:
        alone = rows_by_lane(_run(_engine(windows), _of_key(BATCH, name)))
        assert alone == {lane: rows for lane, rows in together.items() if lane[0] == name}


def test_two_thousand_keys_at_random_say_what_each_says_alone() -> None:
    """Two thousand keys interleaved at random in one stream have the verdicts that each has alone, to the bit."""
    rng = np.random.default_rng(7)
    keys, points = 2000, 100
    order = rng.permutation(np.repeat(np.arange(keys), points))
    nth = np.empty(len(order), np.int64)
    nth[np.argsort(order, kind="stable")] = np.tile(np.arange(points), keys)
    values = rng.normal(size=(keys, points)).cumsum(axis=1)
    values[:, 80] += rng.normal(size=keys) * 20
    names = [f"sensor-{key}" for key in range(keys)]
    batch = Batch(
        names,
        order.astype(np.int32),
        START_US + INTERVAL_US * nth,
        values[order, nth][:, None],
        np.arange(1, len(order) + 1),
    )
    detector = make_detector(threshold=1.2, warm_up=40)
    together = rows_by_lane(_run(make_engine(detector), batch, every(batch, 30_000)))
    flagged = 0
    by_key = np.split(np.argsort(order, kind="stable"), keys)
    for name, mine in zip(names, by_key, strict=True):
        codes = np.zeros(points, np.int32)
        alone = Batch([name], codes, batch.time_us[mine], batch.values[mine], batch.position[mine])
        outcome = make_engine(detector).process(alone)
        assert rows_by_lane([outcome]) == {(name, "value"): together[name, "value"]}
        flagged += int(outcome.verdicts[0].is_anomaly.sum())
    assert flagged > keys / 10


@BY_POINTS
@pytest.mark.parametrize("size", [1, 7, 50, 5000])
def test_an_eviction_changes_no_verdict(windows: str, size: int) -> None:
    """With room for two of four keys every verdict is the same, in order; evictions and returns are counted."""
    roomy, tight = _engine(windows), _engine(windows, keys_in_memory=2)
    expected, found = _run(roomy), _run(tight, cuts=every(BATCH, size))
    assert _rows(found) == _rows(expected)
    assert tight.counts.records == roomy.counts.records
    assert tight.lanes.state_bytes <= 2 * len(FIELDS) * tight.lanes.bytes_per_lane
    assert tight.lanes.keys_seen == roomy.lanes.keys_seen == KEYS
    assert tight.lanes.evictions == tight.lanes.returns + KEYS - len(tight.lanes) > 20
    assert roomy.lanes.evictions == roomy.lanes.returns == 0


@pytest.mark.parametrize("windows", ["means", "sums"])
@pytest.mark.parametrize("size", [7, 5000])
def test_an_eviction_changes_no_verdict_of_time_windows(windows: str, size: int) -> None:
    """With time windows an evicted lane says later what it has to say, and says the same."""
    expected = rows_by_lane(_run(_engine(windows)))
    found = rows_by_lane(_run(_engine(windows, keys_in_memory=2), cuts=every(BATCH, size)))
    assert found.keys() == expected.keys()
    for lane, columns in found.items():
        # by lane in the order of the steps; rows without a step, such as late ones, may lie elsewhere between them
        mine, others = (_steps_of(table) for table in (columns, expected[lane]))
        assert len(mine) > 0.9 * len(others)
        assert mine == others[: len(mine)]


def _steps_of(columns: dict[str, bytes]) -> list[tuple[bytes, ...]]:
    """(time, value, expected, score, severity, episode) of each row with a phase, to the bit."""
    phase = np.frombuffer(columns["phase"], np.int8)
    count = len(phase)
    parts = [
        [columns[name][n * len(columns[name]) // count :][: len(columns[name]) // count] for n in range(count)]
        for name in ("time_us", "value", "expected", "score", "severity", "episode")
    ]
    return [row for row, step in zip(zip(*parts, strict=True), phase >= 0, strict=True) if step]


@ALL_WINDOWS
@pytest.mark.parametrize("keys_in_memory", [None, 2])
@pytest.mark.parametrize("at", [1, 613])
def test_a_saved_engine_goes_on_in_another(windows: str, keys_in_memory: int | None, at: int) -> None:
    """An engine that loads what another saved says the same from there on, also with lanes in the spill."""
    first, second, whole = (_engine(windows, keys_in_memory=keys_in_memory) for _ in range(3))
    expected = _run(whole, cuts=[at])
    _run(first, BATCH.slice(0, at))
    state, counts = first.save(), first.counts.to_dict()
    _run(first, BATCH.slice(at, len(BATCH)))  # must not change what was saved
    second.load(state, counts)
    assert second.watermark_us == int(BATCH.time_us[:at].max())
    found = _run(second, BATCH.slice(at, len(BATCH)))
    assert _rows(found) == _rows(expected[1:])
    assert _anomalies(found) == _anomalies(expected[1:])
    assert second.counts == whole.counts
    assert second.lanes.keys_seen == KEYS
    assert _memory(second) == _memory(whole)


@ALL_WINDOWS
@settings(max_examples=10)
@given(end=st.integers(1, len(BATCH)))
def test_a_verdict_depends_on_nothing_after_its_record(windows: str, end: int) -> None:
    """Cutting the stream short changes no earlier verdict and no earlier anomaly."""
    whole, short = _run(_engine(windows)), _run(_engine(windows), BATCH.slice(0, end))
    for theirs, ours in zip(_rows(whole), _rows(short), strict=True):
        assert theirs.startswith(ours)
    anomalies = _anomalies(short)
    assert anomalies == _anomalies(whole)[: len(anomalies)]


@pytest.mark.parametrize(
    ("windows", "span", "step"),
    [("points", 64, 1), ("hop", 64, 16), ("means", 12, 2), ("sums", 12, 1)],
)
def test_a_window_recomputed_from_the_state_at_its_start_gives_the_same_bits(
    windows: str, span: int, step: int
) -> None:
    """Window and carried state agree: from the state at its start, a window gives the verdicts it gave in passing."""
    stream = one_stream(np.repeat(seasonal(np.random.default_rng(7), 400)[:, None], 2, axis=1))
    passing, states = _engine(windows), []
    outcomes = []
    for start in range(0, len(stream), step):
        states.append((passing.save(), passing.counts.to_dict()))
        outcomes.append(passing.process(stream.slice(start, start + step)))
    for n in range(0, len(states) - span // step, 5):
        again = _engine(windows)
        again.load(*states[n])
        found = again.process(stream.slice(n * step, n * step + span))
        assert _rows([found]) == _rows(outcomes[n : n + span // step])


def test_a_hop_shows_the_network_every_point_once() -> None:
    """Windows that slide by 16 points give, 16 at a time, the very verdicts of windows that slide by one."""
    stream = one_stream(np.repeat(seasonal(np.random.default_rng(7), 400)[:, None], 2, axis=1))
    by_one, by_hop = (rows_by_lane(_run(_engine(windows), stream)) for windows in ("points", "hop"))
    assert by_hop == by_one  # 400 is 25 hops
    outcome = _engine("hop").process(stream.slice(0, 95))
    assert len(outcome.verdicts[0]) == 2 * 80


@st.composite
def _garbage(draw: st.DrawFn) -> Batch:
    """Records of few keys and times, so that most are late or duplicates, with anything at all for values."""
    count = draw(st.integers(1, 60))
    number = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([1.0, np.nan, np.inf]))
    values = draw(st.lists(st.tuples(number, number), min_size=count, max_size=count))
    keys = draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))
    hours = draw(st.lists(st.integers(-3, 40), min_size=count, max_size=count))
    bad = draw(st.sets(st.integers(0, count - 1), max_size=5))
    array = np.array(values)
    problems = []
    for n in sorted(bad):
        array[n, : 2 - n % 2] = np.nan
        problems.append(Problem(n, -1 if n % 2 == 0 else 0, "malformed", "?"))
    return make_batch(keys, 3_600_000_000 * np.array(hours), array, problems)


@ALL_WINDOWS
@settings(max_examples=25)
@given(batch=_garbage(), size=st.integers(1, 20))
def test_every_record_and_point_is_accounted_for(windows: str, batch: Batch, size: int) -> None:
    """After every batch consumed = scored + warming + late + duplicate + dead-lettered, whatever the records are.

    Points add up too, and the sums do not depend on the batches.
    """
    engine = make_engine(make_detector(warm_up=3), EngineConfig(windows=WINDOWS[windows]), fields=FIELDS)
    total = Counts()
    for piece in cut(batch, every(batch, size)):
        outcome = engine.process(piece)
        assert outcome.counts.balance() == 0
        assert outcome.counts.consumed == len(piece)
        assert sum(outcome.counts.points.values()) == len(piece) * len(FIELDS)
        total += outcome.counts
    assert total == engine.counts
    assert engine.counts.consumed == len(batch)
    whole = make_engine(make_detector(warm_up=3), EngineConfig(windows=WINDOWS[windows]), fields=FIELDS)
    whole.process(batch)
    assert engine.counts == whole.counts


def test_every_unusable_value_is_counted_under_its_reason() -> None:
    """Values named by the source count under its reason, others as missing or non-finite, each once."""
    values = np.array([[1.0, np.nan], [np.nan, np.inf], [np.nan, np.nan], [np.nan, 2.0]])
    problems = [Problem(2, -1, "bad_time", "yesterday"), Problem(3, 0, "not_a_number", "n/a")]
    engine = make_engine(fields=FIELDS)
    engine.process(make_batch(["a"] * 4, START_US + INTERVAL_US * np.arange(4), values, problems))
    assert engine.counts.problems == {"bad_time": 1, "not_a_number": 1, "missing": 2, "non_finite": 1}


def test_an_unusable_record_reaches_no_lane() -> None:
    """A record that the source gave up makes no lane, not even for its key, and touches none."""
    engine = make_engine(fields=FIELDS)
    engine.process(make_batch(["a"], np.array([START_US]), np.ones((1, 2))))
    before = _memory(engine)
    bad = make_batch(["b"], np.array([START_US * 2]), np.full((1, 2), np.nan), [Problem(0, -1, "bad_key", "?")])
    outcome = engine.process(bad)
    assert _memory(engine) == before
    assert len(engine.lanes) == 1
    assert outcome.verdicts[0].disposition.tolist() == [Disposition.DEAD_LETTERED] * 2
    assert outcome.verdicts[0].phase.tolist() == [-1, -1]


def test_a_batch_of_nothing_changes_nothing() -> None:
    """An empty batch has an outcome without verdicts, and leaves the engine as it was."""
    engine = make_engine()
    engine.process(one_stream(np.ones(3)))
    before = _memory(engine)
    outcome = engine.process(one_stream(np.ones(3)).slice(3, 3))
    assert [len(table) for table in outcome.verdicts] == [0]
    assert outcome.counts == Counts()
    assert _memory(engine) == before


def test_the_order_of_the_names_in_a_batch_does_not_matter() -> None:
    """Where a source lists its keys in another order, or keys without records, rows and anomalies keep theirs."""
    for windows in WINDOWS:
        expected = _run(_engine(windows))
        place = np.random.default_rng(7).permutation(KEYS)
        names = ["nobody", *(BATCH.key_names[key] for key in np.argsort(place))]
        listed = dataclasses.replace(BATCH, key_names=names, key_codes=(place[BATCH.key_codes] + 1).astype(np.int32))
        engine = _engine(windows)
        found = _run(engine, listed)
        assert _rows(found) == _rows(expected)
        assert _anomalies(found) == _anomalies(expected)
        assert "nobody" not in engine.lanes.names


def test_phases_follow_the_age_of_the_lane_and_gaps() -> None:
    """A lane is warming, then provisional, then live; a point after a gap is stale."""
    values = seasonal(np.random.default_rng(7), 500)
    stream = one_stream(values)
    stream.time_us[300:] += 10 * INTERVAL_US
    engine = make_engine(make_detector(warm_up=100), EngineConfig(provisional_points=200))
    outcomes = process(engine, [stream])
    expected = np.repeat([Phase.WARMING, Phase.PROVISIONAL, Phase.LIVE], [100, 100, 300])
    expected[300] = Phase.STALE
    assert column(outcomes, "phase").tolist() == expected.tolist()
    assert engine.counts.gaps == 1
    assert engine.counts.points == {"warming": 100, "scored": 400}
    for name in ("score", "threshold"):
        assert np.isnan(column(outcomes, name)).tolist() == [True] * 100 + [False] * 400
    assert np.isnan(column(outcomes, "expected")).nonzero()[0].tolist() == [0, 300]


@pytest.mark.parametrize(("profile", "most"), [("balanced", 4096), ("dense", 1280)])
def test_the_bytes_of_a_lane_are_bounded(profile: str, most: int) -> None:
    """All that the engine keeps of a lane, with the network that ships, is within the promise of the profile."""
    engine = make_engine(make_detector(profile, hidden=64))
    assert engine.lanes.bytes_per_lane <= most


def test_a_budget_without_room_for_one_key_is_refused() -> None:
    """A budget smaller than one key's lanes raises with the bytes that are needed."""
    needed = make_engine(fields=("a", "b", "c")).lanes.bytes_per_lane * 4
    with pytest.raises(ValueError, match=f"found a state budget of 4000 bytes; expected at least {needed}"):
        make_engine(config=EngineConfig(max_state_bytes=4000), fields=("a", "b", "c"))


def test_more_fields_than_verdicts_can_name_are_refused() -> None:
    """A field is told by a small number."""
    fields = tuple(f"f{n}" for n in range(MOST_FIELDS + 1))
    assert len(make_engine(fields=fields[1:]).fields) == MOST_FIELDS
    with pytest.raises(ValueError, match="found 128 fields of a record; expected at most 127"):
        make_engine(fields=fields)


def test_an_episode_is_reported_with_its_evidence() -> None:
    """The events of an episode share its id, have ids of their own, and carry what an operator needs."""
    values = np.array([seasonal(np.random.default_rng(seed), 400) for seed in (7, 8)]).T
    values[300:303, 1] += [5, 40, 5]
    outcomes = process(
        make_engine(make_detector(gain=0, threshold=2.2), fields=FIELDS), [one_stream(values, key="pump")]
    )
    events = _anomalies(outcomes)
    assert (events[0].event, events[-1].event) == ("opened", "closed")
    assert len({anomaly.id for anomaly in events}) == len(events)
    assert {anomaly.episode for anomaly in events} == {events[0].id}
    first, last = events[0], events[-1]
    assert (first.key, first.field, first.position, first.points) == ("pump", "heat", 301, 1)
    assert first.observed == values[300, 1]
    assert first.contributions["heat"] > 0.9
    assert sum(first.contributions.values()) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(first.context, values[237:301, 1], atol=0.01)
    assert first.lower < first.expected < first.upper < first.observed  # type: ignore[operator]  # given here
    flagged = column(outcomes, "is_anomaly")
    assert last.points == flagged.sum()
    assert last.peak_score == column(outcomes, "score")[flagged].max()
    assert Severity[last.severity.upper()] == column(outcomes, "severity").max() >= Severity.MEDIUM
    assert set(column(outcomes, "episode")[flagged].tolist()) == {301}
    assert {one.side for one in first.streams} == {"above"}
    spoke = {one.name: one for one in first.streams}
    change = spoke["increment"]
    assert change.value == pytest.approx(values[300, 1] - values[299, 1], rel=1e-4)
    assert (change.seen, change.among, change.exact, change.horizon) == (0, 280, True, None)
    assert "highest remembered in 280 points" in first.reason
    assert last.reason.startswith("score below the threshold again; closed after ")
    assert first.once_in is None  # a detector with one threshold knows no rates


def test_a_shift_tells_its_levels_and_an_event_its_rarity() -> None:
    """With a table of thresholds each event tells in how many points there is one without a fault."""
    values = np.random.default_rng(7).normal(50, 1, 700)
    values[500:] += 20
    table = ThresholdTable((150, 250), (-4.0, -2.0), ((3.0, 1.0), (3.0, 1.0)))
    detector = dataclasses.replace(make_detector(gain=0, threshold=1.9), table=table)
    events = _anomalies(process(make_engine(detector), [one_stream(values)]))
    for anomaly in events:
        rarity = 10 ** (anomaly.peak_score + 1)  # type: ignore[operator]  # of points there is
        assert anomaly.once_in == pytest.approx(min(rarity, 1e4), rel=0.05)
        if anomaly.event != "closed":
            told = "at most" if rarity >= 1e4 else "about"
            assert f"so high a score comes {told} once in {anomaly.once_in:,} points" in anomaly.reason
    (shift,) = [anomaly for anomaly in events if anomaly.kind == "level_shift"]
    words = re.match(r"level moved from ([\d.]+) to ([\d.]+) and stayed; closed after ", shift.reason)
    assert words is not None
    assert [float(one) for one in words.groups()] == pytest.approx([50, 70], abs=0.6)


@pytest.mark.parametrize("lateness", [0, 5])
def test_the_evidence_is_that_of_the_same_window(lateness: int) -> None:
    """What the fields contributed is told from their scores in one window, also where a record closes several."""
    values = np.array([seasonal(np.random.default_rng(seed), 400) for seed in (7, 8)]).T
    values[300, 0] += 30
    values[302, 1] += 30
    stream = one_stream(values)
    stream.time_us[303:] += 7 * INTERVAL_US
    windows = TimeWindows(INTERVAL_US, INTERVAL_US, allowed_lateness_us=lateness * INTERVAL_US)
    outcomes = process(
        make_engine(make_detector(threshold=2.0), EngineConfig(windows=windows), fields=FIELDS), [stream]
    )
    scores = {
        (table.field_names[field], iso_time(time_us)): score
        for table in tables_of(outcomes)
        for field, time_us, score in zip(table.field.tolist(), table.time_us.tolist(), table.score, strict=True)
    }
    events = _anomalies(outcomes)
    assert [(anomaly.event, anomaly.field) for anomaly in events[:2]] == [("opened", "flow"), ("opened", "heat")]
    for anomaly in events:
        found = np.array([scores[field, anomaly.time] for field in FIELDS])
        assert anomaly.contributions == share_evidence(found, FIELDS)


def test_episodes_of_empty_windows_have_ids_of_their_own() -> None:
    """A count that drops to nothing opens an episode in a window without any record, which has an id like any other."""
    start = START_US // INTERVAL_US * INTERVAL_US
    records = [(start + INTERVAL_US // 4 * n, "busy") for n in range(4 * 400)]
    records = sorted(records + [(start + INTERVAL_US * n, "idle") for n in range(800)])
    stream = make_batch([key for _, key in records], np.array([time for time, _ in records]), np.ones(len(records)))
    windows = TimeWindows(INTERVAL_US, INTERVAL_US, aggregate="count", silence_panes=300)
    config = EngineConfig(windows=windows, silence=SilenceRule(intervals=0))
    outcomes = process(make_engine(make_detector(gain=0), config), [stream])
    events = _anomalies(outcomes)
    assert {anomaly.key for anomaly in events} == {"busy"}
    assert [events[0].event, events[-1].event] == ["opened", "closed"]
    assert events[0].observed == 0
    assert len({anomaly.id for anomaly in events}) == len(events)
    assert {anomaly.episode for anomaly in events} == {events[0].id}
    flagged = column(outcomes, "is_anomaly")
    assert flagged.any()
    assert -1 not in column(outcomes, "episode")[flagged]


@pytest.mark.parametrize("size", [1, 7, 1000, 10_000])
def test_a_silent_key_is_noticed_at_the_right_record(size: int) -> None:
    """A key that falls silent is told at the record of another that told it, whatever the batches, and when it is back.

    After an outage of all keys nothing is told.
    """
    rng = np.random.default_rng(7)
    time_us = START_US + INTERVAL_US * np.arange(400)
    time_us[300:] += 200 * INTERVAL_US
    times, names = np.repeat(time_us, 5), np.tile(list("abcde"), 400)
    missing = (names == "c") & (times >= time_us[200]) & (times < time_us[250])
    batch = make_batch(names[~missing].tolist(), times[~missing], rng.normal(size=int((~missing).sum())))
    outcomes = process(make_engine(make_detector(threshold=99)), cut(batch, every(batch, size)))
    began, ended = _anomalies(outcomes)
    told = int(np.searchsorted(batch.time_us, time_us[199] + 20 * INTERVAL_US, side="right"))
    back = int(np.flatnonzero((names[~missing] == "c") & (batch.time_us == time_us[250]))[0])
    assert (began.key, began.event, began.kind, began.position) == ("c", "opened", "silence", told + 1)
    assert (ended.key, ended.event, ended.position) == ("c", "closed", back + 1)
    assert began.reason == "no value for 1 h 45 min; usually one every 5 min"
    assert ended.reason == "heard again after 4 h 15 min without a value; usually one every 5 min"
    assert began.opened_at == str(np.datetime64(int(time_us[199]), "us")).removesuffix(".000000") + "Z"
