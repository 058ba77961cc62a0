"""What a key carries behind a swap between shared and joint networks."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.frontend import see_series
from detectors.layout import Slab
from detectors.minifloat import decode
from detectors.network import HORIZONS, Network
from detectors.series import joint_series
from pipeline.carrying import carry_state
from pipeline.engine import PartitionEngine
from pipeline.records import JOINT
from tests.detectors.test_groups import (
    BATCH,
    FIELDS,
    WINDOWS,
    engine_of,
    locations_in_one_pass,
    make_joint_detector,
    rows_by_lane,
    track,
)
from tests.fakes import INTERVAL_US, START_US, cut, every, make_batch, make_detector, process, seasonal

BEFORE = 300
SAME_ROW = 24
"""Cells of a joint network whose (h, c) take as much room as those of a shared one of six in the four rows of a key."""


def _shared(hidden: int = 6, gain: float = 1.0, profile: str = "balanced") -> Detector:
    return make_detector(profile, hidden=hidden, gain=gain)


def _swapped(old: PartitionEngine, detector: Detector, config: str = "records") -> PartitionEngine:
    """An engine with another detector that goes on where the old one is."""
    new = engine_of(detector, WINDOWS[config], keys=old.lanes.max_keys)
    assert carry_state(old, new)
    return new


def _plant(missing: str) -> NDArray[np.float64]:
    """(BEFORE + 2, 3) fields of one key; the last two records are whole."""
    rng = np.random.default_rng(5)
    values = np.stack([seasonal(rng, BEFORE + 2) * scale for scale in (1, 50, 1e-3)], axis=1)
    values[BEFORE - 10 : BEFORE, 0] = np.nan if missing == "newest" else values[BEFORE - 10 : BEFORE, 0]
    values[: BEFORE - 30, 2] = np.nan if missing == "oldest" else values[: BEFORE - 30, 2]
    values[:BEFORE, 1] = np.nan if missing == "all" else values[:BEFORE, 1]
    return values


def _window_inputs(slab: Slab) -> NDArray[np.float64]:
    """(steps, I) what a joint network of the fields is led over, written out anew."""
    scalars, windows = slab["scalars"], slab["window"]
    size, newest, interval = windows.shape[1], scalars["last_time_us"].max(), INTERVAL_US
    steps = []
    for back in range(size - 1, -1, -1):
        inputs = np.zeros(8 * len(FIELDS) + 3)
        is_there = False
        for place in reversed(range(len(FIELDS))):
            lane = scalars[place]
            held = windows[place]
            kept = np.array([decode(code) for code in held]) if held.dtype == np.int16 else held.astype(np.float64)
            age = back - round((newest - lane["last_time_us"]) / interval)
            count = min(int(lane["points"]), size)
            if not 0 <= age < count:
                continue
            is_there, sd = True, np.sqrt(lane["variance"])
            x, before = (
                kept[(lane["points"] - 1 - at) % size] * lane["frame_scale"] + lane["frame_mean"] - lane["mean"]
                for at in (age, age + 1)
            )
            inputs[8 * place] = np.arcsinh(x / sd)
            inputs[8 * place + 1] = np.arcsinh((x - before) / sd) if age + 1 < count else 0
            inputs[8 * place + 7] = 1
            next_day = (newest - (back - 1) * interval) / 86_400e6
            inputs[-3], inputs[-2] = np.sin(2 * np.pi * next_day), np.cos(2 * np.pi * next_day)
            inputs[-1] = (np.floor(next_day) + 3) % 7 >= 5
        if is_there:
            steps.append(inputs)
    return np.array(steps)


@pytest.mark.parametrize("missing", ["nothing", "newest", "oldest", "all"])
@pytest.mark.parametrize(("profile", "layers"), [("balanced", 1), ("balanced", 2), ("dense", 1)])
def test_the_state_is_that_of_the_joint_network_led_over_the_windows(profile: str, layers: int, missing: str) -> None:
    """The first forecasts behind a swap are those of an LSTM written out, led over the windows and the record itself.

    A field is missing from the steps that it has no point for: before its first, behind its last, or all.
    """
    values, time_us = _plant(missing), START_US + INTERVAL_US * np.arange(BEFORE + 2)
    batch = make_batch(["k"] * len(values), time_us, values)
    old = engine_of(_shared(profile=profile))
    old.process(batch.slice(0, BEFORE))
    detector = make_joint_detector(profile, layers)
    new = _swapped(old, detector)
    led = _window_inputs(new.lanes.used())
    assert (led[:, 7::8][:, :3] == 0).any() == (missing != "nothing")
    tracks = [track(values[:, place], time_us) for place in range(3)]
    real = joint_series(tracks, BEFORE + 2, HORIZONS, detector.profile).inputs[BEFORE].astype(np.float64)
    expected = locations_in_one_pass(detector.network, np.vstack([led, real]))[-1]
    table = new.process(batch.slice(BEFORE, BEFORE + 2)).verdicts[0]
    for place in range(3):
        if missing == "all" and place == 1:
            continue  # its own second point is the first that has a forecast, from a normaliser of one value
        seen = see_series(tracks[place].values, tracks[place].time_us, detector.profile)
        (told,) = table.expected[(table.field == place) & (table.position == BEFORE + 2)]
        found = np.arcsinh((told - seen.mean[-2]) / seen.sd[-2])
        assert found == pytest.approx(expected[place], abs=0.03 if profile == "dense" else 2e-3)


SWAPS = {
    "shared, joint, shared": [_shared(), make_joint_detector(), _shared(gain=0.7)],
    "joint, shared, joint": [make_joint_detector(), _shared(9), make_joint_detector(layers=2, hidden=5)],
    "there and back": [make_joint_detector(), _shared(), make_joint_detector()],
    "rows as long": [_shared(), make_joint_detector(hidden=SAME_ROW), _shared()],
}
ENDS = [0, 700, 1400, len(BATCH)]


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("swaps", SWAPS)
def test_swaps_are_the_same_however_records_are_cut_and_whoever_is_evicted(swaps: str, windows: str) -> None:
    """Batches of any size, and room for two keys of five, change no bit of a verdict behind swaps."""
    told = []
    for size, keys in ((len(BATCH), None), (1, None), (37, None), (50, 2)):
        outcomes = []
        engine = engine_of(SWAPS[swaps][0], WINDOWS[windows], keys=keys)
        for (first, last), detector in zip(itertools.pairwise(ENDS), SWAPS[swaps], strict=True):
            part = BATCH.slice(first, last)
            engine = _swapped(engine, detector, windows) if first else engine
            outcomes += process(engine, cut(part, every(part, size)))
        assert (engine.lanes.evictions > 0) == (keys is not None)
        told.append(rows_by_lane(outcomes))
    assert told[1] == told[0]
    assert told[2] == told[0]
    for lane, columns in told[0].items():
        for name, whole in columns.items():  # the last pane of a key that is evicted at the end is still to be told
            assert whole.startswith(told[3][lane][name])
            assert len(told[3][lane][name]) > 0.99 * len(whole)


def test_one_lane_that_was_elsewhere_is_enough() -> None:
    """A key of which a shared network has had but one field begins anew when the joint network is back."""
    values, time_us = _plant("nothing"), START_US + INTERVAL_US * np.arange(BEFORE + 2)
    values[200:210, [0, 2]] = np.nan
    batch = make_batch(["k"] * len(values), time_us, values)
    told = []
    assert engine_of(_shared()).lanes.row_type == engine_of(make_joint_detector(hidden=SAME_ROW)).lanes.row_type
    for forget in (False, True):
        engine = engine_of(make_joint_detector(hidden=SAME_ROW))
        engine.process(batch.slice(0, 200))
        engine = _swapped(engine, _shared())
        engine.process(batch.slice(200, 210))
        engine = _swapped(engine, make_joint_detector(hidden=SAME_ROW))
        if forget:
            engine.lanes.slab["scalars"]["network"] = 0
        told.append(rows_by_lane([engine.process(batch.slice(210, BEFORE))]))
    assert told[0] == told[1]


def test_the_joint_lane_sleeps_under_a_joint_network_and_goes_on_behind_it() -> None:
    """A joint network has no verdict for it; a shared one that is back finds it as it was, and it warms up no more."""
    values, time_us = _plant("nothing"), START_US + INTERVAL_US * np.arange(BEFORE + 2)
    batch = make_batch(["k"] * len(values), time_us, values)
    engine = engine_of(make_detector(warm_up=20, threshold=9.0))
    assert engine.lane_names == (*FIELDS, JOINT)
    before = rows_by_lane([engine.process(batch.slice(0, 150))])
    (points,) = engine.lanes.slab["scalars"]["points"][3:4].tolist()
    engine = _swapped(engine, make_joint_detector())
    assert engine.lane_names == FIELDS
    meanwhile = rows_by_lane([engine.process(batch.slice(150, 250))])
    engine = _swapped(engine, make_detector(warm_up=20, threshold=9.0))
    table = engine.process(batch.slice(250, BEFORE)).verdicts[0]
    assert ("k", JOINT) in before
    assert {field for _, field in meanwhile} == {*FIELDS}
    mine = table.field == len(FIELDS)
    assert mine.sum() > 10
    assert np.isfinite(table.score[mine]).all()
    assert engine.lanes.slab["scalars"]["points"][3] == points + mine.sum()
    assert points > 20


def test_an_equal_joint_network_is_not_a_swap_and_one_of_other_names_is() -> None:
    """A detector made anew with equal weights goes on to the bit; with its fields in another order it does not."""
    told = []
    for network in (None, make_joint_detector().network, _renamed(make_joint_detector().network)):
        engine = engine_of(make_joint_detector())
        engine.process(BATCH.slice(0, 700))
        if network is not None:
            detector = make_joint_detector()
            engine = _swapped(engine, Detector(network, detector.profile, detector.decision))
        told.append(rows_by_lane([engine.process(BATCH.slice(700, 1400))]))
    assert told[1] == told[0]
    assert told[2] != told[0]


def _renamed(network: Network) -> Network:
    sizes = (network.layers, network.hidden, network.inputs, network.horizons)
    return Network(*sizes, network.arrays, network.fields[::-1])


def test_a_swap_leaves_no_blind_spot() -> None:
    """In the first records behind a swap, forecasts are nearly those of the joint network had it been there all along.

    From a state of zeros they are far off: the rebuilding is what this shows.
    """
    values, time_us = _plant("nothing"), START_US + INTERVAL_US * np.arange(BEFORE + 2)
    batch = make_batch(["k"] * len(values), time_us, values)
    new = make_joint_detector()

    def forecasts(first: Detector, *, zeros: bool = False) -> NDArray[np.float64]:
        engine = engine_of(first)
        engine.process(batch.slice(0, BEFORE - 5))
        if first is not new:
            engine = _swapped(engine, new)
        if zeros:
            engine.lanes.slab["hidden"][:] = 0
        expected = engine.process(batch.slice(BEFORE - 5, BEFORE)).verdicts[0].expected.reshape(5, 3)[1:]
        scaled: NDArray[np.float64] = expected / values[:BEFORE].std(axis=0)
        return scaled

    carried = forecasts(new)
    rebuilt, nothing = (np.abs(one - carried).mean() for one in (forecasts(_shared()), forecasts(new, zeros=True)))
    assert rebuilt < 0.3 * nothing
