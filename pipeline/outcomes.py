"""What comes of a micro-batch, as one value or joined from parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.accounting import Counts
from pipeline.records import Anomaly, VerdictTable
from pipeline.residuals import Residuals, no_residuals


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one micro-batch.

    Attributes:
        verdicts: one or more tables, in order.
        anomalies: in order.
        counts: of this batch alone.
        dead_letters: (n,) positions of the records that could not be used.
        residuals: of the points of fields scored, those of warming lanes left out.
    """

    verdicts: tuple[VerdictTable, ...]
    anomalies: tuple[Anomaly, ...]
    counts: Counts
    dead_letters: NDArray[np.int64]
    residuals: Residuals


def join_outcomes(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of the parts of a micro-batch."""
    counts, residuals = Counts(), no_residuals()
    for outcome in outcomes:
        counts += outcome.counts
        residuals = residuals.plus(outcome.residuals)
    return Outcome(
        tuple(table for outcome in outcomes for table in outcome.verdicts),
        tuple(anomaly for outcome in outcomes for anomaly in outcome.anomalies),
        counts,
        np.concatenate([outcome.dead_letters for outcome in outcomes]),
        residuals,
    )
