"""State that goes over to an engine with another network."""

import numpy as np
import pytest

from pipeline.carrying import carry_state
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.records import Batch
from pipeline.windows import CountWindows
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
SWAP = 60 * KEYS


def _stream() -> Batch:
    rng = np.random.default_rng(8)
    values = np.array([seasonal(rng, RUN * ROUNDS) for _ in range(KEYS)]).reshape(KEYS, ROUNDS, RUN)
    keys = [f"key-{key}" for _ in range(ROUNDS) for key in range(KEYS) for _ in range(RUN)]
    times = START_US + INTERVAL_US * np.arange(RUN * ROUNDS).reshape(ROUNDS, 1, RUN).repeat(KEYS, axis=1)
    return make_batch(keys, times.ravel(), values.transpose(1, 0, 2).ravel())


STREAM = _stream()


@pytest.mark.parametrize("hidden", [6, 9])
def test_evicted_keys_go_over_like_the_others(hidden: int) -> None:
    """Under a network of another size, verdicts are the same whether or not lanes had been evicted before."""
    told = []
    for keys_in_memory in (None, 8):
        old = make_engine(make_detector(warm_up=20), keys_in_memory=keys_in_memory)
        new = make_engine(make_detector(hidden=hidden, gain=0.7, warm_up=20), keys_in_memory=keys_in_memory)
        process(old, cut(STREAM.slice(0, SWAP), every(STREAM.slice(0, SWAP), 10)))
        assert (old.lanes.evictions > 0) == (keys_in_memory is not None)
        assert carry_state(old, new)
        assert new.counts.to_dict() == old.counts.to_dict()
        rest = STREAM.slice(SWAP, len(STREAM))
        told.append(rows_by_lane(process(new, cut(rest, every(rest, 10)))))
    assert told[0] == told[1]


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


def test_lanes_that_do_not_fit_stay_where_they_are() -> None:
    """Another profile, other windows or other fields are refused, and nothing is loaded."""
    old = make_engine(make_detector(warm_up=20))
    old.process(STREAM.slice(0, 30))
    for new in (
        make_engine(make_detector("dense", warm_up=20)),
        make_engine(make_detector(warm_up=20), EngineConfig(CountWindows(8, 4))),
        make_engine(make_detector(warm_up=20), fields=("a", "b")),
    ):
        assert not carry_state(old, new)
        assert new.counts.consumed == 0
        assert len(new.lanes) == 0
