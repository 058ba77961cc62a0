import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evidence import EVIDENCE
from pipeline.codec.anomalies import encode_anomalies
from pipeline.episodes import (
    SEVERITY_STEPS,
    Origin,
    anomaly_id,
    finite_or_none,
    grade,
    iso_time,
    round_digits,
    share_evidence,
    silence_anomaly,
    strongest_streams,
)
from pipeline.records import Evidence, Severity

ORIGIN = Origin(source="demo.csv", partition="0", bundle="abc")
T_US = 1_393_632_000_000_000  # 2014-03-01


def test_severity_rises_with_the_distance_from_the_threshold() -> None:
    """A flagged point is low at the threshold, and a grade higher from each step on; a point not flagged has none."""
    score = np.array([0.0, *SEVERITY_STEPS, 9.0], np.float32)
    threshold = np.zeros(5, np.float32)
    expected = [Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL, Severity.CRITICAL]
    assert grade(score, threshold, np.ones(5, np.bool_)).tolist() == expected
    assert grade(score, threshold, np.zeros(5, np.bool_)).tolist() == [Severity.NONE] * 5


def test_a_point_without_a_score_has_no_severity() -> None:
    """The NaN score of a warming lane grades as none."""
    nothing = np.full(1, np.nan, np.float32)
    assert grade(nothing, nothing, np.zeros(1, np.bool_)).tolist() == [Severity.NONE]


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (T_US, "2014-03-01T00:00:00Z"),
        (T_US + 1, "2014-03-01T00:00:00.000001Z"),
        (T_US + 500_000, "2014-03-01T00:00:00.500000Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_times_are_iso_in_utc(time_us: int, text: str) -> None:
    """Times are written to the second, and to the microsecond only where there is a fraction."""
    assert iso_time(time_us) == text


def test_an_id_tells_apart_whatever_can_differ() -> None:
    """Ids are the same for the same event, and others for another source, partition, position, key, field or event."""
    first = anomaly_id(ORIGIN, 5, "key", "value", "opened")
    others = [
        anomaly_id(Origin("other.csv", "0", "abc"), 5, "key", "value", "opened"),
        anomaly_id(Origin("demo.csv", "1", "abc"), 5, "key", "value", "opened"),
        anomaly_id(ORIGIN, 6, "key", "value", "opened"),
        anomaly_id(ORIGIN, 5, "key2", "value", "opened"),
        anomaly_id(ORIGIN, 5, "key", "value2", "opened"),
        anomaly_id(ORIGIN, 5, "key", "value", "closed"),
    ]
    assert len({first, *others}) == 7
    assert first == anomaly_id(Origin("demo.csv", "0", "another bundle"), 5, "key", "value", "opened")


def test_evidence_is_shared_by_the_fields_that_scored() -> None:
    """Shares sum to 1, the higher score has the larger, a field without one has none; with no score all are equal."""
    shares = share_evidence(np.array([2.0, 1.0, np.nan], np.float32), ("a", "b", "c"))
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert shares["a"] > 0.99
    assert shares["b"] > shares["c"] == 0
    assert share_evidence(np.zeros(2, np.float32), ("a", "b")) == {"a": 0.5, "b": 0.5}


def test_the_strongest_streams_come_first_and_silent_ones_not_at_all() -> None:
    """At most five streams are told, most novel first, without those of no novelty."""
    names = list("abcdefgh")
    novelty = np.array([[0.1, 0.0, 2.0, 0.5, 0.4, 0.3, 1.0, 0.0], [0.0] * 8, [0.0] * 7 + [0.2]], np.float32)
    evidence = np.zeros(novelty.shape, EVIDENCE)
    evidence[0, 2] = (-1234.567891234, 3, 900, True, False)
    evidence[2, 7] = (0.1 + 0.2, 4, 900, False, True)
    told = strongest_streams(names, novelty, evidence)
    assert [one.name for one in told[0]] == ["c", "g", "d", "e", "f"]
    assert told[0][0] == Evidence("c", 2.0, None, "below", -1234.56789, 3, 900, exact=True)
    assert told[1] == []
    assert told[2] == [Evidence("h", 0.2, None, "above", 0.3, 4, 900, exact=False)]


def test_a_stream_of_a_forecast_tells_its_horizon() -> None:
    """Residuals and their means have the horizon of their forecast; other streams have none."""
    names = ["residual_32", "mean_surprise_96", "increment"]
    told = strongest_streams(names, np.array([[3, 2, 1]], np.float32), np.zeros((1, 3), EVIDENCE))
    assert [one.horizon for one in told[0]] == [32, 96, None]


@given(st.floats(-1e300, 1e300), st.integers(1, 8))
def test_rounding_keeps_as_many_digits(value: float, digits: int) -> None:
    """Values of any size come out as if written with so many significant digits, infinities and 0 as they are."""
    found = float(round_digits(np.array([value]), digits)[0])
    assert found == pytest.approx(float(f"{value:.{digits - 1}e}"), rel=10.0 ** (1 - digits), abs=1e-299)
    assert round_digits(np.array([0.0, np.inf, 2.0, 123_456_789.0]), 3).tolist() == [0.0, np.inf, 2.0, 123_000_000.0]


def test_json_has_no_nan() -> None:
    """What is not finite is written as nothing."""
    assert [finite_or_none(value) for value in (1.5, np.nan, np.inf)] == [1.5, None, None]


def test_both_ends_of_a_silence_belong_together() -> None:
    """A silence and its end share an episode, have ids of their own, and can be written."""
    ends = [
        silence_anomaly(
            ORIGIN,
            key="k",
            field="v",
            time_us=T_US + hours * 3_600_000_000,
            position=at,
            since_us=T_US,
            pace_us=299_700_000,
            began=began,
        )
        for hours, at, began in ((2, 50, True), (5, 90, False))
    ]
    began, ended = ends
    assert (began.event, ended.event) == ("opened", "closed")
    assert began.episode == ended.episode
    assert began.id != ended.id
    assert began.kind == "silence"
    assert began.reason == "no value for 2 h; usually one every 5 min"
    assert ended.reason == "heard again after 5 h without a value; usually one every 5 min"
    assert (began.opened_at, began.time) == ("2014-03-01T00:00:00Z", "2014-03-01T02:00:00Z")
    assert encode_anomalies(ends).count(b"\n") == 2
