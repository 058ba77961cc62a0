"""How good verdicts are, given labels: of a run that is over, and of labelled streams that are scored for it."""

from pipeline.evaluation.runs import LaneScores, evaluate_run, merge_spans, read_lanes

__all__ = ["LaneScores", "evaluate_run", "merge_spans", "read_lanes"]
