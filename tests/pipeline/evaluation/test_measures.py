import numpy as np
import pytest

from detectors.evaluation.ranking import average_precision, vus_pr
from pipeline.evaluation.measures import StreamResult, describe_each, describe_streams, measure, rank
from pipeline.evaluation.scoring import StreamScores
from pipeline.labelled import LabelledStream

DAY_US = 86_400_000_000
ROWS = 101


def make_stream(
    labelled: slice = slice(60, 70), fields: tuple[str, ...] = ("value",), history: int = 0
) -> LabelledStream:
    """A day of 101 rows, evenly spaced from noon."""
    time_us = DAY_US // 2 + DAY_US // 100 * np.arange(ROWS, dtype=np.int64)
    is_anomaly = np.zeros(ROWS, bool)
    is_anomaly[labelled] = True
    windows = time_us[[[labelled.start, labelled.stop - 1]]] if is_anomaly.any() else np.empty((0, 2), np.int64)
    return LabelledStream("a/s", fields, time_us, np.zeros((ROWS, len(fields))), is_anomaly, windows, history)


def say(
    stream: LabelledStream, alerts: list[int], score: np.ndarray | None = None, seconds: float = 1.0
) -> StreamResult:
    """The measures of alerts at these rows."""
    alert_score = np.zeros(ROWS)
    alert_score[alerts] = 2.0
    scores = StreamScores(
        scores={"event": alert_score if score is None else score},
        alert_score=alert_score,
        alerts_us=stream.time_us[alerts],
        points=stream.values.size,
        scoring_s=seconds,
        bytes_per_lane=100,
    )
    return measure(stream, scores)


def test_a_stream_is_measured_behind_its_history() -> None:
    """Rows of the history count neither as false alarms nor as time nor in the ranking."""
    stream = make_stream(history=51)
    score = np.arange(ROWS, 0, -1.0)
    result = say(stream, [10, 55, 62], score)
    assert (result.outcome.alerts, result.outcome.false_alarms) == (2, 1)
    assert result.outcome.days == pytest.approx(0.49)
    assert result.ranking["event"] == {
        "vus_pr": vus_pr(score[51:], stream.is_anomaly[51:]),
        "auc_pr": average_precision(score[51:], stream.is_anomaly[51:]),
    }
    assert result.ranking["event"] != say(make_stream(), [10, 55, 62], score).ranking["event"]


def test_all_fields_of_a_key_have_its_labels_together() -> None:
    """A window is found by an alert of any field, and false alarms are per lane: a day of two lanes is two days."""
    described = describe_streams([say(make_stream(fields=("x", "y")), [10, 62, 63])])
    assert described["detection"]["recall"] == 1.0
    assert described["detection"]["lanes"] == 2
    assert described["detection"]["false_alarms_per_lane_day"] == pytest.approx(0.5)
    assert described["points"] == 2 * ROWS


def test_streams_together() -> None:
    """Rankings are means over labelled streams, and speed is all points by all seconds."""
    good, bad, normal = (
        say(make_stream(), [60]),
        say(make_stream(), [5], seconds=3.0),
        say(make_stream(slice(0, 0)), []),
    )
    described = describe_streams([good, bad, normal])
    first, second = good.ranking["event"], bad.ranking["event"]
    assert first is not None
    assert second is not None
    assert normal.ranking["event"] is None
    assert described["event"]["vus_pr"] == pytest.approx((first["vus_pr"] + second["vus_pr"]) / 2)
    assert described["event"]["auc_pr"] == pytest.approx((first["auc_pr"] + second["auc_pr"]) / 2)
    assert (described["files"], described["labelled_files"]) == (3, 2)
    assert described["points_per_s"] == round(3 * ROWS / 5)
    assert described["bytes_per_lane"] == 100
    detection = described["detection"]
    assert (detection["precision"], detection["recall"], detection["f1"]) == (0.5, 0.5, 0.5)
    assert detection["detection_delay_s"] == {"mean": 0.0, "median": 0.0}


def test_streams_without_labels_have_no_such_measures() -> None:
    """What has no cases is None, and is not taken for 0."""
    described = describe_streams([say(make_stream(slice(0, 0)), [])])
    assert described["event"] == {"vus_pr": None, "auc_pr": None}
    assert described["detection"]["recall"] is None
    (alone,) = describe_each([say(make_stream(slice(0, 0)), [])])
    assert alone["event"] is None


def test_rows_without_a_score_are_the_lowest() -> None:
    """A row that was not scored ranks with those of score 0, so that being silent is never of use."""
    is_anomaly = make_stream().is_anomaly
    score = np.where(is_anomaly, np.nan, 1.0)
    assert rank(score, is_anomaly) == rank(np.nan_to_num(score), is_anomaly)
    assert rank(score, np.zeros(ROWS, bool)) is None
