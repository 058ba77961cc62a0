"""A folder of labelled streams: every table with a column of labels, and arrays with labels beside them."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from pipeline.adapters.files.discover import FORMATS, find_files, split_format
from pipeline.adapters.files.labelled.arrays import SUFFIX, LabelledArrays, find_arrays
from pipeline.adapters.files.labelled.layout import LABEL_NAMES, LabelledColumns
from pipeline.adapters.files.labelled.table import LabelledTable, open_table
from pipeline.errors import InputError

LabelledFile: TypeAlias = LabelledTable | LabelledArrays
_EXPECTED = (
    f"tables ({', '.join(FORMATS)}) with a column {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}, "
    f"or arrays x{SUFFIX} with x_labels{SUFFIX} beside them"
)


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """The streams of a folder.

    Attributes:
        files: sorted by name.
        ignored_files: how many others lie there: hidden, or of another kind.
    """

    files: tuple[LabelledFile, ...]
    ignored_files: int


def open_folder(directory: Path, columns: LabelledColumns) -> LabelledFolder:
    """The labelled streams in `directory` and all below it, or the one that a file is; only headers are read.

    Raises:
        InputError: nothing there, a file without labels, a column that is not there, two streams of one name.
    """
    if directory.is_file() and directory.suffix.lower() != SUFFIX:
        files, _ = find_files(directory)
        return LabelledFolder((open_table(files[0], columns),), 0)
    if not directory.is_dir():
        found = "a single array" if directory.exists() else "nothing there"
        raise InputError(str(directory), found=found, expected=f"a folder of {_EXPECTED}")
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    seen = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(directory).parts)]
    arrays = [path for path in seen if path.suffix.lower() == SUFFIX]
    tables = [path for path in seen if split_format(path.relative_to(directory)) is not None]
    if not arrays and not tables:
        others = ", ".join(sorted({path.suffix or path.name for path in seen})[:5])
        found = f"only files of other kinds ({others})" if others else "no files"
        raise InputError(str(directory), found=found, expected=_EXPECTED)
    opened: list[LabelledFile] = []
    if tables:
        opened += [open_table(file, columns) for file in find_files(directory)[0]]
    opened += find_arrays(directory, arrays, columns)
    opened.sort(key=lambda file: file.name)
    for one, other in pairwise(opened):
        if one.name == other.name:
            raise InputError(str(directory), found=f"two streams named {one.name!r}", expected="one: rename either")
    return LabelledFolder(tuple(opened), len(paths) - len(arrays) - len(tables))
