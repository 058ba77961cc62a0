"""How good the verdicts of a run were, given labelled windows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from detectors.evaluation.detection import LaneAlerts, judge, summarise
from detectors.evaluation.nab import NabFile, score_corpus
from detectors.evaluation.ranking import label_rows, vus_pr
from pipeline.records import Anomaly

Spans = Sequence[tuple[int, int]]
LARGEST_SCORE = 40.0
"""Alert scores are divided by this for NAB, whose scores end at 1."""


@dataclass(frozen=True, slots=True)
class LaneScores:
    """What a run said of one lane.

    Attributes:
        key, field: of the lane.
        time_us, position: (n,) of its points, those in no window and the late ones included.
        score: (n,) NaN where not scored.
        alert_score: (n,) score where an alert was raised, else 0.
        alerts_us: (a,) event times of all alerts, silences included.
    """

    key: str
    field: str
    time_us: NDArray[np.int64]
    position: NDArray[np.int64]
    score: NDArray[np.float64]
    alert_score: NDArray[np.float64]
    alerts_us: NDArray[np.int64]


def evaluate_run(directory: Path, labels: Mapping[str, Spans]) -> dict[str, Any]:
    """Measures of a run whose outputs lie in `directory`, for `summary.json`.

    Precision, recall, delay and false alarms are of alerts: episodes opened or worsened. NAB's scores treat each lane
    as a file of the benchmark, with the threshold that its rules choose. VUS-PR is of the scores, and the mean over
    labelled lanes. A measure with no cases is None.

    Args:
        directory: holds `verdicts.parquet` and `anomalies.jsonl`.
        labels: labelled windows by key, both ends inclusive, in microseconds.
    """
    labels = {key: merge_spans(spans) for key, spans in labels.items()}
    lanes = read_lanes(directory)
    detection = summarise(
        [
            judge(
                LaneAlerts(
                    f"{lane.key}/{lane.field}",
                    int(lane.time_us.min()),
                    int(lane.time_us.max()),
                    lane.alerts_us,
                    list(labels.get(lane.key, ())),
                )
            )
            for lane in lanes
        ]
    )
    volumes = [volume for lane in lanes if (volume := _volume(lane, labels.get(lane.key, ()))) is not None]
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
        "vus_pr": float(np.mean(volumes)) if volumes else None,
        "nab": _nab(lanes, labels),
    }


def merge_spans(spans: Spans) -> list[tuple[int, int]]:
    """The spans with those that overlap made one, by start."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def read_lanes(directory: Path) -> list[LaneScores]:
    """Every lane of a run, by key and field."""
    columns = ["key", "field", "time", "position", "score"]
    table = pq.read_table(directory / "verdicts.parquet", columns=columns)
    if not table.num_rows:
        return []
    lane_names = pc.binary_join_element_wise(table["key"].cast(pa.string()), table["field"].cast(pa.string()), "\x1f")
    lane = lane_names.combine_chunks().dictionary_encode()
    codes = lane.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(lane.dictionary) + 1))
    time_us = table["time"].cast(pa.int64()).to_numpy()[order]
    position = table["position"].to_numpy()[order]
    score = table["score"].to_numpy().astype(np.float64)[order]
    alerts = _read_alerts(directory)
    lanes = []
    for code, name in enumerate(lane.dictionary.to_pylist()):
        rows = slice(starts[code], starts[code + 1])
        key, field = name.split("\x1f")
        lanes.append(_lane(key, field, time_us[rows], position[rows], score[rows], alerts[key, field]))
    return sorted(lanes, key=lambda lane: (lane.key, lane.field))


def _lane(
    key: str,
    field: str,
    time_us: NDArray[np.int64],
    position: NDArray[np.int64],
    score: NDArray[np.float64],
    alerts: list[Anomaly],
) -> LaneScores:
    raised = [alert.position for alert in alerts if alert.score is not None]
    alert_score = np.where(np.isin(position, raised), np.nan_to_num(score), 0.0)
    alerts_us = np.array([alert.time.removesuffix("Z") for alert in alerts], "datetime64[us]").astype(np.int64)
    return LaneScores(key, field, time_us, position, score, alert_score, alerts_us)


def _read_alerts(directory: Path) -> defaultdict[tuple[str, str], list[Anomaly]]:
    """Events that a user is told of at once, by lane."""
    alerts: defaultdict[tuple[str, str], list[Anomaly]] = defaultdict(list)
    decoder = msgspec.json.Decoder(Anomaly)
    with (directory / "anomalies.jsonl").open("rb") as lines:
        for line in lines:
            anomaly = decoder.decode(line)
            if anomaly.event != "closed":
                alerts[anomaly.key, anomaly.field].append(anomaly)
    return alerts


def _volume(lane: LaneScores, spans: Spans) -> float | None:
    scored = ~np.isnan(lane.score)
    is_anomaly = label_rows(lane.time_us[scored], list(spans)) if spans else np.zeros(0, np.bool_)
    return vus_pr(lane.score[scored], is_anomaly) if is_anomaly.any() else None


def _nab(lanes: Sequence[LaneScores], labels: Mapping[str, Spans]) -> dict[str, float] | None:
    files = [
        NabFile(
            f"{lane.key}/{lane.field}",
            lane.time_us,
            np.minimum(lane.alert_score / LARGEST_SCORE, 1.0),
            list(labels.get(lane.key, ())),
        )
        for lane in lanes
    ]
    try:
        scores = score_corpus(files)
    except ValueError:
        return None  # no labelled window has a row behind NAB's probation
    return {profile: round(result.score, 4) for profile, result in scores.items()}
