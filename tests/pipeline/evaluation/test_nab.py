import numpy as np
import pytest

from detectors.evaluation.nab import score_at, score_corpus
from pipeline.evaluation.measures import StreamResult, measure
from pipeline.evaluation.nab import LARGEST_SCORE, describe_nab, nab_file, nab_scores
from pipeline.evaluation.scoring import StreamScores
from pipeline.labelled import LabelledStream

ROWS = 400


def say(name: str, alerts: dict[int, float], window: tuple[int, int] | None = (200, 240)) -> StreamResult:
    """A file with a row a second and one window, and alerts of these scores by row."""
    time_us = 1_000_000 * np.arange(ROWS, dtype=np.int64)
    windows = np.empty((0, 2), np.int64) if window is None else time_us[[window]]
    is_anomaly = np.zeros(ROWS, bool)
    if window is not None:
        is_anomaly[window[0] : window[1] + 1] = True
    alert_score = np.zeros(ROWS)
    for row, score in alerts.items():
        alert_score[row] = score
    scores = StreamScores({"event": alert_score}, alert_score, time_us[[*alerts]], ROWS, 0.5, 10)
    return measure(LabelledStream(name, ("value",), time_us, np.zeros((ROWS, 1)), is_anomaly, windows), scores)


def corpus() -> list[StreamResult]:
    """Two categories, and one without a window."""
    return [
        say("a/found", {205: 3.0}),
        say("a/missed", {100: 1.0}),
        say("b/late", {238: 2.0, 300: 2.0}),
        say("b/found", {201: 4.0}),
        say("calm/calm", {300: 1.0}, None),
    ]


def test_scores_of_alerts_are_within_nabs_range_and_keep_their_order() -> None:
    """No alert is 0, none above 1."""
    scores = nab_scores(np.array([0.0, 1.7, 12.0, LARGEST_SCORE, 50.0]))
    assert scores.tolist() == sorted(scores.tolist())
    assert (scores[0], scores[-1]) == (0.0, 1.0)
    assert 0 < scores[1] < scores[2] < 1


def test_the_whole_and_its_categories() -> None:
    """Scores are those of the rules; categories have theirs at the thresholds of the whole, None without a window."""
    results = corpus()
    files = [nab_file(one.name, one.time_us, one.windows, one.scores.alert_score) for one in results]
    described = describe_nab(results)
    best = score_corpus(files)
    assert described["scores"] == {profile: one.score for profile, one in best.items()}
    categories = described["categories"]
    assert [*categories] == ["a", "b", "calm"]
    thresholds = {profile: one.threshold for profile, one in best.items()}
    assert described["thresholds"] == thresholds
    assert categories["b"]["scores"] == score_at(files[2:4], thresholds)
    assert categories["calm"]["scores"] is None
    assert categories["calm"]["detection"]["false_alarms"] == 1
    raw = sum(one["raw"]["standard"] for one in described["per_file"])
    assert raw == pytest.approx(best["standard"].raw)


def test_a_half_without_windows_has_no_held_out_scores() -> None:
    """With one labelled file there is nothing to hold out, and the scores are there all the same."""
    described = describe_nab([say("a/found", {205: 3.0})])
    assert described["held_out"] is None
    assert described["scores"]["standard"] > 90
    assert describe_nab(corpus() + corpus())["held_out"] is not None


def test_no_window_is_no_benchmark() -> None:
    """There is nothing to normalise by."""
    with pytest.raises(ValueError, match="no window with a row to score"):
        describe_nab([say("calm/calm", {}, None)])
