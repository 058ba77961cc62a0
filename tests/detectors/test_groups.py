"""The invariants of scoring with a joint network: carry, groups, missing fields, batch invariance, causality."""

import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.frontend import see_series
from detectors.layout import lane_dtype
from detectors.network import HORIZONS, Network, joint_inputs, weight_shapes
from detectors.profiles import PROFILES
from detectors.series import Track, joint_series
from detectors.thresholds import fixed_decision
from pipeline.engine import EngineConfig, Outcome, PartitionEngine
from pipeline.records import Disposition
from pipeline.windows import TimeWindows
from tests.detectors.written_out import read_outs
from tests.fakes import (
    COLUMNS,
    INTERVAL_US,
    START_US,
    cut,
    every,
    make_batch,
    make_engine,
    process,
    seasonal,
    tables_of,
)

FIELDS = ("a", "b", "c")
RECORDS = 400
SIZES = [("balanced", 1, 6), ("balanced", 2, 5), ("dense", 1, 7)]
SIZED = pytest.mark.parametrize(("profile", "layers", "hidden"), SIZES)
WINDOWS = {"records": EngineConfig(), "panes": EngineConfig(windows=TimeWindows(2 * INTERVAL_US, INTERVAL_US, 0))}


def make_joint_network(layers: int = 1, hidden: int = 6, fields: tuple[str, ...] = FIELDS) -> Network:
    """A joint network of random weights."""
    rng = np.random.default_rng(7)
    inputs = joint_inputs(len(fields))
    shapes = weight_shapes(layers, hidden, inputs, HORIZONS, len(fields))
    arrays = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    return Network(layers, hidden, inputs, HORIZONS, arrays, fields)


def make_joint_detector(profile: str = "balanced", layers: int = 1, hidden: int = 6) -> Detector:
    """A detector of such a network that flags a lot."""
    decision = fixed_decision(1.3, warm_up=60, rest=20, quiet=10)
    return Detector(make_joint_network(layers, hidden), PROFILES[profile], decision)


def plant(seed: int = 7) -> NDArray[np.float64]:
    """(RECORDS, 3) fields of one key, some of them missing, with a fault."""
    rng = np.random.default_rng(seed)
    values = np.stack([seasonal(rng, RECORDS) * scale for scale in (1, 50, 1e-3)], axis=1)
    values[250:260, 1] += 300
    values[rng.random(values.shape) < 0.1] = np.nan
    values[100:140, 0] = np.nan
    return values


KEYS = ("k", "l", "m", "n", "o")


def fleet() -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
    """Records of five keys in the order of their times, those of one time in a random one; a key pauses."""
    rng = np.random.default_rng(3)
    keys = rng.permutation(np.repeat(np.arange(len(KEYS)), RECORDS))
    nth = np.empty(len(keys), np.int64)
    for key in range(len(KEYS)):
        nth[keys == key] = np.arange(RECORDS)
    at = nth + np.where((keys == 2) & (nth > 200), 50, 0)
    order = np.argsort(at, kind="stable")
    values = np.stack([plant(seed) for seed in range(len(KEYS))])
    return [KEYS[key] for key in keys[order]], START_US + INTERVAL_US * at[order], values[keys, nth][order]


BATCH = make_batch(*fleet())


def engine_of(detector: Detector, config: EngineConfig | None = None, *, keys: int | None = None) -> PartitionEngine:
    """An engine for the fields."""
    return make_engine(detector, config, fields=FIELDS, keys_in_memory=keys)


def rows_by_lane(outcomes: Iterable[Outcome]) -> dict[tuple[str, str], dict[str, bytes]]:
    """Columns of the steps of each (key, field), in order, to the bit; points that gave none are left out."""
    gathered: dict[tuple[str, str], dict[str, list[bytes]]] = {}
    for table in tables_of(outcomes):
        is_step = table.disposition <= Disposition.WARMING
        for code, place in {*zip(table.key[is_step].tolist(), table.field[is_step].tolist(), strict=True)}:
            mine = is_step & (table.key == code) & (table.field == place)
            columns = gathered.setdefault((table.key_names[code], table.field_names[place]), {})
            for name in COLUMNS:
                columns.setdefault(name, []).append(getattr(table, name)[mine].tobytes())
    return {lane: {name: b"".join(parts) for name, parts in columns.items()} for lane, columns in gathered.items()}


def state(engine: PartitionEngine) -> dict[str, list[bytes]]:
    """Rows by key, but for what tells when a key was last heard of."""
    arrays, names, _ = engine.lanes.save()
    width = len(engine.fields)
    return {
        key: [
            array[slot * width : (slot + 1) * width].tobytes()
            for name, array in sorted(arrays.items())
            if name[:6] != "lanes_"
        ]
        for slot, key in enumerate(names)
    }


