"""The report of a replay: one HTML file that opens offline, with a plot per lane, the worst lanes first."""

from pipeline.adapters.report.writer import write_report

__all__ = ["write_report"]
