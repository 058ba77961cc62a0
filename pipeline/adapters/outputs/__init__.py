"""The outputs of a replay and the checkpoints it can be resumed from."""

from pipeline.adapters.outputs.directory import ANOMALIES, VERDICTS, Existing
from pipeline.adapters.outputs.writer import ReplayOutputs

__all__ = ["ANOMALIES", "VERDICTS", "Existing", "ReplayOutputs"]