def locations_in_one_pass(network: Network, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-step forecasts (T, fields), in normalised units, of a network written out, over all inputs (T, I) at once."""
    places = range(len(network.fields))
    levels = inputs[:, [8 * place for place in places]]
    return np.asarray(read_outs(network, inputs)[:, [place * len(HORIZONS) for place in places]] + levels)


def track(values: NDArray[np.float64], time_us: NDArray[np.int64]) -> Track:
    """The points of a field that are there."""
    step = np.flatnonzero(np.isfinite(values))
    return Track(values[step], time_us[step], step, np.zeros(len(step), np.bool_))


@SIZED
@pytest.mark.parametrize("size", [1, 7, RECORDS])
def test_forecasts_are_those_of_one_pass_over_the_whole_sequence(
    profile: str, layers: int, hidden: int, size: int
) -> None:
    """Steps carried in batches of any size forecast what one pass over the inputs of training forecasts."""
    detector = make_joint_detector(profile, layers, hidden)
    values, time_us = plant(), START_US + INTERVAL_US * np.arange(RECORDS)
    batch = make_batch(["k"] * RECORDS, time_us, values)
    tables = [
        table for outcome in process(engine_of(detector), cut(batch, every(batch, size))) for table in outcome.verdicts
    ]
    there = np.isfinite(values).any(axis=1)
    tracks = [track(values[there, place], time_us[there]) for place in range(3)]
    series = joint_series(tracks, int(there.sum()), HORIZONS, detector.profile)
    forecasts = locations_in_one_pass(detector.network, series.inputs.astype(np.float64))
    tolerance = 0.05 if detector.profile.compact_hidden else 1e-3
    for place in range(3):
        mine = [(table.position[table.field == place], table.expected[table.field == place]) for table in tables]
        expected = np.concatenate([found[np.isfinite(values[at - 1, place])] for at, found in mine])
        seen = see_series(tracks[place].values, tracks[place].time_us, detector.profile)
        told = seen.mean[:-1] + seen.sd[:-1] * np.sinh(forecasts[tracks[place].step, place][:-1].clip(-50, 50))
        is_answered = seen.run[1:] > 1  # a forecast from before a gap is not
        off = ((expected[1:] - told) / seen.sd[:-1])[is_answered]
        np.testing.assert_allclose(off, 0, atol=tolerance)
        assert np.isnan(expected[1:][~is_answered]).all()
        assert is_answered.sum() > 300


@pytest.mark.parametrize("windows", WINDOWS)
@SIZED
@settings(max_examples=8)
@given(cuts=st.sets(st.integers(1, len(BATCH) - 1), max_size=40).map(sorted))
def test_cuts_do_not_show(windows: str, profile: str, layers: int, hidden: int, cuts: list[int]) -> None:
    """However records are cut into batches, verdicts and state are those of one batch, bit for bit."""
    detector = make_joint_detector(profile, layers, hidden)
    whole, pieces = (engine_of(detector, WINDOWS[windows]) for _ in range(2))
    expected, found = process(whole, [BATCH]), process(pieces, cut(BATCH, cuts))
    assert rows_by_lane(found) == rows_by_lane(expected)
    assert state(pieces) == state(whole)
    events = [[anomaly.id for outcome in outcomes for anomaly in outcome.anomalies] for outcomes in (expected, found)]
    assert events[0] == events[1]
    assert events[0]


@pytest.mark.parametrize("windows", WINDOWS)
def test_neither_eviction_nor_saving_shows(windows: str) -> None:
    """With room for two keys of five, or saved between batches, verdicts are those of an engine left alone."""
    detector = make_joint_detector()
    expected = rows_by_lane(process(engine_of(detector, WINDOWS[windows]), [BATCH]))
    evicting = rows_by_lane(process(engine_of(detector, WINDOWS[windows], keys=2), cut(BATCH, every(BATCH, 50))))
    for lane, columns in expected.items():
        for name, whole in columns.items():  # the last pane of a key that is evicted at the end is still to be told
            assert whole.startswith(evicting[lane][name])
            assert len(evicting[lane][name]) > 0.99 * len(whole)
    outcomes, engine = [], engine_of(detector, WINDOWS[windows])
    for piece in cut(BATCH, every(BATCH, 300)):
        outcomes.append(engine.process(piece))
        again = engine_of(detector, WINDOWS[windows])
        again.load(engine.save(), engine.counts.to_dict())
        engine = again
    assert rows_by_lane(outcomes) == expected


def test_other_keys_do_not_matter() -> None:
    """Each key alone, in an engine of its own, has the bits that it has among the others; positions apart."""
    detector = make_joint_detector()
    together = rows_by_lane(process(engine_of(detector), [BATCH]))
    keys = np.array(BATCH.key_names)[BATCH.key_codes]
    for key in KEYS:
        mine = keys == key
        alone = rows_by_lane(
            process(engine_of(detector), [make_batch(keys[mine].tolist(), BATCH.time_us[mine], BATCH.values[mine])])
        )
        for lane, columns in alone.items():
            for name in ("score", "expected", "lower", "surprise", "segment_score", "is_anomaly", "threshold"):
                assert columns[name] == together[lane][name]


@settings(max_examples=10)
@given(order=st.permutations(FIELDS))
def test_the_order_of_the_columns_does_not_matter(order: list[str]) -> None:
    """Fields are told by name: in another order of the columns every field has the same bits."""
    detector = make_joint_detector()
    expected = rows_by_lane(process(engine_of(detector), [BATCH]))
    values = BATCH.values[:, [FIELDS.index(name) for name in order]]
    moved = dataclasses.replace(BATCH, values=values)
    found = rows_by_lane(process(make_engine(detector, fields=tuple(order)), [moved]))
    for lane, columns in expected.items():
        assert found[lane] == columns


def test_a_verdict_depends_on_nothing_after_its_record() -> None:
    """Cutting the stream short changes no earlier verdict."""
    detector = make_joint_detector()
    whole = process(engine_of(detector), [BATCH])[0].verdicts[0]
    short = process(engine_of(detector), [BATCH.slice(0, 900)])[0].verdicts[0]
    earlier = whole.position <= 900
    for name in ("score", "expected", "segment_score", "episode", "is_anomaly"):
        assert getattr(short, name).tobytes() == getattr(whole, name)[earlier].tobytes()


def test_the_fields_hang_together() -> None:
    """What one field does changes what is expected of another next, and of a shared network it would not."""
    time_us = START_US + INTERVAL_US * np.arange(RECORDS)
    values = np.nan_to_num(plant())
    other = values.copy()
    other[300, 2] += 1
    expected = []
    for one in (values, other):
        table = process(engine_of(make_joint_detector()), [make_batch(["k"] * RECORDS, time_us, one)])[0].verdicts[0]
        expected.append(table.expected[table.field == 0])
    changed = np.flatnonzero(np.nan_to_num(expected[0]) != np.nan_to_num(expected[1]))
    assert changed[0] == 301


@pytest.mark.parametrize("is_history", [False, True])
def test_records_at_the_same_time_step_one_by_one(*, is_history: bool) -> None:
    """Two records of a key at one time, of a field each, are two steps, whether they come in one batch or in two.

    So they are in a history that comes before a stream, whose records have no position to tell them by.
    """
    values = np.repeat(np.nan_to_num(plant()), 2, axis=0)
    values[::2, 1:] = np.nan
    values[1::2, 0] = np.nan
    time_us = np.repeat(START_US + INTERVAL_US * np.arange(RECORDS), 2)
    batch = make_batch(["k"] * len(values), time_us, values)
    if is_history:
        batch = dataclasses.replace(batch, position=np.full(len(batch), -1))
    cuts: list[Iterable[int]] = [[], range(1, len(batch))]
    outcomes = [process(engine_of(make_joint_detector()), cut(batch, at)) for at in cuts]
    assert rows_by_lane(outcomes[0]) == rows_by_lane(outcomes[1])


def test_other_fields_are_refused() -> None:
    """Fields that the network was not fitted for are refused with both lists; the order is the user's."""
    detector = make_joint_detector()
    for fields in itertools.chain([("a", "b")], [("a", "b", "d")], [("a", "b", "c", "d")]):
        with pytest.raises(ValueError, match=r"found the fields a, b.*; expected those that .* fitted for: a, b, c"):
            make_engine(detector, fields=fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("a",), r"found the fields \('a',\); expected 2 or more"),
        (("a", "b", "b"), "expected 2 or more of different names"),
        (("a", "b"), "found 27 inputs; expected 19 in a joint network of 2 fields"),
    ],
)
def test_a_network_that_is_not_one_is_refused(fields: tuple[str, ...], message: str) -> None:
    """One field, a field twice, or inputs for another number of fields are refused."""
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make_joint_network(), fields=fields)


def test_the_state_is_the_keys() -> None:
    """A key has one (h, c), spread over its lanes, so that three lanes take hardly more of it than one has alone."""
    shared = lane_dtype(PROFILES["balanced"], 1, 64)["hidden"].shape[0]
    joint = lane_dtype(PROFILES["balanced"], 1, 64, 3)["hidden"].shape[0]
    assert shared == 128
    assert 128 <= 3 * joint <= 130
