import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.outputs import ANOMALIES, VERDICTS, ReplayOutputs
from pipeline.adapters.outputs.checkpoints import FILE
from pipeline.adapters.outputs.directory import WORKING
from pipeline.errors import CheckpointError, ConfigError, UserError
from pipeline.records import RunIdentity
from tests.pipeline.adapters.outputs import victim
from tests.pipeline.adapters.outputs.disk import Disk, restore
from tests.pipeline.adapters.outputs.samples import (
    RUN,
    contents,
    feed,
    make_stream,
    row_of,
    run_through,
    state_behind,
)
from tests.processes import owned

ROWS = 1_000
GROUP_ROWS = 128
STREAM = make_stream(ROWS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outputs of a run that was never interrupted."""
    directory = tmp_path_factory.mktemp("expected")
    run_through(directory, STREAM, ROWS, group_rows=GROUP_ROWS)
    return contents(directory)


def add_rows(outputs: ReplayOutputs, start: int, stop: int) -> int:
    """Add a stretch of the stream, and tell the row behind it."""
    return max(feed(outputs, STREAM, start, stop, 60), default=stop)


@pytest.mark.parametrize("micro_batch", [1, 7, GROUP_ROWS, 10_000])
def test_micro_batches(tmp_path: Path, expected: dict[str, bytes], micro_batch: int) -> None:
    """The outputs do not show how the stream was cut into micro-batches."""
    run_through(tmp_path, STREAM, micro_batch, group_rows=GROUP_ROWS)
    assert contents(tmp_path) == expected


def test_row_groups(tmp_path: Path) -> None:
    """All row groups but the last are full, also where the rows just fill them."""
    for rows, groups in ((ROWS, [128] * 7 + [104]), (256, [128, 128]), (5, [5]), (0, [])):
        run_through(tmp_path, make_stream(rows), 50, group_rows=GROUP_ROWS, existing="overwrite")
        with pq.ParquetFile(tmp_path / VERDICTS) as file:
            found = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        assert found == groups


def test_finish(tmp_path: Path) -> None:
    """A finished run leaves its two outputs and nothing else."""
    run_through(tmp_path, STREAM, 50, group_rows=GROUP_ROWS)
    assert {path.name for path in tmp_path.iterdir()} == {VERDICTS, ANOMALIES}


def test_suspend(tmp_path: Path, expected: dict[str, bytes]) -> None:
    """A suspended run has left valid outputs of all so far, and the resumed one goes on from its state."""
    with ReplayOutputs(tmp_path, RUN, group_rows=GROUP_ROWS) as outputs:
        for row in feed(outputs, STREAM, 0, 300, 100):
            outputs.suspend(state_behind(row))
    first = make_stream(ROWS)
    assert pq.read_table(tmp_path / VERDICTS)["position"].to_pylist() == first.position[:300].tolist()
    assert len((tmp_path / ANOMALIES).read_bytes().splitlines()) == first.is_anomaly[:300].sum()

    with ReplayOutputs(tmp_path, RUN, existing="resume") as outputs:
        assert outputs.resumed is not None
        assert outputs.resumed.meta == {"row": 300}
        assert outputs.resumed.arrays.keys() == {"rows"}
        np.testing.assert_array_equal(outputs.resumed.arrays["rows"], [300])
        assert outputs.resumed.key_names == ["key-0"]
        assert list(outputs.resumed.spilled) == [("key-1", b"\x01\x02")]
        add_rows(outputs, 300, ROWS)
        outputs.finish()
    assert contents(tmp_path) == expected


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(1, 200), st.sampled_from(["add", "checkpoint", "suspend", "publish", "crash"])),
        max_size=10,
    )
)
def test_any_history(
    expected: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, str]]
) -> None:
    """Whatever a run went through, the outputs are those of a run that was never interrupted."""
    directory = tmp_path_factory.mktemp("history")
    outputs = ReplayOutputs(directory, RUN, group_rows=GROUP_ROWS)
    row = saved = 0
    for rows, then in history:
        row = add_rows(outputs, row, min(row + rows, ROWS))
        if then in {"checkpoint", "suspend"}:
            getattr(outputs, then)(state_behind(row))
            saved = row
        elif then == "publish":
            outputs.publish()
        elif then == "crash":
            outputs.close()
            outputs = ReplayOutputs(directory, RUN, existing="resume", group_rows=GROUP_ROWS)
            assert row_of(outputs.resumed) == saved
            row = saved
    add_rows(outputs, row, ROWS)
    outputs.finish()
    assert contents(directory) == expected
    shutil.rmtree(directory)


def test_kill(tmp_path: Path) -> None:
    """Killed at any instant, any number of times, and resumed, a run comes to the same bytes."""
    whole = tmp_path / "whole"
    run_through(whole, make_stream(victim.ROWS), victim.ROWS, group_rows=victim.GROUP_ROWS)
    directory = tmp_path / "killed"
    rng = np.random.default_rng(7)
    command = [sys.executable, "-m", victim.__name__, str(directory)]
    killed = 0
    while killed < 8:
        process = owned(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        if not (directory / WORKING).exists():  # it came to its end on a machine that had other things to do
            assert contents(directory) == contents(whole)
            shutil.rmtree(directory)
    if not directory.exists() or (directory / WORKING).exists():
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert contents(directory) == contents(whole)


def test_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut at any moment, a checkpoint that is found names outputs that are all there."""
    rows, step = 300, 50
    stream = make_stream(rows)
    run_through(tmp_path / "whole", stream, step, group_rows=64)
    directory = tmp_path / "run"
    directory.mkdir()
    with monkeypatch.context() as patch:
        disk = Disk(directory, patch)
        with ReplayOutputs(directory, RUN, group_rows=64) as outputs:
            for row in feed(outputs, stream, 0, rows, step):
                if row == 200:
                    outputs.suspend(state_behind(row))
                elif row % 100 == 0:
                    outputs.checkpoint(state_behind(row))
            outputs.finish()
        disk.close()
    found = set()
    for number, tree in enumerate(disk.cuts):
        left = tmp_path / f"cut-{number}"
        restore(tree, left)
        if (left / WORKING).exists() or not (left / VERDICTS).exists():
            with ReplayOutputs(left, RUN, existing="resume", group_rows=64) as outputs:
                row = row_of(outputs.resumed)
                found.add(row)
                for _ in feed(outputs, stream, row, rows, step):
                    pass
                outputs.finish()
        assert contents(left) == contents(tmp_path / "whole")
    assert found == {0, 100, 200, 300}


def test_checkpoint_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once `checkpoint` returns, not even a power cut takes it away."""
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path, patch)
        with ReplayOutputs(tmp_path, RUN, group_rows=64) as outputs:
            for _ in feed(outputs, STREAM, 0, 300, 100):
                pass
            outputs.checkpoint(state_behind(300))
        disk.close()
    restore(disk.certain(), left := tmp_path / "left")
    with ReplayOutputs(left, RUN, existing="resume") as outputs:
        assert row_of(outputs.resumed) == 300


def test_nothing_is_synced_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint costs the same however many row groups came before it."""
    syncs: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", syncs.append)
        with ReplayOutputs(tmp_path, RUN, group_rows=100) as outputs:
            for row in feed(outputs, STREAM, 0, 500, 100):
                syncs.clear()
                outputs.checkpoint(state_behind(row))
                assert len(syncs) == 5  # a row group, the anomalies, their names, the checkpoint and its name


def test_published_before_finish(tmp_path: Path, expected: dict[str, bytes]) -> None:
    """A run that was published and not finished can be resumed, so that what is made from the outputs can be."""
    with ReplayOutputs(tmp_path, RUN, group_rows=GROUP_ROWS) as outputs:
        for row in feed(outputs, STREAM, 0, ROWS, 100):
            outputs.checkpoint(state_behind(row))
        outputs.publish()
    assert contents(tmp_path) == expected
    with ReplayOutputs(tmp_path, RUN, existing="resume") as outputs:
        assert row_of(outputs.resumed) == ROWS
        outputs.finish()
    assert contents(tmp_path) == expected


def test_finished_run(tmp_path: Path) -> None:
    """The outputs of a finished run are touched by an overwriting run alone."""
    run_through(tmp_path, STREAM, 100, group_rows=GROUP_ROWS)
    before = contents(tmp_path)
    for existing in ("refuse", "resume"):
        with pytest.raises(ConfigError, match="found a finished replay"):
            ReplayOutputs(tmp_path, RUN, existing=existing)
    assert contents(tmp_path) == before
    run_through(tmp_path, make_stream(10), 100, group_rows=GROUP_ROWS, existing="overwrite")
    assert pq.read_metadata(tmp_path / VERDICTS).num_rows == 10


def test_interrupted_run(tmp_path: Path, expected: dict[str, bytes]) -> None:
    """What an interrupted run left is refused unless it is to be resumed or overwritten; overwritten, it is gone."""
    with ReplayOutputs(tmp_path, RUN, group_rows=64) as outputs:
        for row in feed(outputs, STREAM, 0, 300, 100):
            outputs.suspend(state_behind(row))
    with pytest.raises(ConfigError, match=r"found an interrupted replay.*--resume"):
        ReplayOutputs(tmp_path, RUN)
    with ReplayOutputs(tmp_path, RUN, existing="overwrite", group_rows=GROUP_ROWS) as outputs:
        assert outputs.resumed is None
        assert not (tmp_path / VERDICTS).exists()
        add_rows(outputs, 0, ROWS)
        outputs.finish()
    assert contents(tmp_path) == expected


def test_two_runs(tmp_path: Path) -> None:
    """A directory that a run is writing to is refused."""
    with ReplayOutputs(tmp_path, RUN), pytest.raises(ConfigError, match="found another replay writing to it"):
        ReplayOutputs(tmp_path, RUN, existing="resume")
    ReplayOutputs(tmp_path, RUN, existing="resume").close()


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (RunIdentity("beef", RUN.bundle, RUN.source), "configuration 'c0ffee'; expected configuration 'beef'"),
        (RunIdentity(RUN.config_hash, "b2", RUN.source), "bundle 'b1'; expected bundle 'b2'"),
        (RunIdentity(RUN.config_hash, RUN.bundle, "x.csv"), "source 'made-up.csv'; expected source 'x.csv'"),
        (RunIdentity("beef", "b2", RUN.source), "'c0ffee', bundle 'b1'; expected configuration 'beef', bundle 'b2'"),
    ],
)
def test_other_run(tmp_path: Path, other: RunIdentity, named: str) -> None:
    """A checkpoint of another configuration, bundle or source is refused, and all differences are named."""
    with ReplayOutputs(tmp_path, RUN) as outputs:
        outputs.checkpoint(state_behind(0))
    with pytest.raises(CheckpointError, match=named):
        ReplayOutputs(tmp_path, other, existing="resume")


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_damaged_group(tmp_path: Path, damage: str) -> None:
    """A row group that is gone or cut short is found when a run is resumed, not at its end."""
    with ReplayOutputs(tmp_path, RUN, group_rows=64) as outputs:
        for row in feed(outputs, STREAM, 0, 300, 100):
            outputs.checkpoint(state_behind(row))
    group = tmp_path / WORKING / "group-00000002.arrow"
    if damage == "gone":
        group.unlink()
    else:
        os.truncate(group, group.stat().st_size // 2)
    with pytest.raises(CheckpointError, match=r"group-00000002.arrow: found no whole row group"):
        ReplayOutputs(tmp_path, RUN, existing="resume")


def test_damaged_anomalies(tmp_path: Path) -> None:
    """Anomalies that are shorter than the checkpoint says are not padded."""
    with ReplayOutputs(tmp_path, RUN, group_rows=64) as outputs:
        for row in feed(outputs, STREAM, 0, 300, 100):
            outputs.checkpoint(state_behind(row))
    os.truncate(tmp_path / WORKING / ANOMALIES, 100)
    with pytest.raises(CheckpointError, match="found 100 bytes; expected at least"):
        ReplayOutputs(tmp_path, RUN, existing="resume")


def test_not_writable(tmp_path: Path) -> None:
    """A directory that cannot be made is told in one line that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/out: found that it cannot be written \(Not a directory\)"):
        ReplayOutputs(tmp_path / "file" / "out", RUN)


def test_kept_until_replaced(tmp_path: Path) -> None:
    """A checkpoint that was being written when the run was killed hides nothing of the one before."""
    with ReplayOutputs(tmp_path, RUN) as outputs:
        outputs.checkpoint(state_behind(0))
    (tmp_path / WORKING / f"{FILE}.partial").write_bytes(b"half")
    with ReplayOutputs(tmp_path, RUN, existing="resume") as outputs:
        assert outputs.resumed is not None
