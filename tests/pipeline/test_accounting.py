import json

import numpy as np

from pipeline.accounting import Counts, count_batch
from pipeline.records import Batch, Disposition, Problem, Severity

S, W, L, D, X, M = (int(value) for value in Disposition)


def _counts(*records: tuple[int, ...]) -> Counts:
    counts = Counts()
    counts.add_dispositions(np.array(records, np.int8))
    return counts


def test_a_record_has_the_best_of_its_points_dispositions() -> None:
    """A record counts once: as scored when one of its fields was, and as dead-lettered when all are missing."""
    counts = _counts((S, L), (W, M), (L, D), (D, D), (X, M), (M, M))
    assert counts.records == {"scored": 1, "warming": 1, "late": 1, "duplicate": 1, "dead_lettered": 2}
    assert counts.points == {"scored": 1, "warming": 1, "late": 2, "duplicate": 3, "dead_lettered": 1, "missing": 4}
    assert counts.consumed == 6
    assert counts.balance() == 0


def test_what_no_disposition_accounts_for_shows_in_the_balance() -> None:
    """A record that was consumed and not counted is an imbalance of one."""
    counts = _counts((S,))
    counts.consumed += 1
    assert counts.balance() == 1


def test_counts_add_up() -> None:
    """The sum of two batches' counts is that of the batch of both."""
    one, two = _counts((S,), (L,)), _counts((S,), (W,))
    one.add_severities(np.array([Severity.NONE, Severity.HIGH], np.int8))
    two.add_severities(np.array([Severity.HIGH, Severity.LOW], np.int8))
    one.gaps, two.gaps = 2, 3
    one.problems["missing"], two.events["opened"] = 1, 4
    one += two
    assert one.records == {"scored": 2, "warming": 1, "late": 1}
    assert one.flagged == {"high": 2, "low": 1}
    assert (one.consumed, one.gaps, one.problems["missing"], one.events["opened"]) == (4, 5, 1, 4)


def test_plain_values_come_back() -> None:
    """Counts survive a round trip through JSON, and name every disposition, also those of 0."""
    counts = _counts((S, M), (X, X))
    counts.problems["not_a_number"] = 2
    plain = json.loads(json.dumps(counts.to_dict()))
    assert plain["records"] == {"scored": 1, "warming": 0, "late": 0, "duplicate": 0, "dead_lettered": 1}
    assert plain["points"]["missing"] == 1
    assert Counts.from_dict(plain) == counts


def test_no_records_count_nothing() -> None:
    """An empty batch leaves every count at 0."""
    counts = Counts()
    counts.add_dispositions(np.empty((0, 2), np.int8))
    assert counts == Counts()


def test_values_without_use_count_once_by_reason() -> None:
    """What the decoder has told of is not counted again as missing; what it has not is, by what is there instead."""
    values = np.array([[1.0, np.nan], [np.nan, np.inf], [np.nan, np.nan], [2.0, np.nan]])
    problems = (Problem(0, 1, "not_a_number", "x"), Problem(2, -1, "malformed", "{"))
    batch = Batch(["a"], np.zeros(4, np.int32), np.arange(4), values, np.arange(1, 5), problems=problems)
    counts = count_batch(batch, np.array([[S, M], [M, M], [X, X], [S, M]], np.int8), np.zeros(2, np.int8))
    assert counts.problems == {"not_a_number": 1, "malformed": 1, "missing": 2, "non_finite": 1}
    assert counts.records == {"scored": 2, "dead_lettered": 2}
