"""How deep JSON may be nested, so that the answer is the same wherever it is asked.

Without a limit of its own a decoder stops where Python's recursion ends, which depends on who has called it: a service
and a replay could then differ about one message.
"""

import re

import msgspec
import numpy as np

DEEPEST = 100
"""Objects and arrays within one another in a point, itself included."""
_FLAT_BYTES = 2 * DEEPEST
"""What is not longer has no room for more."""
_COUNTED_BYTES = 2**12
"""From which on numpy counts faster than bytes do."""
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_OPENS, _CLOSES = ord("{"), ord("}")
_BRACE = ord("{") ^ ord("[")
"""The bit that makes a bracket a brace."""


def may_be_too_deep(content: bytes, points: int = 1) -> bool:
    """Whether it takes a closer look to know that no point is nested too deep; cheap, and no for what is flat.

    Args:
        points: objects, at least, that lie beside one another in the content.
    """
    return len(content) > _FLAT_BYTES and _openings(content) - points >= DEEPEST


def is_too_deep(content: bytes | msgspec.Raw, within: int = 0) -> bool:
    """Whether more than `DEEPEST` objects and arrays lie within one another, brackets in strings left out.

    Args:
        within: of arrays that lie around the points.
    """
    content = bytes(content)
    if not may_be_too_deep(content):
        return False
    braces = np.frombuffer(_STRINGS.sub(b"", content), np.uint8) | _BRACE
    steps = (braces == _OPENS).astype(np.int32) - (braces == _CLOSES)
    return int(np.cumsum(steps).max(initial=0)) > DEEPEST + within


def _openings(content: bytes) -> int:
    if len(content) < _COUNTED_BYTES:
        return content.count(b"{") + content.count(b"[")
    return int(np.count_nonzero((np.frombuffer(content, np.uint8) | _BRACE) == _OPENS))
