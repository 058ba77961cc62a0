"""The reader for each format."""

from pipeline.adapters.files.blocks import Reader
from pipeline.adapters.files.csv_file import CsvReader
from pipeline.adapters.files.discover import FoundFile
from pipeline.adapters.files.json_file import JsonReader
from pipeline.adapters.files.parquet_file import ParquetReader


def reader_for(file: FoundFile) -> Reader:
    """A reader of `file`; nothing is opened yet."""
    match file.format:
        case ".parquet":
            return ParquetReader(file.path)
        case ".csv":
            return CsvReader(file.path, ",")
        case ".tsv":
            return CsvReader(file.path, "\t")
        case _:
            return JsonReader(file.path)
