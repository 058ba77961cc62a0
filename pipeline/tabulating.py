"""The verdicts of a micro-batch as a table: a row for every step, and one for every point that gives none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.joint import Scored
from pipeline.records import Batch, Disposition, Phase, VerdictTable
from pipeline.windows import Points, Steps


class Tabulator:
    """Makes the tables of a partition.

    Args:
        fields: of a record.
        lanes: rows of a key.
        lane_names: of the lanes of a key that are scored: the fields first.
        warm_up: points of a lane before it may be flagged.
        provisional_points: points of a lane until which its verdicts are provisional.
        own_keys: whether every step is of a key in the batch that released it.
    """

    def __init__(
        self,
        fields: int,
        lanes: int,
        lane_names: tuple[str, ...],
        *,
        warm_up: int,
        provisional_points: int,
        own_keys: bool,
    ) -> None:
        self._fields = fields
        self._lanes = lanes
        self._lane_names = lane_names
        self._warm_up = warm_up
        self._provisional_points = provisional_points
        self._own_keys = own_keys

    def tabulate(
        self,
        batch: Batch,
        points: Points,
        scored: Scored,
        severity: NDArray[np.int8],
        disposition: NDArray[np.int8],
        keys: Sequence[str],
    ) -> VerdictTable:
        """All rows, in the order of their records.

        Args:
            batch, points: as consumed.
            scored, severity: of the steps that they released.
            disposition: of each point.
            keys: name of the key of each slot.
        """
        steps, verdicts = scored.steps, scored.verdicts
        warming = verdicts.points < self._warm_up
        phase = np.where(verdicts.points < self._provisional_points, Phase.PROVISIONAL, Phase.LIVE)
        phase[verdicts.gap] = Phase.STALE
        phase[warming] = Phase.WARMING
        names, key = self._keys_of(batch, steps, keys)
        table = VerdictTable(
            key_names=names,
            field_names=self._lane_names,
            key=key,
            field=(steps.lane % self._lanes).astype(np.int8),
            time_us=steps.time_us,
            position=steps.position,
            value=steps.value,
            expected=verdicts.expected,
            lower=verdicts.lower,
            upper=verdicts.upper,
            score=verdicts.score,
            threshold=np.where(warming, np.float32(np.nan), verdicts.threshold),
            surprise=verdicts.surprise,
            segment_score=verdicts.segment,
            log_scale=verdicts.log_scale,
            freedom=verdicts.freedom,
            is_anomaly=verdicts.flagged,
            severity=severity,
            phase=phase.astype(np.int8),
            disposition=np.where(warming, Disposition.WARMING, Disposition.SCORED).astype(np.int8),
            episode=verdicts.episode,
            released_by=batch.position[steps.record],
        )
        others = np.flatnonzero(disposition > Disposition.WARMING)
        if not len(others):
            return table
        return _merge(table, steps.record, self._unscored(batch, points, others, disposition), points.record[others])

    def _keys_of(self, batch: Batch, steps: Steps, keys: Sequence[str]) -> tuple[list[str], NDArray[np.int32]]:
        """(key names, code of each step's key): the batch's own, unless a step can be of a key that is not in it."""
        if self._own_keys:
            return batch.key_names, batch.key_codes[steps.record]
        slots, codes = np.unique(steps.lane // self._lanes, return_inverse=True)
        names = list(batch.key_names)
        start = len(names)
        return [*names, *(keys[slot] for slot in slots)], (codes + start).astype(np.int32)

    def _unscored(
        self, batch: Batch, points: Points, which: NDArray[np.int64], disposition: NDArray[np.int8]
    ) -> VerdictTable:
        """Rows of the points that give no step."""
        count = len(which)
        nothing = np.full(count, np.nan)
        record = points.record[which]
        return VerdictTable(
            key_names=batch.key_names,
            field_names=self._lane_names,
            key=batch.key_codes[record],
            field=(which % self._fields).astype(np.int8),
            time_us=points.time_us[which],
            position=points.position[which],
            value=points.value[which],
            expected=nothing,
            lower=nothing,
            upper=nothing,
            score=nothing.astype(np.float32),
            threshold=nothing.astype(np.float32),
            surprise=nothing.astype(np.float32),
            segment_score=nothing.astype(np.float32),
            log_scale=nothing.astype(np.float32),
            freedom=nothing.astype(np.float32),
            is_anomaly=np.zeros(count, np.bool_),
            severity=np.zeros(count, np.int8),
            phase=np.full(count, -1, np.int8),
            disposition=disposition[which],
            episode=np.full(count, -1, np.int64),
            released_by=batch.position[record],
        )


def _merge(
    steps: VerdictTable, step_record: NDArray[np.int64], others: VerdictTable, other_record: NDArray[np.int64]
) -> VerdictTable:
    """Both tables' rows in the order of their records; a record's steps come first."""
    order = np.argsort(np.concatenate([step_record, other_record]), kind="stable")
    columns = {
        name: np.concatenate([getattr(steps, name), getattr(others, name)])[order]
        for name in VerdictTable.__slots__
        if name not in {"key_names", "field_names"}
    }
    return VerdictTable(key_names=steps.key_names, field_names=steps.field_names, **columns)
