from pathlib import Path

import pytest

from pipeline.adapters.claims import claim_directory
from pipeline.errors import ConfigError

MARK = ".mark"


def test_a_new_or_empty_directory_is_taken(tmp_path: Path) -> None:
    """It is made where it is not there, and marked."""
    (tmp_path / "empty").mkdir()
    for directory in (tmp_path / "new" / "below", tmp_path / "empty"):
        claim_directory(directory, MARK, "a test", overwrite=False)
        assert (directory / MARK).exists()


def test_its_own_is_taken_again_only_when_told(tmp_path: Path) -> None:
    """The message says how."""
    claim_directory(tmp_path / "own", MARK, "a test", overwrite=False)
    (tmp_path / "own" / "result").touch()
    with pytest.raises(ConfigError, match=r"own: found a test; expected a new or empty directory.*--overwrite"):
        claim_directory(tmp_path / "own", MARK, "a test", overwrite=False)
    claim_directory(tmp_path / "own", MARK, "a test", overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_something_else_is_left_alone(tmp_path: Path, overwrite: bool) -> None:
    """A directory with other things, or a file, is never taken."""
    (tmp_path / "thesis.txt").touch()
    for directory in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ConfigError, match="found something that is not a test's"):
            claim_directory(directory, MARK, "a test", overwrite=overwrite)


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Here since a file is in the way."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="found that it cannot be written"):
        claim_directory(tmp_path / "file" / "below", MARK, "a test", overwrite=False)
