"""The replay loop with engines and outputs of its own: order of time, pace and stopping."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.outputs import ReplayOutputs
from pipeline.errors import InputError
from pipeline.records import Batch, Problem, RunIdentity
from pipeline.replay import ReplayPlan, ReplayResult, run_replay
from pipeline.replay.progress import Run
from tests.fakes import make_engine

MINUTE_US = 60_000_000
RUN = RunIdentity("config", "bundle", "source")


@dataclass(frozen=True)
class Minutes:
    """A partition of one key with a value at each of the given minutes."""

    minutes: Sequence[int]
    name: str = "pump"
    path: Path = Path("pump.csv")

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """The records behind a row."""
        for start in range(after_row, len(self.minutes), batch_size):
            time_us = MINUTE_US * np.array(self.minutes[start : start + batch_size], np.int64)
            count = len(time_us)
            rows = np.arange(start, start + count) + 1
            yield Batch(["a"], np.zeros(count, np.int32), time_us, np.sin(time_us / 1e9)[:, None], rows)


class Clock:
    """Seconds that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def replay(
    minutes: Sequence[int], directory: Path, plan: ReplayPlan, *, clock: Clock | None = None, batches: int = 10**9
) -> ReplayResult:
    """Replay into `directory`, stopped after so many batches."""
    clock = clock or Clock()
    seen: list[int] = []
    with ReplayOutputs(directory, RUN, existing="resume") as outputs:
        return run_replay(
            [Minutes(minutes)],
            lambda _: make_engine(),
            outputs,
            plan,
            RUN,
            resume=outputs.resumed,
            clock=clock,
            sleep=clock.sleep,
            stop=lambda: len(seen) >= batches,
            observe=lambda progress: seen.append(progress.records),
        )


@pytest.mark.parametrize("count", [3, 400])
def test_a_file_sorted_newest_first_is_refused(tmp_path: Path, count: int) -> None:
    """Where most times go back the run ends, names the file and says to sort it; the directory can be used again."""
    with pytest.raises(InputError, match=r"pump\.csv: found times that go back: .*; expected .* oldest first"):
        replay(range(count, 0, -1), tmp_path, ReplayPlan(micro_batch=50))
    assert replay(range(10), tmp_path, ReplayPlan()).completed


def test_a_topic_in_the_wrong_order_is_taken_as_the_service_takes_it(tmp_path: Path) -> None:
    """Where no order is expected, late records are counted however many they are."""
    result = replay(range(400, 0, -1), tmp_path, ReplayPlan(micro_batch=50, expect_order=False))
    assert result.counts.records["late"] == 399
    assert result.notices[0].startswith("first late record at pump, row 2")


def test_records_that_cannot_be_used_have_no_time() -> None:
    """The range of event time is that of usable records."""
    run = Run()
    batch = Batch(
        ["a", ""], np.array([0, 1]), np.array([7, 0]), np.ones((2, 1)), np.arange(2), (Problem(1, -1, "x", ""),)
    )
    run.see_times(batch)
    assert (run.first_us, run.last_us) == (7, 7)
    run.see_times(batch.slice(1, 2))
    assert (run.first_us, run.last_us) == (7, 7)


def test_a_few_late_records_are_counted_and_told(tmp_path: Path) -> None:
    """One record out of order is left out and told with its row; the run goes on."""
    result = replay([1, 2, 5, 3, 6, 7], tmp_path, ReplayPlan())
    assert result.counts.records["late"] == 1
    assert result.notices == ("first late record at pump, row 4: its time is 1970-01-01T00:03:00Z",)


def test_strict_refuses_a_late_record(tmp_path: Path) -> None:
    """With `strict` the first record out of order ends the run, with file, row and time."""
    with pytest.raises(InputError, match=r"pump\.csv, row 4: found time 1970-01-01T00:03:00Z, earlier"):
        replay([1, 2, 5, 3, 6, 7], tmp_path, ReplayPlan(strict=True))


def test_records_wait_until_they_are_due(tmp_path: Path) -> None:
    """At 60 times real time ten minutes of records take ten seconds."""
    clock = Clock()
    replay(range(11), tmp_path, ReplayPlan(micro_batch=1, speed=60.0), clock=clock)
    assert clock.now == pytest.approx(10.0, abs=0.2)


@pytest.mark.parametrize("batches", [1, 3])
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, batches: int) -> None:
    """Stopped after some batches and gone on with in batches of another size, a run ends in the same files."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = replay(range(1000), whole, ReplayPlan())
    assert not replay(range(1000), parts, ReplayPlan(micro_batch=70), batches=batches).completed
    result = replay(range(1000), parts, ReplayPlan(micro_batch=33))
    assert result.counts == expected.counts
    for name in ("verdicts.parquet", "anomalies.jsonl"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
