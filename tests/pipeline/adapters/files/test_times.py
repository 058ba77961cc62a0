from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.adapters.files.mapping import TimeUnit
from pipeline.adapters.files.times import CellError, parse_times, unit_of

NOON_US = 1_391_774_400_000_000  # 2014-02-07 12:00:00 UTC

ISO_TEXTS = {
    "2014-02-07": NOON_US - 12 * 3_600_000_000,
    "2014-02-07 12:00": NOON_US,
    "2014-02-07 12:00:00": NOON_US,
    "2014-02-07T12:00:00": NOON_US,
    "2014-02-07T12:00:00Z": NOON_US,
    "2014-02-07t12:00:00z": NOON_US,
    "2014-02-07 12:00:00 UTC": NOON_US,
    "2014-02-07T13:00:00+01:00": NOON_US,
    "2014-02-07 13:00:00 +01:00": NOON_US,
    "2014-02-07T10:30:00-0130": NOON_US,
    "2014-02-07T13:00:00+01": NOON_US,
    "  2014-02-07 12:00:00\t": NOON_US,
    "2014-02-07 12:00:00.5": NOON_US + 500_000,
    "2014-02-07 12:00:00,123": NOON_US + 123_000,
    "2014-02-07T12:00:00.123456Z": NOON_US + 123_456,
    "2014-02-07T12:00:00.123456999Z": NOON_US + 123_456,
    "1969-12-31T23:59:59.999999": -1,
    "0001-01-01": -62_135_596_800_000_000,
    "9999-12-31T23:59:59.999999Z": 253_402_300_799_999_999,
}


@pytest.mark.parametrize(("text", "time_us"), ISO_TEXTS.items())
def test_iso_alone(text: str, time_us: int) -> None:
    """Every common spelling of ISO 8601 is read; no zone means UTC; digits below a microsecond are dropped."""
    assert parse_times(pa.array([text]), "iso").tolist() == [time_us]


def test_iso_mixed() -> None:
    """A cell's time does not depend on how its neighbours are spelled."""
    rng = np.random.default_rng(7)
    texts = rng.permutation(list(ISO_TEXTS) * 3).tolist()
    assert parse_times(pa.array(texts), "iso").tolist() == [ISO_TEXTS[text] for text in texts]


EPOCH_TEXTS: list[tuple[str, TimeUnit, int]] = [
    ("1391774400", "s", NOON_US),
    ("+1391774400", "s", NOON_US),
    (" 1391774400 ", "s", NOON_US),
    ("1391774400.25", "s", NOON_US + 250_000),
    ("1391774400.123457", "s", NOON_US + 123_457),
    ("1.3917744e9", "s", NOON_US),
    ("-0.5", "s", -500_000),
    ("1391774400123", "ms", NOON_US + 123_000),
    ("1391774400123.75", "ms", NOON_US + 123_750),
    ("1391774400123456", "us", NOON_US + 123_456),
    ("1391774400123456999", "ns", NOON_US + 123_456),
    ("-1", "ns", -1),
]


@pytest.mark.parametrize(("text", "unit", "time_us"), EPOCH_TEXTS)
def test_epoch_alone(text: str, unit: TimeUnit, time_us: int) -> None:
    """Written epoch numbers are read in their unit, exactly where they are whole."""
    assert parse_times(pa.array([text]), unit).tolist() == [time_us]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epoch_mixed(unit: TimeUnit) -> None:
    """Whole numbers among fractions are read as exactly as alone."""
    texts = [(text, time_us) for text, of, time_us in EPOCH_TEXTS if of == unit] + [("0.0", 0), ("7000", None)]
    times = parse_times(pa.array([text for text, _ in texts]), unit)
    assert times[:-1].tolist() == [time_us for _, time_us in texts[:-1]]
    assert times[-1] == 7_000_000_000_000 // {"s": 10**3, "ms": 10**6, "us": 10**9, "ns": 10**12}[unit]


