from itertools import pairwise

import numpy as np

from detectors.faults import KINDS
from pipeline.tuning.disturb import AIM, GRACE, MOST_COPIES, SPACING, disturb_all
from pipeline.tuning.history import Recording, measure_after
from tests.pipeline.tuning.samples import recording


def prepared(points: int, *keys: str) -> Recording:
    """Measured behind its warm-up."""
    return measure_after(recording(points, keys), 150)


def test_copies_differ_from_the_original_only_where_faults_are() -> None:
    """But for level shifts, whose streams stay shifted; and the original is as it was."""
    original = prepared(5000, "a", "b")
    kept = original.values.copy()
    copies = disturb_all([original], [7, 0])
    assert (original.values == kept).all()
    for copy in copies:
        assert copy.faults
        for key in (0, 1):
            faults = [fault for fault in copy.faults if fault.key == key]
            changed = np.flatnonzero((copy.recording.values != original.values)[:, 0] & (original.key == key))
            first_shift = min((one.first for one in faults if one.kind == "level_shift"), default=10**9)
            early = changed[changed < first_shift]
            assert all(any(one.first <= row <= one.last for one in faults) for row in early)
            assert changed.min() == min(one.first for one in faults)


def test_faults_are_of_all_kinds_apart_and_measured() -> None:
    """Alarms of one fault can hardly be taken for alarms of the next, and none lies in the warm-up."""
    faults = [fault for copy in disturb_all([prepared(9000, "a", "b", "c")], [7, 0]) for fault in copy.faults]
    assert {fault.kind for fault in faults} == set(KINDS)
    assert len(faults) >= AIM
    for copy in disturb_all([prepared(9000, "a")], [7, 0]):
        spans = sorted((fault.first, fault.last) for fault in copy.faults)
        assert len(spans) == (9000 - 150) // SPACING
        assert spans[0][0] >= 150
        assert all(later[0] > earlier[1] + GRACE for earlier, later in pairwise(spans))


def test_few_streams_get_more_copies() -> None:
    """With other faults each, and no more copies than it takes."""
    few = disturb_all([prepared(2600, "a")], [7, 0])
    assert len(few) == MOST_COPIES
    assert len({tuple(copy.faults) for copy in few}) == MOST_COPIES
    many = disturb_all([prepared(2600, *(f"k{number}" for number in range(30)))], [7, 0])
    assert len(many) == 1


def test_the_same_seed_gives_the_same_faults() -> None:
    """And another part, or seed, gives others."""
    one, again, other = (disturb_all([prepared(3000, "a")], seed) for seed in ([7, 0], [7, 0], [7, 1]))
    assert [copy.faults for copy in one] == [copy.faults for copy in again]
    assert (one[0].recording.values == again[0].recording.values).all()
    assert [copy.faults for copy in one] != [copy.faults for copy in other]


def test_a_stream_that_never_changes_gets_no_fault() -> None:
    """Its range is nothing, so no size of a fault could be told."""
    flat = prepared(3000, "a")
    flat.values[:] = 4.0
    assert disturb_all([flat], [7, 0]) == ()
