"""The files that a SOURCE stands for: one file, all of a folder, or what a glob matches."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath

from pipeline.errors import InputError, nearest

TEXT_FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
FORMATS = (*TEXT_FORMATS, ".parquet")
FORMATS_EXPECTED = f"{', '.join(FORMATS)}, or a text format and .gz"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that can be read.

    Attributes:
        name: its path below the folder or the fixed part of the glob, with `/` and without extension.
        path: where it is, relative if SOURCE was.
        format: one of FORMATS.
    """

    name: str
    path: Path
    format: str


def split_format(path: PurePath) -> tuple[str, str] | None:
    """Path without extensions, with `/`, and format; None when the extension is no known one."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    suffix = plain.suffix.lower()
    if suffix not in (FORMATS if plain is path else TEXT_FORMATS):
        return None
    return plain.with_suffix("").as_posix(), suffix


def find_files(source: str | Path) -> tuple[list[FoundFile], int]:
    """The files of `source` sorted by name, and how many others lie there that cannot be read.

    In folders and globs, hidden files and those below hidden folders count among the others.

    Raises:
        InputError: nothing there, nothing readable there, or two files of one name.
    """
    path = Path(source)
    if path.is_file():
        found = _found(path, path.parent)
        if found is None:
            raise InputError(str(source), found=f"the extension {path.suffix!r}", expected=FORMATS_EXPECTED)
        return [found], 0
    if path.is_dir():
        base, paths = path, list(path.rglob("*"))
    elif glob.has_magic(str(source)):
        matches = glob.glob(str(source), recursive=True)  # noqa: PTH207  pathlib's `**` finds no files before Python 3.13
        base, paths = _glob_base(path), [*{Path(match) for match in matches}]
    else:
        raise _missing(path)
    return _readable(str(source), base, paths)


def _readable(source: str, base: Path, paths: Iterable[Path]) -> tuple[list[FoundFile], int]:
    files = [path for path in paths if path.is_file()]
    if not files:
        raise InputError(source, found="no files", expected=f"some of {FORMATS_EXPECTED}")
    readable = [found for path in files if (found := _found(path, base)) and not _is_hidden(path.relative_to(base))]
    if not readable:
        raise InputError(source, found=f"only files of other extensions ({len(files)})", expected=FORMATS_EXPECTED)
    readable.sort(key=lambda found: (found.name, found.path))
    for one, other in pairwise(readable):
        if one.name == other.name:
            clash = f"two files for the key {one.name!r}, {one.path.name} and {other.path.name}"
            raise InputError(source, found=clash, expected="one file per key")
    return readable, len(files) - len(readable)


def _found(path: Path, base: Path) -> FoundFile | None:
    split = split_format(path.relative_to(base))
    return None if split is None else FoundFile(split[0], path, split[1])


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _glob_base(pattern: Path) -> Path:
    """The folders of a glob before the first that is a pattern."""
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


def _missing(path: Path) -> InputError:
    lacking = path
    while not lacking.parent.is_dir():
        lacking = lacking.parent
    names = [entry.name for entry in lacking.parent.iterdir()]
    return InputError(
        str(path),
        found=f"no {lacking.name!r} in '{lacking.parent}'",
        expected=f"a file, a folder or a glob{nearest(lacking.name, names)}",
    )