@pytest.mark.parametrize(
    ("cells", "unit", "times_us"),
    [
        (pa.array([1_391_774_400, -1]), "s", [NOON_US, -1_000_000]),
        (pa.array([1_391_774_400], pa.int32()), "s", [NOON_US]),
        (pa.array([1_391_774_400_123], pa.uint64()), "ms", [NOON_US + 123_000]),
        (pa.array([1_391_774_400_123_456_789]), "ns", [NOON_US + 123_456]),
        (pa.array([1_391_774_400.5, 0.0]), "s", [NOON_US + 500_000, 0]),
        (pa.array(["1391774400.5"]).cast(pa.decimal128(14, 1)), "s", [NOON_US + 500_000]),
        (pa.array([NOON_US // 10**6], pa.timestamp("s")), "iso", [NOON_US]),
        (pa.array([NOON_US // 10**3], pa.timestamp("ms", "Europe/Berlin")), "iso", [NOON_US]),
        (pa.array([NOON_US, -1], pa.timestamp("us")), "iso", [NOON_US, -1]),
        (pa.array([NOON_US * 1000 + 999, -1], pa.timestamp("ns")), "iso", [NOON_US, -1]),
        (pa.array([NOON_US * 1000], pa.timestamp("ns")), "ms", [NOON_US]),
        (pa.array([16_108, -1], pa.date32()), "iso", [NOON_US - 43_200_000_000, -86_400_000_000]),
        (pa.array([16_108 * 86_400_000], pa.date64()), "iso", [NOON_US - 43_200_000_000]),
        (pa.array(["2014-02-07 12:00:00"]).dictionary_encode(), "iso", [NOON_US]),
    ],
)
def test_typed(cells: pa.Array, unit: TimeUnit, times_us: list[int]) -> None:
    """Typed columns are read by their type: numbers in the unit, timestamps and dates as what they are."""
    times = parse_times(cells, unit)
    assert times.tolist() == times_us
    assert times.dtype == np.int64
    assert times.flags.writeable


@pytest.mark.parametrize(
    ("cell", "unit"),
    [
        ("2014-02-07", "iso"),
        ("not a time", "iso"),
        ("", "iso"),
        ("0", "s"),
        ("99999999999", "s"),
        ("100000000000", "ms"),
        ("1391774400000000", "us"),
        ("1391774400000000000", "ns"),
        ("1391774400.5", "s"),
        (1_391_774_400, "s"),
        (1_391_774_400_000.0, "ms"),
    ],
)
def test_unit_of(cell: Any, unit: TimeUnit) -> None:
    """The first cell tells the unit: its size if it is a number, else it is a date."""
    assert unit_of(pa.array([None, cell])) == unit


def test_unit_of_type() -> None:
    """A column of timestamps or dates needs no number's unit."""
    assert unit_of(pa.array([1], pa.timestamp("ns"))) == "iso"
    assert unit_of(pa.array([1], pa.date32())) == "iso"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "07/02/2014",
        "2014-02-30",
        "2014-02-07 25:00",
        "1391774400",
        "2014-02-07 12:00:00+99:00",
        "2014-2-7",
    ],
)
@pytest.mark.parametrize("index", [0, 1, 6])
def test_bad_iso(text: str, index: int) -> None:
    """The cell that is no date is pointed at, wherever it stands and however its neighbours are spelled."""
    for good in ("2014-02-07", "2014-02-07T12:00:00Z"):
        cells = [good] * 7
        cells[index] = text
        with pytest.raises(CellError) as caught:
            parse_times(pa.array(cells), "iso")
        assert (caught.value.index, caught.value.found) == (index, repr(text))


@pytest.mark.parametrize("text", ["", "yesterday", "2014-02-07", "0x10", "1 2", "nan", "inf", "1,5"])
def test_bad_epoch(text: str) -> None:
    """Text that is no number is refused where numbers are expected."""
    with pytest.raises(CellError) as caught:
        parse_times(pa.array(["1", text, "2"]), "s")
    assert (caught.value.index, caught.value.found, caught.value.expected) == (1, repr(text), "seconds since 1970")


@pytest.mark.parametrize(
    ("number", "unit", "size"),
    [
        (1_391_774_400_000, "s", "milliseconds"),
        (1_391_774_400_000_000_000, "ms", "nanoseconds"),
        (-1_391_774_400_000_000, "s", "microseconds"),
        (-(2**62), "us", "nanoseconds"),
    ],
)
@pytest.mark.parametrize("one_size", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_too_large(number: int, unit: TimeUnit, size: str, *, one_size: bool, text: bool) -> None:
    """A number beyond what its unit can mean is refused, typed or written, instead of overflowing."""
    good = {"s": 1_391_774_400, "ms": 1_391_774_400_000, "us": 1_391_774_400_000_000}[unit]
    cells = pa.array([good, number])
    with pytest.raises(CellError, match=f"^cell 1: found {number}.*, which has the size of {size}; expected") as caught:
        parse_times(cells.cast(pa.string()) if text else cells, unit, one_size=one_size)
    assert caught.value.expected.endswith("since 1970, as before" if one_size else "since 1970")


def test_least_integer() -> None:
    """The one integer without a positive counterpart is too large as well."""
    with pytest.raises(CellError, match="nanoseconds"):
        parse_times(pa.array([-(2**63)]), "s")


def test_one_size() -> None:
    """A number too small for the unit is refused only where the unit was told from the numbers themselves."""
    cells = pa.array([1_391_774_400_000, 1_391_774_400])
    assert parse_times(cells, "ms").tolist() == [NOON_US, 1_391_774_400_000]
    with pytest.raises(CellError, match="found 1391774400, which has the size of seconds; expected milliseconds"):
        parse_times(cells, "ms", one_size=True)
    with pytest.raises(CellError, match=r"found 1391774400.5, which has the size of seconds"):
        parse_times(pa.array(["1391774400000", "1391774400.5"]), "ms", one_size=True)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300])
def test_not_finite(number: float) -> None:
    """A time that is not finite is refused."""
    for unit in ("s", "ns"):
        with pytest.raises(CellError, match=r"^cell 1: found "):
            parse_times(pa.array([1.0, number], from_pandas=False), unit)


@pytest.mark.parametrize("cells", [["2014-02-07", None], [1, None]])
def test_no_time(cells: list[Any]) -> None:
    """An absent time is refused."""
    with pytest.raises(CellError, match=r"^cell 1: found no time; expected "):
        parse_times(pa.array(cells), unit_of(pa.array(cells)))
