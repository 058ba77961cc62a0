"""State that goes over to an engine with another network."""

import numpy as np
import pytest

from detectors.detector import Detector
from detectors.structure import PLAIN, Structure
from pipeline.carrying import carry_state
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.records import JOINT, Batch
from pipeline.windows import CountWindows
from tests.detectors.written_out import STRUCTURES
from tests.fakes import (
    INTERVAL_US,
    START_US,
    cut,
    every,
    make_batch,
    make_detector,
    make_engine,
    process,
    rows_by_lane,
    seasonal,
)

KEYS, RUN, ROUNDS = 12, 5, 24
"""Keys take turns in runs of points, so that with room for eight there are always evicted ones."""
SWAP, LATE_SWAP = 60 * KEYS, 100 * KEYS


def _stream() -> Batch:
    rng = np.random.default_rng(8)
    values = np.array([seasonal(rng, RUN * ROUNDS) for _ in range(KEYS)]).reshape(KEYS, ROUNDS, RUN)
    keys = [f"key-{key}" for _ in range(ROUNDS) for key in range(KEYS) for _ in range(RUN)]
    times = START_US + INTERVAL_US * np.arange(RUN * ROUNDS).reshape(ROUNDS, 1, RUN).repeat(KEYS, axis=1)
    return make_batch(keys, times.ravel(), values.transpose(1, 0, 2).ravel())


STREAM = _stream()


@pytest.mark.parametrize(
    ("hidden", "structure"), [(6, PLAIN), (9, PLAIN), *((6, structure) for structure in STRUCTURES)], ids=str
)
def test_evicted_keys_go_over_like_the_others(hidden: int, structure: Structure) -> None:
    """Under a network of another size or structure, verdicts do not tell whether lanes had been evicted before."""
    told = []
    for keys_in_memory in (None, 8):
        old = make_engine(make_detector(warm_up=20), keys_in_memory=keys_in_memory)
        newer = make_detector(hidden=hidden, gain=0.7, structure=structure, warm_up=20)
        new = make_engine(newer, keys_in_memory=keys_in_memory)
        process(old, cut(STREAM.slice(0, SWAP), every(STREAM.slice(0, SWAP), 10)))
        assert (old.lanes.evictions > 0) == (keys_in_memory is not None)
        assert carry_state(old, new)
        assert new.counts.to_dict() == old.counts.to_dict()
        rest = STREAM.slice(SWAP, len(STREAM))
        told.append(rows_by_lane(process(new, cut(rest, every(rest, 10)))))
    assert told[0] == told[1]


@pytest.mark.parametrize("hidden", [6, 9])
def test_joint_lanes_go_over_like_the_others(hidden: int) -> None:
    """Of keys with several fields, too: no eviction shows, and the relations of the fields stay what they were."""
    fields = ("a", "b", "c")
    values = STREAM.values + np.random.default_rng(9).normal(0, 0.1, (len(STREAM), 3))
    stream = make_batch([STREAM.key_names[code] for code in STREAM.key_codes], STREAM.time_us, values)
    first, rest = stream.slice(0, LATE_SWAP), stream.slice(LATE_SWAP, len(stream))

    def deaf(size: int, gain: float) -> Detector:
        return make_detector(hidden=size, gain=gain, warm_up=20, threshold=9.0)

    told = []
    for keys_in_memory in (None, 8):
        old = make_engine(deaf(6, 1.0), fields=fields, keys_in_memory=keys_in_memory)
        new = make_engine(deaf(hidden, 0.7), fields=fields, keys_in_memory=keys_in_memory)
        process(old, cut(first, every(first, 10)))
        assert (old.lanes.evictions > 0) == (keys_in_memory is not None)
        assert carry_state(old, new)
        told.append(rows_by_lane(process(new, cut(rest, every(rest, 10)))))
    assert told[0] == told[1]
    without_swap = make_engine(deaf(6, 1.0), fields=fields)
    without_swap.process(first)
    straight = rows_by_lane(process(without_swap, [rest]))
    joint = {lane: rows["value"] for lane, rows in told[0].items() if lane[1] == JOINT}
    assert len(joint) == KEYS
    assert joint == {lane: straight[lane]["value"] for lane in joint}
    assert any(straight[lane]["score"] != told[0][lane]["score"] for lane in joint)


