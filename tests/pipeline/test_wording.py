import pytest

from pipeline.wording import brief, counted, duration, listed, ordinal, size, told_apart


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.85, "850 ms"), (61, "1 min 1 s"), (90_061, "1 d 1 h"), (86_400, "1 d"), (-120, "-2 min")],
)
def test_durations(seconds: float, text: str) -> None:
    """The two largest units."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0.1, "0.1"), (71.523, "71.52"), (12345.6, "12,346"), (6, "6"), (0.00042, "0.00042")]
)
def test_brief_numbers(number: float, text: str) -> None:
    """A few significant digits."""
    assert brief(number) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1 KiB"),
        (759_800, "742 KiB"),
        (5 * 2**28, "1.25 GiB"),
        (2**60, "1,048,576 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    """In the largest unit that there is one of, without a limit."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("one", "other", "texts"),
    [
        (0.0, 14.27094, ("0", "14.3")),
        (1e9 + 5, 1e9, ("1,000,000,005", "1,000,000,000")),
        (1133.4, 852.2, ("1,133", "852.2")),
        (1234.5, 1234.1, ("1,234.5", "1,234.1")),
        (123_456.0, -5.0, ("123,456", "-5")),
        (-0.0, 3.0, ("0", "3")),
        (5.0, 5.0, ("5", "5")),
        (0.0, 0.0, ("0", "0")),
        (1e-5, 3e-5, ("1e-05", "3e-05")),
        (1e300, -1e300, ("1e+300", "-1e+300")),
        (1e308, -1e308, ("1e+308", "-1e+308")),
        (2e-320, 0.0, ("2e-320", "0")),
    ],
)
def test_two_numbers_are_told_apart(one: float, other: float, texts: tuple[str, str]) -> None:
    """As many digits are shown as the difference needs, whatever the size of the numbers."""
    assert told_apart(one, other) == texts


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (113, "113th"), (1021, "1,021st")],
)
def test_ordinals(number: int, text: str) -> None:
    """The ending follows the last digit, but for the teens."""
    assert ordinal(number) == text


def test_lists_and_counts() -> None:
    """Words are joined as in a sentence, and a noun is singular for one alone."""
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [counted(count, "point") for count in (0, 1, 2000)] == ["0 points", "1 point", "2,000 points"]
