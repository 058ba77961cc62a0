"""What feedback says of a point."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.feedback import KINDS, OPEN_US, Feedback, Ranges

KEYS = ["pump-1", "pump-2", "line/a", "line/b", "[x]"]
FIELDS = ["flow", "power", "*"]


def _said(draw_id: int, **given_: object) -> Feedback:
    return Feedback(id=f"f{draw_id}", **given_)  # type: ignore[arg-type]


@st.composite
def feedbacks(draw: st.DrawFn) -> list[Feedback]:
    """Some, of all kinds and keys, in a short stretch of time."""
    found = []
    for number in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, 30))
        about = draw(
            st.sampled_from(
                [{}, *({"key": key} for key in KEYS), {"keys": "pump-*"}, {"keys": "line/?"}, {"keys": "["}]
            )
        )
        found.append(
            _said(
                number,
                kind=draw(st.sampled_from(KINDS)),
                field=draw(st.sampled_from([None, *FIELDS])),
                from_us=start,
                to_us=draw(st.sampled_from([start, start + 5, start + 12, OPEN_US])),
                **about,
            )
        )
    return found


def _matches(one: Feedback, key: str, field: str, at: int) -> bool:
    """Whether it is about a point, spelled out."""
    if one.key is not None:
        of_key = one.key == key
    elif one.keys is not None:
        of_key = {"pump-*": key.startswith("pump-"), "line/?": key.startswith("line/") and len(key) == 6, "[": False}[
            one.keys
        ]
    else:
        of_key = True
    return of_key and one.field in {None, field} and one.from_us <= at <= one.to_us


@given(said=feedbacks(), key=st.sampled_from(KEYS), field=st.sampled_from(FIELDS))
def test_the_weightiest_that_is_about_a_point_counts(said: list[Feedback], key: str, field: str) -> None:
    """A true anomaly before maintenance, and that before a false alarm; point by point and all at once alike."""
    ranges = Ranges(said)
    times = np.arange(-2, 60)
    told = ranges.kinds(key, field, times)
    for at, code in zip(times.tolist(), told.tolist(), strict=True):
        about = [KINDS.index(one.kind) for one in said if _matches(one, key, field, at)]
        found = ranges.find(key, field, at)
        assert code == (1 + max(about) if about else 0)
        assert (found is None) == (not about)
        assert found is None or (KINDS.index(found.kind) == max(about) and _matches(found, key, field, at))
        why = ranges.suppressing(key, field, at)
        assert (why is None) == (code in {0, 3})
        until = ranges.suppressed_until(key, field, at)
        assert until >= at
        if why is not None and until != OPEN_US:
            assert ranges.suppressing(key, field, until + 1) is None


def test_of_an_id_the_digest_tells_what_is_said() -> None:
    """The same whatever the order, another for another note, and none where nothing is said."""
    one, other = _said(1, kind="maintenance", from_us=0), _said(2, kind="maintenance", from_us=0)
    assert Ranges([one, other]).digest() == Ranges([other, one]).digest() != Ranges([one]).digest()
    assert Ranges([_said(1, kind="maintenance", from_us=0, note="x")]).digest() != Ranges([one]).digest()
    assert Ranges().digest() == ""
    assert Ranges([one, other]).counts() == {"false_alarm": 0, "maintenance": 2, "true_anomaly": 0}
