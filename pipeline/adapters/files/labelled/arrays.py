"""Numpy arrays as labelled streams: values and labels in files of their own, with a training part or without."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.ranking import label_windows
from pipeline.adapters.files.labelled.layout import LabelledColumns, require_labels, require_rows_to_measure
from pipeline.errors import InputError
from pipeline.labelled import LabelledStream

SUFFIX = ".npy"
LABEL_ENDS = ("_labels", "_label")
LABEL_FOLDERS = ("test_label", "test_labels", "label", "labels")
TEST, TRAIN = "test", "train"
LAYOUTS = (
    "<name>.npy with <name>_labels.npy; or <name>_test.npy with <name>_labels.npy or <name>_test_label.npy, and "
    "<name>_train.npy if there is one; or folders test, test_label or label, and train, with files of one name"
)


@dataclass(frozen=True, slots=True)
class LabelledArrays:
    """The arrays of one stream; fulfils `pipeline.interfaces.LabelledSource`.

    Attributes:
        name: path of the values below the folder, without extension.
        values: file of an array (n,) or (n, fields).
        labels: file of an array (n,), or of (n, fields), of which a row is anomalous where any field is.
        train: file of an array (m,) or (m, fields) that comes before; None for none.
        columns: as asked for.
        points: of values, and of what comes before.
    """

    name: str
    values: Path
    labels: Path
    train: Path | None
    columns: LabelledColumns
    points: int

    @property
    def told(self) -> str:
        """What it is read from, for people."""
        train = "" if self.train is None else f", after {self.train.name}"
        return f"equal steps; {self.values.name}, labels {self.labels.name}{train}"

    def read(self) -> LabelledStream:
        """The whole of it, what comes before as history.

        Raises:
            InputError: an array that cannot be read, shapes that do not go together, a label that is neither 0 nor 1.
        """
        values = _as_columns(self.values)
        label = _numbers(self.labels)
        if label.ndim == 2:
            require_labels(str(self.labels), label.ravel())
            label = label.max(axis=1)
        if label.shape != values.shape[:1]:
            raise InputError(
                str(self.labels),
                found=f"labels of shape {label.shape} for values of shape {_open(self.values).shape}",
                expected="(n,) for values (n,) or (n, fields): transpose one or look for the file that belongs to it",
            )
        is_anomaly = require_labels(str(self.labels), label)
        history = self.columns.history
        if self.train is not None:
            before = _as_columns(self.train)
            if before.shape[1] != values.shape[1]:
                found, expected = f"{before.shape[1]} fields", f"{values.shape[1]}, as in {self.values.name}"
                raise InputError(str(self.train), found=found, expected=expected)
            history = len(before)
            values = np.concatenate([before, values])
            is_anomaly = np.concatenate([np.zeros(history, np.bool_), is_anomaly])
        require_rows_to_measure(str(self.values), len(values), history)
        time_us = self.columns.equal_steps(len(values))
        fields = _field_names(values.shape[1])
        return LabelledStream(
            self.name, fields, time_us, values, is_anomaly, label_windows(time_us, is_anomaly), history
        )


def find_arrays(base: Path, paths: list[Path], columns: LabelledColumns) -> list[LabelledArrays]:
    """The streams that arrays at `paths`, below `base`, make up, sorted by name; only headers are read.

    Raises:
        InputError: values without labels, labels without values, or an array that cannot be read.
    """
    left = {path.relative_to(base).with_suffix("").as_posix(): path for path in paths}
    streams = []
    for name in [name for name in sorted(left) if _is_label(PurePosixPath(name))]:
        labels = left.pop(name)
        found = next((one for one in _values_for(PurePosixPath(name)) if one in left), None)
        if found is None:
            raise InputError(str(labels), found="labels without values", expected=LAYOUTS)
        values = left.pop(found)
        train = left.pop(next((one for one in _train_for(PurePosixPath(found)) if one in left), ""), None)
        points = sum(int(np.prod(_open(path).shape)) for path in (values, train) if path is not None)
        streams.append(LabelledArrays(found, values, labels, train, columns, points))
    if left:
        raise InputError(str(next(iter(left.values()))), found="values without labels", expected=LAYOUTS)
    return sorted(streams, key=lambda stream: stream.name)


def _is_label(name: PurePosixPath) -> bool:
    return name.name.endswith(LABEL_ENDS) or name.parent.name in LABEL_FOLDERS


def _values_for(label: PurePosixPath) -> Iterator[str]:
    """Names that the values of these labels may have."""
    if label.parent.name in LABEL_FOLDERS:
        above = label.parent.parent
        yield from (f"{above / TEST / label.name}", f"{above / 'data' / label.name}", f"{above / label.name}")
    stem = next((label.name.removesuffix(end) for end in LABEL_ENDS if label.name.endswith(end)), label.name)
    yield from (f"{label.with_name(stem)}", f"{label.with_name(f'{stem}_{TEST}')}")


def _train_for(values: PurePosixPath) -> Iterator[str]:
    """Names that the training part of these values may have."""
    stem = values.name.removesuffix(f"_{TEST}")
    yield f"{values.with_name(f'{stem}_{TRAIN}')}"
    if values.parent.name == TEST:
        yield f"{values.parent.with_name(TRAIN) / values.name}"


def _field_names(count: int) -> tuple[str, ...]:
    return ("value",) if count == 1 else tuple(f"value_{index}" for index in range(count))


def _as_columns(path: Path) -> NDArray[np.float64]:
    """Values (n, fields)."""
    values = _numbers(path)
    return values[:, None] if values.ndim == 1 else values


def _numbers(path: Path) -> NDArray[np.float64]:
    return np.array(_open(path), np.float64)


def _open(path: Path) -> NDArray[np.generic]:
    """The array, not yet in memory."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as exc:
        reason = str(exc).splitlines()[0]
        raise InputError(
            str(path), found=f"no array that can be read ({reason})", expected="what numpy.save writes, without objects"
        ) from exc
    is_number = np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)
    if not (is_number or array.dtype == np.bool_) or array.ndim not in {1, 2} or not array.size:
        raise InputError(
            str(path),
            found=f"an array of {array.dtype} of shape {array.shape}",
            expected="numbers of shape (n,) or (n, fields), n of 1 or more",
        )
    opened: NDArray[np.generic] = array
    return opened
