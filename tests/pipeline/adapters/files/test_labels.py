import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.files import MatchedLabels, match_labels, read_labels
from tests.pipeline.adapters.files.tables import FORMATS, refusal, write

NOON_US = 1_391_774_400_000_000  # 2014-02-07 12:00:00 UTC
HOUR_US = 3_600_000_000


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named relative to an empty folder, as in a shell."""
    monkeypatch.chdir(tmp_path)


def test_nab() -> None:
    """The benchmark's layout gives the spans of each file, under its name without extension, sorted."""
    windows = {
        "g/a.csv": [
            ["2014-02-07 14:00:00.000000", "2014-02-07 15:00:00.000000"],
            ["2014-02-07 12:00:00.000000", "2014-02-07 13:00:00.000000"],
        ],
        "g/normal.csv": [],
        "host.1": [["2014-02-07T12:00:00Z", "2014-02-07T12:00:00Z"]],
    }
    Path("l.json").write_text(json.dumps(windows))
    assert read_labels("l.json") == {
        "g/a": [(NOON_US, NOON_US + HOUR_US), (NOON_US + 2 * HOUR_US, NOON_US + 3 * HOUR_US)],
        "g/normal": [],
        "host.1": [(NOON_US, NOON_US)],
    }


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != ".json"])
@pytest.mark.parametrize(
    ("noon", "one"), [("2014-02-07 12:00:00", "2014-02-07 13:00:00"), (NOON_US // 10**6, NOON_US // 10**6 + 3600)]
)
def test_table(suffix: str, noon: Any, one: Any) -> None:
    """A table gives the spans of each key, sorted; other columns do not matter."""
    rows = [
        {"key": "b", "kind": "spike", "start": one, "end": one},
        {"key": "g/a", "kind": "drift", "start": noon, "end": one},
        {"key": "b", "kind": "spike", "start": noon, "end": noon},
    ]
    labels = read_labels(write(Path(f"l{suffix}"), rows))
    assert labels == {
        "b": [(NOON_US, NOON_US), (NOON_US + HOUR_US, NOON_US + HOUR_US)],
        "g/a": [(NOON_US, NOON_US + HOUR_US)],
    }


NAB_EXPECTED = 'expected an object such as {"group/file.csv": [["2014-02-07 14:55:00", "2014-02-09 14:05:00"]]}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "l.json",
            "[1]",
            f"l.json: found another layout (Expected `object`, got `array`); {NAB_EXPECTED}",
        ),
        (
            "l.json",
            '{"a": [["2014-02-07"]]}',
            "l.json: found another layout (Expected `array` of length 2 - at `$[...][0]`); " + NAB_EXPECTED,
        ),
        (
            "l.json",
            "{",
            f"l.json: found another layout (Input data was truncated); {NAB_EXPECTED}",
        ),
        (
            "l.json",
            '{"a.csv": [["2014-02-07", "soon"]]}',
            "l.json: found 'soon' for 'a.csv'; expected a time such as 2014-02-07 14:55:00 or 2014-02-07T14:55:00.5Z",
        ),
        (
            "l.json",
            '{"a.csv": [["2014-02-07", "2014-02-08"], ["2014-02-08", "2014-02-07"]]}',
            "l.json: found for 'a.csv' the end 2014-02-07 before the start 2014-02-08; expected start, then end",
        ),
        (
            "l.csv",
            "key,begin,end\na,2014-02-07,2014-02-08\n",
            "l.csv: found no column 'start' among 'key', 'begin', 'end'; expected that column",
        ),
        (
            "l.csv",
            "key,start,end\na,2014-02-07,2014-02-08\n,2014-02-07,2014-02-08\n",
            "l.csv, row 2, column 'key': found no key; expected that of a stream",
        ),
        (
            "l.csv",
            "key,start,end\na,2014-02-07,2014-02-08\na,2014-02-07,\n",
            (
                "l.csv, row 2, column 'end': found ''; "
                "expected a time such as 2014-02-07 14:55:00 or 2014-02-07T14:55:00.5Z"
            ),
        ),
        (
            "l.csv",
            "key,start,end\na,2014-02-07,2014-02-08\na,2014-02-08,2014-02-07\n",
            "l.csv, row 2: found an end before its start; expected start, then end",
        ),
        (
            "labels.csv",
            None,
            "labels.csv: found no 'labels.csv' in '.'; expected a file, a folder or a glob; did you mean 'label.csv'?",
        ),
        ("d", None, "d: found 2 files; expected one file of labels"),
    ],
)
def test_refused(name: str, content: str | None, message: str) -> None:
    """A file of labels that cannot be used is refused with what is wrong and where."""
    for other in ("label.csv", "d/a.csv", "d/b.csv"):
        Path(other).parent.mkdir(exist_ok=True)
        Path(other).touch()
    if content is not None:
        Path(name).write_text(content)
    assert refusal(lambda: read_labels(name)) == message


A, B, C = [(1, 2)], [(3, 4)], [(5, 6)]


@pytest.mark.parametrize(
    ("labels", "streams", "matched"),
    [
        ({"g/a": A, "g/b": B}, ["g/a", "g/b"], MatchedLabels({"g/a": A, "g/b": B}, ())),
        ({"g/a": A, "g/b": B}, ["a"], MatchedLabels({"a": A}, ("g/b",))),
        ({"g/a": A}, ["data/g/a", "data/g/c"], MatchedLabels({"data/g/a": A}, ())),
        ({"a": A}, ["g/a"], MatchedLabels({"g/a": A}, ())),
        ({"g/a": A, "h/a": B}, ["a"], MatchedLabels({}, ("g/a", "h/a"))),
        ({"g/a": A, "h/a": B}, ["a", "g/a"], MatchedLabels({"g/a": A}, ("h/a",))),
        ({"g/a": A}, ["x/a", "y/a"], MatchedLabels({}, ("g/a",))),
        ({"a": A, "b": B, "c": C}, ["c", "d", "a"], MatchedLabels({"c": C, "a": A}, ("b",))),
        ({"a": []}, ["a", "b"], MatchedLabels({"a": []}, ())),
        ({}, ["a"], MatchedLabels({}, ())),
    ],
)
def test_match(labels: dict[str, list[tuple[int, int]]], streams: list[str], matched: MatchedLabels) -> None:
    """The very key comes first, then the same last name if it means one label and one stream; others are reported."""
    assert match_labels(labels, streams) == matched
