import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.adapters.files.cells import as_text, is_numeric, parse_keys, parse_values

NUMBERS = {
    "1": 1.0,
    "-1.5": -1.5,
    "+1.5": 1.5,
    " 1.5 ": 1.5,
    "1e5": 1e5,
    "1E-3": 1e-3,
    ".5": 0.5,
    "5.": 5.0,
    "007": 7.0,
    "0.1": 0.1,
    "1e400": np.inf,
    "inf": np.inf,
    "-inf": -np.inf,
    "+INF": np.inf,
    "Infinity": np.inf,
    "-infinity": -np.inf,
}
MISSING = ("", "  ", "NA", "na", "NaN", "nan", "NULL", "null", "None", " none ")
NO_NUMBERS = ("abc", "1,5", "1 2", "0x10", "1_000", "--1", "e5", "-", "true", "-nan", "nan(1)", "N/A", "٣", "1.5\n2")


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_numbers(text: str, number: float) -> None:
    """Numbers are read as usual, infinities included."""
    values, unusable = parse_values(pa.array([text]))
    assert values.tolist() == [number]
    assert unusable == []


@pytest.mark.parametrize("text", MISSING)
def test_missing(text: str) -> None:
    """What is missing is NaN and nobody's mistake."""
    values, unusable = parse_values(pa.array([text]))
    assert np.isnan(values).tolist() == [True]
    assert unusable == []


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_numbers(text: str) -> None:
    """What is not a number is NaN and reported as it stands there."""
    values, unusable = parse_values(pa.array([text]))
    assert np.isnan(values).tolist() == [True]
    assert unusable == [(0, text)]


def test_mixed() -> None:
    """A cell's number does not depend on its neighbours."""
    rng = np.random.default_rng(7)
    texts = rng.permutation([*NUMBERS, *MISSING, *NO_NUMBERS]).tolist()
    values, unusable = parse_values(pa.array([*texts, None]))
    np.testing.assert_array_equal(values, [NUMBERS.get(text, np.nan) for text in texts] + [np.nan])
    assert unusable == [(index, text) for index, text in enumerate(texts) if text in NO_NUMBERS]


def test_long_text_is_shortened() -> None:
    """Only the beginning of a long text is reported."""
    assert parse_values(pa.array(["x" * 1000]))[1] == [(0, "x" * 39 + "…")]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (pa.array([1, None, -3]), [1.0, np.nan, -3.0]),
        (pa.array([2**63 + 2**40], pa.uint64()), [float(2**63 + 2**40)]),
        (pa.array([2**53 + 1]), [float(2**53 + 1)]),
        (pa.array([0.5, None], pa.float16()), [0.5, np.nan]),
        (pa.array([np.nan, np.inf, 0.1]), [np.nan, np.inf, 0.1]),
        (pa.array(["1.25"]).cast(pa.decimal128(5, 2)), [1.25]),
        (pa.nulls(2), [np.nan, np.nan]),
        (pa.array(["1.5", "NA"]).dictionary_encode(), [1.5, np.nan]),
        (pa.array(["1.5"], pa.large_string()), [1.5]),
        (pa.array([b"1.5"]), [1.5]),
    ],
)
def test_typed(cells: pa.Array, values: list[float]) -> None:
    """Typed columns of numbers, absent cells among them, and other ways to hold text are read too."""
    found, unusable = parse_values(cells)
    np.testing.assert_array_equal(found, values)
    assert unusable == []


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (True, "true"),
        ([1, 2], "[1,2]"),
        ({"a": 1}, '{"a":1}'),
        (b"\xff", '"/w=="'),
        (dt.date(2014, 2, 7), "2014-02-07"),
        (dt.time(12), "12:00:00.000000"),
    ],
)
def test_other_types(cell: Any, text: str) -> None:
    """Cells of other types are no numbers and are reported as text."""
    assert parse_values(pa.array([cell]))[1] == [(0, text)]


def test_is_numeric() -> None:
    """Integers, floats and decimals are numbers; truth values, text and nothing are not."""
    numeric = [pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(5, 2)]
    other = [pa.bool_(), pa.string(), pa.null(), pa.timestamp("us"), pa.list_(pa.int8())]
    assert [is_numeric(pa.nulls(1, kind)) for kind in numeric + other] == [True] * 5 + [False] * 5


def test_as_text_of_numbers() -> None:
    """A float keeps its point, and every number reads back as itself."""
    assert as_text(pa.array([7.0, 0.1, None, 1e300])).to_pylist() == ["7.0", "0.1", None, "1e+300"]
    assert as_text(pa.array([7, None])).to_pylist() == ["7", None]


def test_keys() -> None:
    """Keys are taken exactly as written; blank and absent ones are pointed out and become ''."""
    keys, keyless = parse_keys(pa.array(["a", " a", "", "  ", None, "NA", "\u00fc"]))
    assert keys.to_pylist() == ["a", " a", "", "", "", "NA", "\u00fc"]
    assert keyless.tolist() == [2, 3, 4]
