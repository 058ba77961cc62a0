"""Anomalies as they are reported: built from the few points that did something to an episode, and from silences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.explanations import explain_silence, horizon_of
from pipeline.records import Anomaly, Evidence, Severity

SEVERITY_STEPS = (0.4, 0.8, 1.6)
"""Score above the threshold from which a flagged point is medium, high and critical. 0.4 is about a tenfold rarity."""
CONTEXT = 64
STREAMS_TOLD = 5
VALUE_DIGITS = 9
"""Of the value of a stream: enough for a level of a billion, and short."""
EVENTS = {1: "opened", 2: "worsened", 3: "closed", 4: "closed"}
OPENED_EVENT, LEVEL_SHIFT_EVENT = 1, 4


@dataclass(frozen=True, slots=True)
class Origin:
    """Where anomalies come from: the source, its partition and the bundle that scored it.

    Attributes:
        points_per_message: positions are offset * points_per_message + index of the point within the message.
    """

    source: str
    partition: str
    bundle: str
    points_per_message: int = 1

    def place(self, position: int) -> tuple[int, int]:
        """(offset, index) of a position; those of empty windows, negative ones, are left as they are."""
        return divmod(position, self.points_per_message) if position >= 0 else (position, 0)


def grade(score: NDArray[np.float32], threshold: NDArray[np.float32], flagged: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Severity of each point (n,): NONE where not flagged, else by how far the score exceeds the threshold."""
    margin = np.nan_to_num(score - threshold)
    grades = Severity.LOW + np.searchsorted(SEVERITY_STEPS, margin, side="right")
    return np.where(flagged, grades, Severity.NONE).astype(np.int8)


def iso_time(time_us: int) -> str:
    """ISO 8601 in UTC, with microseconds only where there are any."""
    return iso_times(np.array([time_us]))[0]


def iso_times(times_us: NDArray[np.int64]) -> list[str]:
    """As `iso_time`, of each."""
    return [f"{text.removesuffix('.000000')}Z" for text in np.datetime_as_string(times_us.astype("M8[us]")).tolist()]


def anomaly_id(origin: Origin, position: int, key: str, field: str, what: str) -> str:
    """Deterministic id of an event: the same input gives the same id, whoever processes it and however often."""
    offset, index = origin.place(position)
    place = f"{offset}.{index}" if origin.points_per_message > 1 else f"{offset}"
    return f"{origin.source}/{origin.partition}/{place}/{key}/{field}/{what}"


def share_evidence(scores: NDArray[np.float32], fields: Sequence[str]) -> dict[str, float]:
    """Each field's share in the evidence of a record: its score to the eighth power, as scores combine; sums to 1."""
    if len(fields) == 1:
        return {fields[0]: 1.0}
    evidence = np.nan_to_num(scores.astype(float)) ** 8
    total = evidence.sum()
    shares = evidence / total if total > 0 else np.full(len(fields), 1 / len(fields))
    return name_shares(shares, fields)


def name_shares(shares: NDArray[Any], fields: Sequence[str]) -> dict[str, float]:
    """Share by field, rounded."""
    return {name: round(float(share), 4) for name, share in zip(fields, shares, strict=True)}


def strongest_streams(
    names: Sequence[str], novelty: NDArray[np.float32], evidence: NDArray[np.void]
) -> list[list[Evidence]]:
    """The derived streams that spoke at each of m events, most novel first.

    Args:
        novelty: (m, streams)
        evidence: (m, streams), see `detectors.evidence`.
    """
    events, told = len(novelty), min(STREAMS_TOLD, len(names))
    order = np.argsort(-novelty, axis=1, kind="stable")[:, :told]
    highest = np.take_along_axis(novelty, order, axis=1)
    found = np.take_along_axis(evidence, order, axis=1)
    row, column = np.nonzero(highest > 0)
    which, chosen = order[row, column], found[row, column]
    horizons = [horizon_of(name) for name in names]
    told_in_order = [
        Evidence(names[i], novel, horizons[i], "above" if above else "below", value, seen, among, exact)
        for i, novel, above, value, seen, among, exact in zip(
            which.tolist(),
            np.round(highest[row, column].astype(np.float64), 3).tolist(),
            chosen["above"].tolist(),
            round_digits(chosen["value"], VALUE_DIGITS).tolist(),
            chosen["seen"].tolist(),
            chosen["among"].tolist(),
            chosen["exact"].tolist(),
            strict=True,
        )
    ]
    ends = np.cumsum(np.bincount(row, minlength=events)).tolist()
    return [told_in_order[start:end] for start, end in pairwise([0, *ends])]


def round_digits(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """Values to so many significant digits."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exponent = np.clip(digits - 1 - np.floor(np.log10(np.abs(values))), -300, 300)
        power = 10.0 ** np.abs(exponent)
        # a division by a whole power of ten gives the nearest number, whose decimals are the shortest
        rounded = np.where(exponent >= 0, np.rint(values * power) / power, np.rint(values / power) * power)
    return np.where(np.isfinite(rounded) & (values != 0), rounded, values)


def finite_or_none(value: float) -> float | None:
    """The value for JSON, which has no NaN."""
    return value if math.isfinite(value) else None


def silence_anomaly(
    origin: Origin, *, key: str, field: str, time_us: int, position: int, since_us: int, pace_us: int, began: bool
) -> Anomaly:
    """The report of a stream that fell silent at `since_us` and is noticed, or heard again, at `time_us`."""
    episode = f"{origin.source}/{origin.partition}/{since_us}/{key}/{field}/silence"
    offset, index = origin.place(position)
    return Anomaly(
        id=f"{episode}/{'opened' if began else 'closed'}",
        event="opened" if began else "closed",
        episode=episode,
        kind="silence",
        key=key,
        field=field,
        time=iso_time(time_us),
        observed=None,
        expected=None,
        lower=None,
        upper=None,
        score=None,
        threshold=None,
        severity=Severity.HIGH.name.lower(),
        peak_score=None,
        points=0,
        opened_at=iso_time(since_us),
        reason=explain_silence(time_us - since_us, pace_us, began=began),
        contributions={field: 1.0},
        streams=[],
        context=[],
        bundle=origin.bundle,
        source=origin.source,
        partition=origin.partition,
        position=offset,
        index=index,
    )
