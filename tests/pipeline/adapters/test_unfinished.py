import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.adapters.unfinished import UnfinishedFiles
from pipeline.errors import CheckpointError, UserError
from tests.pipeline.learning.test_unfinished import TRAINING
from tests.processes import owned


def test_a_training_is_kept_until_it_is_removed(tmp_path: Path) -> None:
    """With its state; other registries have files of their own, and a relative path is that of the working folder."""
    files = UnfinishedFiles(tmp_path / "deep", "s3://bucket/models")
    with files.hold(0.0):
        assert files.load() is None
        files.keep(TRAINING)
        files.state.write_bytes(b"state")
        assert UnfinishedFiles(tmp_path / "deep", "s3://bucket/models").load() == TRAINING
        assert UnfinishedFiles(tmp_path / "deep", "s3://bucket/other").load() is None
        files.remove()
        assert files.load() is None
        assert not files.state.exists()
        files.remove()
    here = UnfinishedFiles(tmp_path, "models"), UnfinishedFiles(tmp_path, str(Path("models").resolve()))
    assert here[0].state == here[1].state


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With the file, and what is wrong with it."""
    files = UnfinishedFiles(tmp_path, "models")
    with files.hold(0.0):
        files.keep(TRAINING)
    (about,) = tmp_path.glob("*.json")
    about.write_bytes(about.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match=rf"{about.name}: found text that cannot be read"):
        files.load()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file in its place, as whoever mistypes has it."""
    (tmp_path / "file").write_text("")
    files = UnfinishedFiles(tmp_path / "file", "models")
    with (
        pytest.raises(UserError, match=r"file: found that it cannot be written .*another by retrain\.folder"),
        files.hold(0),
    ):
        raise AssertionError("found it held; expected an error")


HOLD = """
import subprocess, sys, time
from pathlib import Path
from pipeline.adapters.unfinished import UnfinishedFiles
with UnfinishedFiles(Path(sys.argv[1]), "models").hold(0) as lock:
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], pass_fds=(lock,))
    print("held", flush=True)
    time.sleep(600)
"""


def test_it_is_free_once_all_are_gone_who_had_it(tmp_path: Path) -> None:
    """A process that was killed holds it on through the one that it has started, and no longer."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = owned(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.kill()
    process.wait()
    files = UnfinishedFiles(tmp_path, "models")
    with pytest.raises(UserError, match="found that another trainer is at it"), files.hold(0.1):
        raise AssertionError("found it held twice; expected an error")
    process.stdin.close()  # which ends the other one
    with files.hold(60.0):
        pass
