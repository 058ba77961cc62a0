"""Replays that go over from bundle to bundle as a service did."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.adapters.outputs import ReplayOutputs
from pipeline.carrying import carry_state
from pipeline.cli.timeline import Swap, SwapTimeline, read_swaps
from pipeline.engine import PartitionEngine
from pipeline.errors import ConfigError, InputError
from pipeline.records import RunIdentity
from pipeline.replay import ReplayPlan, run_replay
from tests.fakes import column, make_detector, make_engine
from tests.pipeline.test_replay import Clock, Minutes

RUN = RunIdentity("config", "bundle", "source")
GAINS = {"a": 1.0, "b": 0.7, "c": 0.4}
MINUTES = Minutes(range(400))


def _engine(bundle: str) -> PartitionEngine:
    return make_engine(make_detector(gain=GAINS[bundle], warm_up=20))


@contextmanager
def _make(partition: str, bundle: str) -> Iterator[PartitionEngine]:
    assert partition == "pump"
    yield _engine(bundle)


def _told(**changes: object) -> str:
    event = {"place": "in/0", "offset": 40, "configuration": ["x", "x"], "bundle": ["a", "b"], "event": "swapped"}
    return json.dumps(event | changes)


def _scores(swaps: list[Swap]) -> list[bytes]:
    """Of an engine that takes one record after another."""
    engine, waiting, outcomes = _engine("a"), list(swaps), []
    for batch in MINUTES.batches(1):
        while waiting and batch.position[0] >= waiting[0].offset:
            new = _engine(waiting.pop(0).bundle)
            assert carry_state(engine, new)
            engine = new
        outcomes.append(engine.process(batch))
    return [column(outcomes, name).tobytes() for name in ("score", "expected", "segment_score")]


def _replay(directory: Path, swaps: list[Swap], micro_batch: int, stop_after: int) -> bool:
    """Go on with a replay for so many batches; whether it is done."""
    clock = Clock()
    seen: list[int] = []
    with ReplayOutputs(directory, RUN, existing="resume") as outputs:
        return run_replay(
            [MINUTES], SwapTimeline({"pump": swaps}, "a", _make), outputs, ReplayPlan(micro_batch=micro_batch), RUN,
            resume=outputs.resumed, clock=clock, sleep=clock.sleep,
            stop=lambda: len(seen) >= stop_after and micro_batch > 1,
            observe=lambda progress: seen.append(progress.records),
        ).completed  # fmt: skip


@pytest.mark.parametrize("micro_batch", [1, 7, 1000])
@pytest.mark.parametrize("stop_after", [3, 10**9])
@pytest.mark.parametrize(
    "swaps",
    [
        [Swap(200, "a", "b")],
        [Swap(100, "a", "b"), Swap(101, "b", "c"), Swap(300, "c", "a")],
        [Swap(150, "a", "b"), Swap(1000, "b", "c")],
    ],
)
def test_a_replay_goes_over_where_it_is_told(
    tmp_path: Path, swaps: list[Swap], micro_batch: int, stop_after: int
) -> None:
    """Whatever the batches, and interrupted or not, scores are those of an engine that swapped at these records."""
    import pyarrow.parquet as pq

    while not _replay(tmp_path, swaps, micro_batch, stop_after):
        pass
    table = pq.read_table(tmp_path / "verdicts.parquet")
    score, expected, segment = (table[name].to_numpy() for name in ("score", "expected", "segment_score"))
    assert [score.tobytes(), expected.tobytes(), segment.tobytes()] == _scores(swaps)
    assert _scores(swaps) != _scores([])


def test_swaps_are_read_from_the_log_of_the_service(tmp_path: Path) -> None:
    """Lines of other events and topics are passed over, and what was told and not committed is undone."""
    log = tmp_path / "log"
    lines = [
        "starting up", '{"event": "restored", "place": "in/0"}', _told(place="other/0"), _told(offset=90), '{"swapped"',
        _told(offset=60), _told(offset=60), _told(offset=80, bundle=["b", "c"]), _told(place="in/1", offset=7),
    ]  # fmt: skip
    log.write_text("\n".join(lines))
    assert read_swaps(log, "in") == {"0": [Swap(60, "a", "b"), Swap(80, "b", "c")], "1": [Swap(7, "a", "b")]}


def test_logs_that_cannot_be_gone_by_are_refused(tmp_path: Path) -> None:
    """No file, no swap of the topic, and a change of configuration are told in a line."""
    log = tmp_path / "log"
    with pytest.raises(InputError, match=r"found no readable file .*; expected a log of `driftline serve`"):
        read_swaps(log, "in")
    log.write_text(_told(place="other/0"))
    with pytest.raises(InputError, match="found no swap of the topic 'in'; expected lines with"):
        read_swaps(log, "in")
    log.write_text(_told(configuration=["x", "y"]))
    with pytest.raises(ConfigError, match="found the configuration changed at offset 40 of in/0; expected one"):
        read_swaps(log, "in")
