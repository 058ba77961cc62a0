from collections.abc import Sequence
from pathlib import Path, PurePath

import pytest

from pipeline.adapters.files.discover import find_files, split_format
from tests.pipeline.adapters.files.tables import refusal


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources are named relative to an empty folder, as in a shell."""
    monkeypatch.chdir(tmp_path)


def touch(*paths: str) -> None:
    """Empty files of these names."""
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(source: str) -> tuple[list[str], int]:
    """Names of the files found, and the number of others."""
    files, ignored = find_files(source)
    return [file.name for file in files], ignored


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("a.csv", ("a", ".csv")),
        ("b/A.CSV.GZ", ("b/A", ".csv")),
        ("a.b.tsv", ("a.b", ".tsv")),
        ("a.jsonl.gz", ("a", ".jsonl")),
        ("a.ndjson", ("a", ".ndjson")),
        ("a.json", ("a", ".json")),
        ("a.parquet", ("a", ".parquet")),
        ("a.parquet.gz", None),
        ("a.gz", None),
        ("a.txt", None),
        ("csv", None),
        (".csv", None),
    ],
)
def test_split_format(path: str, split: tuple[str, str] | None) -> None:
    """The format is told from the extension in any case, gzip from a second one; the name is the rest."""
    assert split_format(PurePath(path)) == split


def test_one_file() -> None:
    """A file alone is named by its own name; the folder it is in plays no part."""
    touch("data/a.csv", "data/b.csv")
    assert names("data/a.csv") == (["a"], 0)


def test_folder() -> None:
    """All files below a folder are found, sorted by name; hidden ones and others are counted."""
    touch("d/b.csv", "d/a/z.parquet", "d/a/y.jsonl.gz", "d/README.md", "d/.c.csv", "d/.cache/e.csv", "d/a.csv")
    assert names("d") == (["a", "a/y", "a/z", "b"], 3)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("d/*.csv", (["a", "b"], 0)),
        ("d/*", (["a", "b"], 1)),
        ("d/x/[a]*.csv", (["ab"], 0)),
        ("d/**/*.csv", (["a", "b", "x/ab", "x/y/c"], 0)),
        ("d/*/*.csv", (["x/ab"], 0)),
        ("*/?.csv", (["d/a", "d/b"], 0)),
    ],
)
def test_glob(source: str, found: tuple[Sequence[str], int]) -> None:
    """A glob's names begin where its first pattern does."""
    touch("d/a.csv", "d/b.csv", "d/notes.txt", "d/x/ab.csv", "d/x/y/c.csv")
    assert names(source) == found


def test_name_with_magic() -> None:
    """A file whose name looks like a glob is taken for itself."""
    touch("a[1].csv", "a1.csv")
    assert names("a[1].csv") == (["a[1]"], 0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "d/nyc.csv",
            "d/nyc.csv: found no 'nyc.csv' in 'd'; expected a file, a folder or a glob; did you mean 'nyc_taxi.csv'?",
        ),
        ("e/nyc_taxi.csv", "e/nyc_taxi.csv: found no 'e' in '.'; expected a file, a folder or a glob"),
        (
            "d/README.md",
            (
                "d/README.md: found the extension '.md'; "
                "expected .csv, .tsv, .jsonl, .ndjson, .json, .parquet, or a text format and .gz"
            ),
        ),
        (
            "empty",
            (
                "empty: found no files; "
                "expected some of .csv, .tsv, .jsonl, .ndjson, .json, .parquet, or a text format and .gz"
            ),
        ),
        (
            "d/*.cvs",
            (
                "d/*.cvs: found no files; "
                "expected some of .csv, .tsv, .jsonl, .ndjson, .json, .parquet, or a text format and .gz"
            ),
        ),
        (
            "d/*.md",
            (
                "d/*.md: found only files of other extensions (1); "
                "expected .csv, .tsv, .jsonl, .ndjson, .json, .parquet, or a text format and .gz"
            ),
        ),
        ("two", "two: found two files for the key 'a', a.csv and a.parquet; expected one file per key"),
    ],
)
def test_refused(source: str, message: str) -> None:
    """What is not there, cannot be read or cannot be told apart is named."""
    touch("d/nyc_taxi.csv", "d/README.md", "two/a.csv", "two/a.parquet")
    Path("empty").mkdir()
    assert refusal(lambda: find_files(source)) == message
