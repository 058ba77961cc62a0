"""Records, verdicts and anomalies: the plain data that flows through the pipeline.

A micro-batch is columnar from the first byte to the last: one array per property, one entry per record (or per point,
which is one field of one record). Nothing here touches the world.
"""

from pipeline.records.anomalies import Anomaly, Evidence, Suppression
from pipeline.records.batches import POINTS_PER_MESSAGE, Batch, Place, Position, Problem
from pipeline.records.checkpoints import Checkpoint, KeyedRows, RunIdentity
from pipeline.records.verdicts import JOINT, Disposition, Phase, Severity, VerdictTable

__all__ = [
    "JOINT",
    "POINTS_PER_MESSAGE",
    "Anomaly",
    "Batch",
    "Checkpoint",
    "Disposition",
    "Evidence",
    "KeyedRows",
    "Phase",
    "Place",
    "Position",
    "Problem",
    "RunIdentity",
    "Severity",
    "Suppression",
    "VerdictTable",
]
