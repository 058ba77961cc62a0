"""Sixteen-bit storage for rings, tails and hidden state: what `load` gives back of what `store` put away.

The code is sign and magnitude with 6 exponent bits (2^-20 to 2^43) and 9 mantissa bits, relative error at most 2^-10.
Codes order as their values do, so extremes are compared without decoding. Arrays of float32 pass through unchanged: the
kernel is written once and compiled for either.
"""

import numpy as np
from numba import types
from numba.extending import overload

from detectors.compiled import compiled

_DROPPED_BITS = 14
_HALF = 1 << (_DROPPED_BITS - 1)
_BIAS = 107 << 9
_LARGEST = 32767


@compiled
def encode(value):
    """int16 code of a float32, rounded half up; magnitudes beyond the range saturate or become 0."""
    bits = np.float32(value).view(np.uint32)
    magnitude = np.int64(bits & np.uint32(0x7FFFFFFF))
    code = ((magnitude + _HALF) >> _DROPPED_BITS) - _BIAS
    code = min(max(code, np.int64(0)), np.int64(_LARGEST))
    return np.int16(-code) if bits >> np.uint32(31) else np.int16(code)


@compiled
def decode(code):
    """float32 value of an int16 code; without branches, so that loops over codes vectorise."""
    wide = np.int32(code)
    sign = wide >> np.int32(31)
    magnitude = (wide ^ sign) - sign
    bits = (magnitude + np.int32(_BIAS)) << np.int32(_DROPPED_BITS)
    bits = bits if magnitude != 0 else np.int32(0)
    return np.uint32(bits | (sign & np.int32(-0x80000000))).view(np.float32)


def load(stored):
    """float32 value of an element of a ring, whichever way it is stored."""
    raise NotImplementedError("compiled code only")


def store(array, value):
    """`value` as an element of `array`, whichever way it stores them."""
    raise NotImplementedError("compiled code only")


def negate(stored):
    """`stored` with its sign changed, whichever way it is stored."""
    raise NotImplementedError("compiled code only")


@overload(load)
def _load(stored):
    if stored == types.int16:
        return lambda stored: decode(stored)
    return lambda stored: stored


@overload(store)
def _store(array, value):
    if array.dtype == types.int16:
        return lambda array, value: encode(np.float32(value))
    return lambda array, value: np.float32(value)


@overload(negate)
def _negate(stored):
    if stored == types.int16:
        return lambda stored: np.int16(-stored)
    return lambda stored: -stored
