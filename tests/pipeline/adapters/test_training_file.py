from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.training_file import TrainingFile
from pipeline.errors import CheckpointError, UserError

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.array([np.nan, np.inf])}


def kept(path: Path) -> TrainingFile:
    """A file of the training 'this'."""
    file = TrainingFile(path)
    file.keep("this", ARRAYS)
    return file


def test_what_was_kept_last_comes_back(tmp_path: Path) -> None:
    """Arrays come back with types, shapes and bits, and nothing else is left behind; removed, there is nothing."""
    file = kept(tmp_path / "deep" / "x.resume")
    file.keep("this", ARRAYS | {"a": ARRAYS["a"] + 1})
    found = TrainingFile(file.path).load("this")
    assert found is not None
    np.testing.assert_array_equal(found["a"], ARRAYS["a"] + 1)
    np.testing.assert_array_equal(found["b.c"], ARRAYS["b.c"])
    assert [path.name for path in file.path.parent.iterdir()] == ["x.resume"]
    file.remove()
    assert file.load("this") is None
    file.remove()


def test_another_training_is_refused_and_may_be_begun_anew(tmp_path: Path) -> None:
    """A file of another history or other options is not gone on with, unless the user begins anew."""
    file = kept(tmp_path / "x.resume")
    with pytest.raises(
        CheckpointError, match="another history or with other options; expected the history and options"
    ):
        file.load("that")
    assert TrainingFile(file.path, fresh=True).load("that") is None


@pytest.mark.parametrize("place", ["first", "middle", "last", "cut", "empty", "foreign"])
def test_a_damaged_file_is_refused(tmp_path: Path, place: str) -> None:
    """A file that is changed, cut short or of something else is refused in one line that says what to do."""
    file = kept(tmp_path / "x.resume")
    content = bytearray(file.path.read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}.get(place)
    if at is not None:
        content[at] ^= 1
    whole = {"cut": content[:-3], "empty": b"", "foreign": b"time,value\n1,2\n"}.get(place, content)
    file.path.write_bytes(bytes(whole))
    with pytest.raises(CheckpointError, match=r"x\.resume: found .*--fresh") as caught:
        file.load("this")
    assert "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """Where the file cannot be, that is told with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"found that it cannot be written .*--resume-file"):
        kept(tmp_path / "file" / "x.resume")
