"""Measures of one stream, and of many together; the definitions lie in `detectors.evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.detection import Detection, LaneAlerts, LaneOutcome, judge, summarise
from detectors.evaluation.ranking import average_precision, vus_pr
from pipeline.evaluation.scoring import READ_OUTS, StreamScores
from pipeline.labelled import LabelledStream

RANKINGS = ("vus_pr", "auc_pr")


@dataclass(frozen=True, slots=True, eq=False)
class StreamResult:
    """What is measured of one stream, and what measures of several streams are made of.

    Attributes:
        name: of the stream.
        fields: names of its values.
        rows: how many, those of its history included.
        outcome: of its alerts behind its history; all its fields are labelled together.
        ranking: `RANKINGS` by read-out; None where no row behind the history is labelled.
        time_us: (rows,) int64.
        is_anomaly: (rows,) bool, labels.
        windows: (w, 2) int64, as labelled.
        scores: what was said of it.
    """

    name: str
    fields: tuple[str, ...]
    rows: int
    outcome: LaneOutcome
    ranking: dict[str, dict[str, float] | None]
    time_us: NDArray[np.int64]
    is_anomaly: NDArray[np.bool_]
    windows: NDArray[np.int64]
    scores: StreamScores


def measure(stream: LabelledStream, scores: StreamScores) -> StreamResult:
    """The measures of a stream, of its rows behind its history."""
    measured = slice(stream.history, None)
    time_us = stream.time_us[measured]
    start_us, end_us = int(time_us.min()), int(time_us.max())
    alerts_us = scores.alerts_us[(scores.alerts_us >= start_us) & (scores.alerts_us <= end_us)]
    alerts = LaneAlerts(stream.name, start_us, end_us, alerts_us, stream.windows, len(stream.fields))
    is_anomaly = stream.is_anomaly[measured]
    return StreamResult(
        name=stream.name,
        fields=stream.fields,
        rows=len(stream),
        outcome=judge(alerts),
        ranking={name: rank(score[measured], is_anomaly) for name, score in scores.scores.items()},
        time_us=stream.time_us,
        is_anomaly=stream.is_anomaly,
        windows=stream.windows,
        scores=scores,
    )


def rank(score: NDArray[np.float64], is_anomaly: NDArray[np.bool_]) -> dict[str, float] | None:
    """`RANKINGS` of a score (n,), NaN taken as the lowest; None where no row (n,) is labelled."""
    if not is_anomaly.any():
        return None
    score = np.nan_to_num(score, nan=0.0)
    return {"vus_pr": vus_pr(score, is_anomaly), "auc_pr": average_precision(score, is_anomaly)}


def mean_ranking(rankings: Sequence[dict[str, float] | None]) -> dict[str, float | None]:
    """Mean of each of `RANKINGS` over labelled streams; None without one."""
    known = [ranking for ranking in rankings if ranking is not None]
    return {name: float(np.mean([one[name] for one in known])) if known else None for name in RANKINGS}


def describe_detection(outcomes: Sequence[LaneOutcome]) -> dict[str, Any]:
    """Alerts against windows, as plain values; a measure with no cases is None."""
    detection: Detection = summarise(outcomes)
    return {
        "lanes": detection.lanes,
        "windows": detection.windows,
        "detected": detection.detected,
        "alerts": detection.alerts,
        "false_alarms": detection.false_alarms,
        "precision": detection.precision,
        "recall": detection.recall,
        "f1": detection.f1,
        "detection_delay_s": {"mean": detection.mean_delay_s, "median": detection.median_delay_s},
        "false_alarms_per_lane_day": detection.false_alarms_per_lane_day,
    }


def describe_streams(results: Sequence[StreamResult]) -> dict[str, Any]:
    """The measures of streams together, as plain values.

    `event`, and any other read-out, holds means over labelled streams; `detection` is of all alerts at the operating
    threshold; points per second are those of one process, of time spent in the engine alone.
    """
    points = sum(result.scores.points for result in results)
    seconds = sum(result.scores.scoring_s for result in results)
    return {
        "files": len(results),
        "labelled_files": sum(result.outcome.windows.size > 0 for result in results),
        "rows": sum(result.rows for result in results),
        "points": points,
        **{name: mean_ranking([result.ranking.get(name) for result in results]) for name in READ_OUTS},
        "detection": describe_detection([result.outcome for result in results]),
        "scoring_s": round(seconds, 3),
        "points_per_s": round(points / seconds) if seconds else None,
        "bytes_per_lane": max((result.scores.bytes_per_lane for result in results), default=None),
    }


def describe_each(results: Sequence[StreamResult]) -> list[dict[str, Any]]:
    """The measures of each stream alone, as plain values."""
    return [
        {
            "name": result.name,
            "fields": list(result.fields),
            "rows": result.rows,
            **result.ranking,
            "detection": describe_detection([result.outcome]),
            "scoring_s": round(result.scores.scoring_s, 3),
            "points_per_s": round(result.scores.points / result.scores.scoring_s) if result.scores.scoring_s else None,
            "bytes_per_lane": result.scores.bytes_per_lane,
        }
        for result in results
    ]
