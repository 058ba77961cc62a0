"""Files as sources of records: CSV, TSV, Parquet and JSON lines, alone, in folders or by glob; and files of labels."""

from pipeline.adapters.files.labels import MatchedLabels, match_labels, read_labels
from pipeline.adapters.files.mapping import ColumnMapping, ResolvedMapping, TimeUnit
from pipeline.adapters.files.source import FilePartition, FileSource, open_source

__all__ = [
    "ColumnMapping",
    "FilePartition",
    "FileSource",
    "MatchedLabels",
    "ResolvedMapping",
    "TimeUnit",
    "match_labels",
    "open_source",
    "read_labels",
]