def test_the_network_decides_what_is_rebuilt() -> None:
    """An engine with an equal network goes on to the bit, one with another does not."""
    rest = STREAM.slice(SWAP, len(STREAM))

    def carried(gain: float) -> PartitionEngine:
        old, new = make_engine(make_detector(warm_up=20)), make_engine(make_detector(gain=gain, warm_up=20))
        old.process(STREAM.slice(0, SWAP))
        assert carry_state(old, new)
        return new

    straight = make_engine(make_detector(warm_up=20))
    straight.process(STREAM.slice(0, SWAP))
    expected = rows_by_lane(process(straight, [rest]))
    assert rows_by_lane(process(carried(1.0), [rest])) == expected
    assert rows_by_lane(process(carried(0.7), [rest])) != expected


@pytest.mark.parametrize("keys_in_memory", [None, 8])
def test_a_network_that_comes_back_finds_nothing_of_its_own(keys_in_memory: int | None) -> None:
    """Lanes not heard of under a network of another size are rebuilt, in memory or evicted, once the first is back."""
    first = STREAM.slice(0, SWAP)
    engines = [
        make_engine(make_detector(hidden=hidden, gain=gain, warm_up=20), keys_in_memory=keys_in_memory)
        for hidden, gain in ((6, 1.0), (9, 0.7), (6, 1.0))
    ]
    process(engines[0], cut(first, every(first, 10)))
    assert carry_state(engines[0], engines[1])
    assert carry_state(engines[1], engines[2])
    forgetful = make_engine(make_detector(warm_up=20))
    forgetful.process(first)
    forgetful.lanes.slab["scalars"]["network"] = 0
    rest = STREAM.slice(SWAP, len(STREAM))
    assert rows_by_lane(process(engines[2], [rest])) == rows_by_lane(process(forgetful, [rest]))


def test_lanes_that_do_not_fit_stay_where_they_are() -> None:
    """Another profile, other windows, other fields, or joint lanes in one alone are refused; nothing is loaded."""
    old = make_engine(make_detector(warm_up=20))
    old.process(STREAM.slice(0, 30))
    pair = make_engine(make_detector(warm_up=20), fields=("a", "b"))
    pair.process(make_batch(["a"] * 30, START_US + INTERVAL_US * np.arange(30), np.ones((30, 2))))
    alone = EngineConfig(joint=False)
    for before, new in (
        (old, make_engine(make_detector("dense", warm_up=20))),
        (old, make_engine(make_detector(warm_up=20), EngineConfig(CountWindows(8, 4)))),
        (old, make_engine(make_detector(warm_up=20), fields=("a", "b"))),
        (pair, make_engine(make_detector(warm_up=20), alone, fields=("a", "b"))),
        (pair, make_engine(make_detector(warm_up=20), alone, fields=("a", "b", "c"))),
        (pair, make_engine(make_detector(warm_up=20), fields=("b", "a"))),
    ):
        assert not carry_state(before, new)
        assert new.counts.consumed == 0
        assert len(new.lanes) == 0


@pytest.mark.parametrize("keys_in_memory", [None, 8])
def test_what_is_rebuilt_is_the_same_whoever_carried_it(keys_in_memory: int | None) -> None:
    """With `rebuild`, a network goes on from its own state as from another one's, and otherwise than undisturbed."""
    rest = STREAM.slice(SWAP, len(STREAM))
    before = STREAM.slice(0, SWAP)

    def carried(gain: float, *, rebuild: bool) -> dict[tuple[str, str], dict[str, bytes]]:
        old = make_engine(make_detector(gain=gain, warm_up=20), keys_in_memory=keys_in_memory)
        new = make_engine(make_detector(warm_up=20), keys_in_memory=keys_in_memory)
        process(old, cut(before, every(before, 10)))
        assert carry_state(old, new, rebuild=rebuild)
        return rows_by_lane(process(new, cut(rest, every(rest, 10))))

    def expected(told: dict[tuple[str, str], dict[str, bytes]]) -> dict[tuple[str, str], bytes]:
        """Forecasts from the second on; the first was made by whoever was before."""
        return {lane: columns["expected"][8:] for lane, columns in told.items()}

    own = expected(carried(1.0, rebuild=True))
    assert own == expected(carried(0.7, rebuild=True))
    assert all(own[lane] != other for lane, other in expected(carried(1.0, rebuild=False)).items())
