from datetime import UTC, datetime

import pytest

from pipeline.learning.records import Run, Signal, decode, encode

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SIGNAL = Signal(
    name="a", kind="drift", at=NOON, by="ann", reason="why", bundle="3f2a", topic="in", partition=3, event_time=NOON,
    quantile=0.9, before=0.1, behind=0.2,
)  # fmt: skip
RUN = Run(
    name="b", at=NOON, by="ann", trigger="drift", answers=("a",), outcome="promoted", since=NOON, until=NOON,
    seconds={"reading": 1.5},
)  # fmt: skip


def test_what_is_written_is_read() -> None:
    """All of it, and what a later version adds is passed over."""
    assert decode(Signal, encode(SIGNAL)) == SIGNAL
    assert decode(Run, encode(RUN)) == RUN
    assert decode(Run, encode(RUN).replace(b"{", b'{"added_later": 1,', 1)) == RUN


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\xff", "found text that cannot be read"),
        (encode(SIGNAL)[:40], "found text that cannot be read"),
        (encode(RUN), "expected a signal"),
        (encode(SIGNAL).replace(b'"version": 1', b'"version": 2'), "found version 2; expected 1: upgrade driftline"),
    ],
)
def test_what_is_none_is_refused(raw: bytes, message: str) -> None:
    """Cut short, of another kind, or of a version that is not known."""
    with pytest.raises(ValueError, match=message):
        decode(Signal, raw)
