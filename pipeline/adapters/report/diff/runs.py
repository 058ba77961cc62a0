"""What a run has left: a folder of `driftline replay`, or one of the files in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline.adapters.report.episodes import Episode, read_episodes
from pipeline.adapters.report.header import find
from pipeline.adapters.report.verdicts import Verdicts
from pipeline.errors import InputError

_SUMMARY, _ALARMS, _VERDICTS = "summary.json", "anomalies.jsonl", "verdicts.parquet"
_EXPECTED = f"the folder of a finished replay, or its {_ALARMS} or {_VERDICTS}"
_EXTENT = ("fields", "first_time", "last_time", "records.consumed")
"""What tells one source from another where it goes by two names."""


@dataclass(frozen=True, slots=True)
class Run:
    """One of the two that are compared.

    Attributes:
        path: as it was given.
        summary: of the run; None where one file of it was given alone.
        episodes: in the order in which they opened; None where the verdicts were given alone.
        verdicts: None where the anomalies were given alone.
    """

    path: Path
    summary: Mapping[str, Any] | None
    episodes: list[Episode] | None
    verdicts: Verdicts | None


def open_run(path: Path) -> Run:
    """The run at a path: a folder with the three files of a replay, or one of two of them.

    Raises:
        InputError: there is none, it is unfinished, or a file of it cannot be read.
    """
    if path.is_dir():
        missing = [name for name in (_SUMMARY, _ALARMS, _VERDICTS) if not (path / name).is_file()]
        if missing:
            unfinished = " of a replay that is not over" if (path / ".replay").exists() else ""
            raise InputError(str(path), found=f"a folder{unfinished} without {missing[0]}", expected=_EXPECTED)
        summary = _read_summary(path / _SUMMARY)
        return Run(path, summary, read_episodes(path / _ALARMS), Verdicts(path / _VERDICTS))
    if not path.exists():
        raise InputError(str(path), found="nothing", expected=_EXPECTED)
    if path.suffix == ".jsonl":
        return Run(path, None, read_episodes(path), None)
    if path.suffix == ".parquet":
        return Run(path, None, None, Verdicts(path))
    raise InputError(str(path), found="a file of another kind", expected=_EXPECTED)


def refuse_different_sources(a: Run, b: Run) -> None:
    """Returns where both runs may be compared: they have the same parts, and read the same source.

    A source is the same under another name where fields, extent in time and number of records are the same.

    Raises:
        InputError: a folder and a file, files of two kinds, or two sources.
    """
    refuse_different_parts(a, b)
    if a.summary is None or b.summary is None:
        return
    if find(a.summary, "source") == find(b.summary, "source"):
        return
    if [find(a.summary, name) for name in _EXTENT] != [find(b.summary, name) for name in _EXTENT]:
        raise InputError(
            str(b.path),
            found=f"a run of {_told(b.summary)}",
            expected=f"one of {_told(a.summary)}, as {a.path} is: compare runs of one source, or say --force",
        )


def refuse_different_parts(a: Run, b: Run) -> None:
    """Returns where both runs have the same parts, so that there is something to compare.

    Raises:
        InputError: a folder and a file, or files of two kinds.
    """
    if [a.episodes is None, a.verdicts is None] != [b.episodes is None, b.verdicts is None]:
        kinds = ["a folder" if one.path.is_dir() else one.path.name for one in (a, b)]
        raise InputError(str(b.path), found=kinds[1], expected=f"the same as {a.path}: {kinds[0]}")


def _told(summary: Mapping[str, Any]) -> str:
    """The source and its extent in a few words."""
    consumed = find(summary, "records.consumed")
    count = f"{consumed:,} records" if isinstance(consumed, int) else "records"
    return f"{find(summary, 'source')} ({count}, {find(summary, 'first_time')} to {find(summary, 'last_time')})"


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as exc:
        raise InputError(str(path), found=exc.strerror or str(exc), expected="a readable summary.json") from exc
    except msgspec.DecodeError as exc:
        raise InputError(str(path), found=str(exc), expected="the summary of a replay") from exc
