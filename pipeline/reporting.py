"""The anomalies of a micro-batch: what its points did to episodes, and the silences that it ended or showed."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from detectors.kernel import Verdicts
from detectors.thresholds import Rates
from pipeline.contributions import contributions, values_together
from pipeline.episodes import (
    CONTEXT,
    EVENTS,
    LEVEL_SHIFT_EVENT,
    OPENED_EVENT,
    Origin,
    anomaly_id,
    grade,
    iso_times,
    silence_anomaly,
    strongest_streams,
)
from pipeline.explanations import explain_end, explain_joint_point, explain_joint_shift, explain_point, explain_shift
from pipeline.joint import Scored
from pipeline.records import Anomaly, Batch, Evidence, Severity
from pipeline.silence import SilenceEvents

_SEVERITIES = [severity.name.lower() for severity in Severity]


class Reporter:
    """Describes what happened in a partition.

    Args:
        origin: named in every anomaly.
        fields: names of the fields of a record.
        lanes: names of the lanes of a key: the fields first.
        streams: names of the derived streams.
        rates: how often a fault-free lane would open an episode with such a score as at each event.
        joint_rates: the same of joint lanes.
    """

    def __init__(
        self,
        origin: Origin,
        fields: tuple[str, ...],
        lanes: tuple[str, ...],
        streams: Sequence[str],
        rates: Callable[[Verdicts], Rates],
        joint_rates: Callable[[Verdicts], Rates],
    ) -> None:
        self._origin = origin
        self._fields = fields
        self._lanes = lanes
        self._streams = streams
        self._rates, self._joint_rates = rates, joint_rates

    def report(
        self,
        batch: Batch,
        scored: Scored,
        severity: NDArray[np.int8],
        silences: SilenceEvents,
        keys: Sequence[str],
    ) -> list[Anomaly]:
        """Anomalies in order of the records that caused them.

        Args:
            scored, severity: of the batch.
            keys: name of the key of each slot.
        """
        records = scored.steps.record[scored.verdicts.event_point].tolist() + silences.record.tolist()
        reports = self._episodes(scored, severity, keys) + self._silences(batch, silences, keys)
        order = sorted(range(len(reports)), key=records.__getitem__)
        return [reports[at] for at in order]

    def _episodes(self, scored: Scored, severity: NDArray[np.int8], keys: Sequence[str]) -> list[Anomaly]:
        steps, verdicts = scored.steps, scored.verdicts
        points = verdicts.event_point
        if not len(points):
            return []
        threshold, event = verdicts.threshold[points], verdicts.event[points]
        peaks = grade(verdicts.event_peak, threshold, np.ones(len(points), np.bool_))
        slot, field = np.divmod(steps.lane[points], len(self._lanes))
        rows = zip(
            event.tolist(),
            slot.tolist(),
            field.tolist(),
            steps.position[points].tolist(),
            verdicts.episode[points].tolist(),
            iso_times(steps.time_us[points]),
            iso_times(verdicts.event_opened_us),
            steps.value[points].tolist(),
            _or_none(verdicts.expected[points]),
            _or_none(verdicts.lower[points]),
            _or_none(verdicts.upper[points]),
            verdicts.score[points].tolist(),
            threshold.tolist(),
            _or_none(verdicts.segment[points]),
            severity[points].tolist(),
            peaks.tolist(),
            verdicts.event_peak.tolist(),
            verdicts.event_points.tolist(),
            *self._once_in(verdicts, field >= len(self._fields)),
            (steps.time_us[points] - verdicts.event_opened_us).tolist(),
            verdicts.event_levels.tolist(),
            contributions(scored, self._fields, len(self._lanes)),
            values_together(scored, self._fields, len(self._lanes)),
            strongest_streams(self._streams, verdicts.event_novelty, verdicts.event_evidence),
            _contexts(verdicts.event_window[:, -CONTEXT:]),
            strict=True,
        )
        return [self._describe(keys, *row) for row in rows]

    def _once_in(self, verdicts: Verdicts, of_joint: NDArray[np.bool_]) -> tuple[list[int | None], list[bool]]:
        """Of each event, the points in which a fault-free lane gives such a score once, and whether it may be more."""
        of_lanes, of_joint_lanes = self._rates(verdicts), self._joint_rates(verdicts)
        is_most = np.where(of_joint, of_joint_lanes.is_most, of_lanes.is_most)
        points = 1 / np.where(of_joint, of_joint_lanes.per_point, of_lanes.per_point)
        unit = 10.0 ** np.maximum(np.floor(np.log10(points)) - 1, 0)
        told = _or_none(np.rint(points / unit) * unit)
        return [None if once is None else int(once) for once in told], is_most.tolist()

    def _describe(
        self,
        keys: Sequence[str],
        event: int,
        slot: int,
        field: int,
        position: int,
        episode: int,
        time: str,
        opened_at: str,
        observed: float,
        expected: float | None,
        lower: float | None,
        upper: float | None,
        score: float,
        threshold: float,
        segment_score: float | None,
        severity: int,
        peak_severity: int,
        peak_score: float,
        points: int,
        once_in: int | None,
        at_most: bool,  # noqa: FBT001
        lasted_us: int,
        levels: list[float],
        shares: dict[str, float],
        together: dict[str, float] | None,
        streams: list[Evidence],
        context: list[float],
    ) -> Anomaly:
        key, name, what, origin = keys[slot], self._lanes[field], EVENTS[event], self._origin
        offset, index = origin.place(position)
        if event == LEVEL_SHIFT_EVENT:
            explain = explain_shift if together is None else explain_joint_shift
            reason = explain(levels[0], levels[1], points, lasted_us)
        elif what == "closed":
            reason = explain_end(points, lasted_us)
        elif together is not None:
            reason = explain_joint_point(shares, together, streams, once_in, at_most=at_most)
        else:
            reason = explain_point(observed, expected, streams, once_in, at_most=at_most)
        opening = anomaly_id(origin, episode, key, name, "opened")
        return Anomaly(
            id=opening if event == OPENED_EVENT else anomaly_id(origin, position, key, name, what),
            event=what,
            episode=opening,
            kind="level_shift" if event == LEVEL_SHIFT_EVENT else "point",
            key=key,
            field=name,
            time=time,
            observed=observed,
            expected=expected,
            lower=lower,
            upper=upper,
            score=score,
            threshold=threshold,
            segment_score=segment_score,
            severity=_SEVERITIES[peak_severity if what == "closed" else severity],
            peak_score=peak_score,
            once_in=once_in,
            points=points,
            opened_at=opened_at,
            reason=reason,
            contributions=shares,
            streams=streams,
            context=context,
            bundle=origin.bundle,
            source=origin.source,
            partition=origin.partition,
            position=offset,
            index=index,
        )

    def _silences(self, batch: Batch, silences: SilenceEvents, keys: Sequence[str]) -> list[Anomaly]:
        reports = []
        for lane, record, since_us, began, pace_us in zip(
            silences.lane.tolist(), silences.record.tolist(), silences.since_us.tolist(), silences.began.tolist(),
            silences.pace_us.tolist(), strict=True,
        ):  # fmt: skip
            slot, at = divmod(lane, len(self._lanes))
            report = silence_anomaly(
                self._origin,
                key=keys[slot],
                field=self._lanes[at],
                time_us=int(batch.time_us[record]),
                position=int(batch.position[record]),
                since_us=since_us,
                pace_us=pace_us,
                began=began,
            )
            reports.append(report)
        return reports


def _or_none(column: NDArray[np.float64] | NDArray[np.float32]) -> list[float | None]:
    """The values, None for those that JSON has no number for."""
    values: list[float | None] = column.tolist()
    if np.isfinite(column).all():
        return values
    return [value if finite else None for value, finite in zip(values, np.isfinite(column).tolist(), strict=True)]


def _contexts(windows: NDArray[np.float64]) -> list[list[float]]:
    """The values of each window (m, window) that there are."""
    if not np.isnan(windows).any():
        return cast("list[list[float]]", windows.tolist())
    return [window[~np.isnan(window)].tolist() for window in windows]
