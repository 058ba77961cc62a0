"""Two runs of a replay side by side: what differs in settings, counts, alarms and scores, as values and as a page."""

from pipeline.adapters.report.diff.comparing import Comparison, compare
from pipeline.adapters.report.diff.page import write_diff
from pipeline.adapters.report.diff.runs import Run, open_run, refuse_different_sources

__all__ = ["Comparison", "Run", "compare", "open_run", "refuse_different_sources", "write_diff"]
