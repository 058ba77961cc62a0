from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.adapters.files.labelled import LabelledColumns, open_folder
from pipeline.errors import InputError
from pipeline.labelled import LabelledStream

VALUES = np.arange(10.0).reshape(5, 2)
LABELS = np.array([0, 0, 1, 1, 0])


def save(directory: Path, **arrays: NDArray[Any]) -> Path:
    """Arrays by path, with `__` for `/`."""
    for name, array in arrays.items():
        path = directory / f"{name.replace('__', '/')}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return directory


def read_all(directory: Path, **columns: Any) -> list[LabelledStream]:
    """Every stream of a folder."""
    return [file.read() for file in open_folder(directory, LabelledColumns(**columns)).files]


@pytest.mark.parametrize(
    ("values", "labels", "train"),
    [
        ("m", "m_labels", None),
        ("m", "m_label", "m_train"),
        ("m_test", "m_labels", "m_train"),
        ("m_test", "m_test_label", "m_train"),
        ("test__m", "test_label__m", "train__m"),
        ("test__m", "label__m", None),
        ("data__m", "labels__m", None),
        ("m", "labels__m", None),
        ("SMD__test__m", "SMD__test_label__m", "SMD__train__m"),
    ],
)
def test_layouts(tmp_path: Path, values: str, labels: str, train: str | None) -> None:
    """Values find their labels and their training part, which comes first and is history."""
    save(tmp_path, **{values: VALUES, labels: LABELS}, **({} if train is None else {train: VALUES[:3] - 6}))
    (stream,) = read_all(tmp_path)
    assert stream.name == values.replace("__", "/")
    assert stream.fields == ("value_0", "value_1")
    assert stream.history == (0 if train is None else 3)
    assert stream.values[stream.history :].tolist() == VALUES.tolist()
    assert stream.values[: stream.history].tolist() == (VALUES[:3] - 6)[: stream.history].tolist()
    assert stream.is_anomaly[stream.history :].tolist() == [False, False, True, True, False]
    assert not stream.is_anomaly[: stream.history].any()
    assert stream.windows.tolist() == stream.time_us[[[stream.history + 2, stream.history + 3]]].tolist()
    assert (np.diff(stream.time_us) == 60_000_000).all()


def test_labels_of_every_field_are_those_of_the_row(tmp_path: Path) -> None:
    """A row is anomalous where any of its fields is; one field may be an array of one axis or of two."""
    labels = np.zeros((5, 2), bool)
    labels[1, 0] = labels[3, 1] = True
    save(tmp_path, m=VALUES[:, 0], m_labels=labels)
    (stream,) = read_all(tmp_path, history=1)
    assert (stream.fields, stream.values.shape, stream.history) == (("value",), (5, 1), 1)
    assert stream.is_anomaly.tolist() == [False, True, False, True, False]


def test_several_streams_and_their_sizes(tmp_path: Path) -> None:
    """Each has the labels of its own name; points are counted without reading."""
    save(tmp_path, a=VALUES, a_labels=LABELS, b=VALUES[:4], b_labels=LABELS[:4], b_train=VALUES)
    files = open_folder(tmp_path, LabelledColumns()).files
    assert [(file.name, file.points) for file in files] == [("a", 10), ("b", 18)]


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"m": VALUES}, "m.npy: found values without labels; expected <name>.npy with <name>_labels.npy"),
        ({"m_labels": LABELS}, "m_labels.npy: found labels without values"),
        ({"m": VALUES.T, "m_labels": LABELS}, r"found labels of shape \(5,\) for values of shape \(2, 5\).*transpose"),
        ({"m": VALUES, "m_labels": LABELS + 1}, "m_labels.npy, row 3: found the label 2; expected 0 for normal"),
        ({"m": VALUES, "m_labels": np.full(5, np.nan)}, "row 1: found the label nan"),
        ({"m": VALUES, "m_labels": LABELS, "m_train": VALUES[:, :1]}, "m_train.npy: found 1 fields; expected 2"),
        ({"m": np.zeros((2, 2, 2)), "m_labels": LABELS}, r"found an array of float64 of shape \(2, 2, 2\)"),
        ({"m": np.array(["a"] * 5), "m_labels": LABELS}, "found an array of <U1 of shape"),
        ({"m": np.empty((0, 2)), "m_labels": LABELS}, r"of shape \(0, 2\); expected numbers of shape"),
    ],
)
def test_arrays_that_do_not_go_together_are_explained(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], found: str
) -> None:
    """With the file, what it holds and what was expected."""
    save(tmp_path, **arrays)
    with pytest.raises(InputError, match=found):
        read_all(tmp_path)


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    """Neither text nor objects, which could run code, are loaded."""
    save(tmp_path, m_labels=LABELS)
    (tmp_path / "m.npy").write_text("1,2,3")
    with pytest.raises(InputError, match=r"m.npy: found no array that can be read .*; expected what numpy.save writes"):
        read_all(tmp_path)
    np.save(tmp_path / "m.npy", np.array([object()] * 5), allow_pickle=True)
    with pytest.raises(InputError, match=r"m.npy: found no array that can be read"):
        read_all(tmp_path)
    (tmp_path / "m.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"m.npy: found no array that can be read"):
        read_all(tmp_path)
