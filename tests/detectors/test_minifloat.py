import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.minifloat import decode, encode

SMALLEST = 2.0**-20
LARGEST = float(decode(np.int16(32767)))
values = st.floats(-LARGEST, LARGEST, allow_nan=False, width=32)


def _round_trip(value: float) -> float:
    return float(decode(encode(np.float32(value))))


@given(values)
def test_a_value_comes_back_within_a_thousandth(value: float) -> None:
    """What is stored comes back with a relative error of at most 2^-10, and below the range as next to 0."""
    error = abs(_round_trip(value) - value)
    assert error <= (2**-10 * abs(value) if abs(value) >= 2 * SMALLEST else SMALLEST)


@given(values, values)
def test_codes_order_as_their_values(a: float, b: float) -> None:
    """Of two values the larger never has the smaller code, so that codes are compared without being decoded."""
    low, high = sorted([a, b])
    assert encode(np.float32(low)) <= encode(np.float32(high))


def test_every_code_is_its_own_round_trip() -> None:
    """Storing a stored value again changes nothing, and rising codes are strictly rising values."""
    codes = np.arange(-32767, 32768, dtype=np.int16)
    decoded = np.array([decode(code) for code in codes])
    assert (np.diff(decoded) > 0).all()
    assert all(encode(value) == code for code, value in zip(codes, decoded, strict=True))


@given(values)
def test_negation_mirrors_the_code(value: float) -> None:
    """The code of -x is minus the code of x."""
    assert encode(np.float32(-value)) == -encode(np.float32(value))


def test_values_out_of_range_saturate() -> None:
    """Too large a magnitude, even an infinite one, becomes the largest, and too small a one becomes 0."""
    assert LARGEST > 8e12
    for value in (1e30, np.inf):
        assert _round_trip(value) == LARGEST
        assert _round_trip(-value) == -LARGEST
    assert _round_trip(1e-9) == 0
    assert _round_trip(-1e-9) == 0
