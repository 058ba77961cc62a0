"""Labelled streams in files: the Numenta Anomaly Benchmark's layout, and folders of tables and arrays."""

from pipeline.adapters.files.labelled.folder import LabelledFolder, open_folder
from pipeline.adapters.files.labelled.layout import LabelledColumns
from pipeline.adapters.files.labelled.nab import NabCorpus, NabStreamFile, open_nab, write_nab_scores
from pipeline.adapters.files.labelled.scores import write_scores

__all__ = [
    "LabelledColumns",
    "LabelledFolder",
    "NabCorpus",
    "NabStreamFile",
    "open_folder",
    "open_nab",
    "write_nab_scores",
    "write_scores",
]
