"""Directories that a command makes its own, so that it writes over nothing else."""

from pathlib import Path

from pipeline.errors import ConfigError


def claim_directory(directory: Path, mark: str, whose: str, *, overwrite: bool) -> None:
    """Make `directory` the command's own, if it is new, empty, or its own already.

    Args:
        directory: made where it is not there.
        mark: name of an empty file that tells whose it is.
        whose: who that is, for messages, such as 'a demonstration'.
        overwrite: whether one that is the command's already may be written over.

    Raises:
        ConfigError: it holds something else, or may not be written over, or cannot be written.
    """
    is_own = (directory / mark).exists()
    if directory.exists() and not is_own and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(
            f"{directory}: found something that is not {whose}'s; expected a new or empty directory: "
            "choose another by --out"
        )
    if is_own and not overwrite:
        raise ConfigError(
            f"{directory}: found {whose}; expected a new or empty directory: "
            "choose another by --out or start afresh with --overwrite"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / mark).touch()
    except OSError as exc:
        raise ConfigError(
            f"{directory}: found that it cannot be written ({exc.strerror}); expected a writable directory"
        ) from exc
