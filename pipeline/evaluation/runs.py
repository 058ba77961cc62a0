"""How good the verdicts of a run were, given its outputs and labelled windows."""

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

from detectors.evaluation.detection import LaneAlerts, judge
from detectors.evaluation.nab import NabFile, score_corpus
from detectors.evaluation.ranking import label_rows
from pipeline.evaluation.measures import describe_detection, mean_ranking, rank
from pipeline.evaluation.nab import nab_scores
from pipeline.records import Anomaly

Spans = Sequence[tuple[int, int]]


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
    as a file of the benchmark, with the threshold that its rules choose. VUS-PR and AUC-PR are of the scores, points
    without one being lowest, and the mean over labelled lanes. A measure with no cases is None.

    Args:
        directory: holds `verdicts.parquet` and `anomalies.jsonl`.
        labels: labelled windows by key, both ends inclusive, in microseconds.
    """
    labels = {key: merge_spans(spans) for key, spans in labels.items()}
    lanes = read_lanes(directory)
    outcomes = [
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
    rankings = [rank(lane.score, label_rows(lane.time_us, list(labels.get(lane.key, ())))) for lane in lanes]
    return {**describe_detection(outcomes), **mean_ranking(rankings), "nab": _nab(lanes, labels)}


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
            if anomaly.event != "closed" and anomaly.suppressed is msgspec.UNSET:
                alerts[anomaly.key, anomaly.field].append(anomaly)
    return alerts


def _nab(lanes: Sequence[LaneScores], labels: Mapping[str, Spans]) -> dict[str, float] | None:
    files = [
        NabFile(
            f"{lane.key}/{lane.field}",
            lane.time_us,
            nab_scores(lane.alert_score),
            list(labels.get(lane.key, ())),
        )
        for lane in lanes
    ]
    try:
        scores = score_corpus(files)
    except ValueError:
        return None  # no labelled window has a row behind NAB's probation
    return {profile: round(result.score, 4) for profile, result in scores.items()}
