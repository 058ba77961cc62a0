"""Two runs compared, as plain values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.adapters.report.diff import compare, open_run, refuse_different_sources
from pipeline.errors import InputError
from tests.pipeline.adapters.report.samples import Fault, SampleLane, write_replay

_CALM = [SampleLane(f"pump-{number}", points=600) for number in range(4)]
_WILD = [*_CALM[:3], SampleLane("pump-3", points=600, faults=[Fault(300, 305, 14)])]


def _told(a: Path, b: Path, **how: Any) -> dict[str, Any]:
    return compare(open_run(a), open_run(b), **how).told


def test_a_run_is_equal_to_itself(tmp_path: Path) -> None:
    """Whatever it took, and wherever it lies."""
    a = write_replay(tmp_path / "a", _WILD, {"run_time_s": 3.0, "driftline": "1"})
    b = write_replay(tmp_path / "b", _WILD, {"run_time_s": 9.0, "driftline": "2"})
    told = _told(a, b)
    assert told["equal"]
    assert told["settings"].pop("run") == [
        {"entry": "driftline", "a": "1", "b": "2"}, {"entry": "run_time_s", "a": 3.0, "b": 9.0},
    ]  # fmt: skip
    assert not any(told["settings"].values())
    assert told["verdicts"]["identical"] == told["verdicts"]["both"] == 2400
    assert told["alarms"]["told"] == []


def test_another_fault_is_told_where_it_is(tmp_path: Path) -> None:
    """The alarm that one run has alone, the stream first, the scores of the fault as the largest differences."""
    a, b = write_replay(tmp_path / "a", _CALM), write_replay(tmp_path / "b", _WILD)
    told = _told(a, b)
    assert not told["equal"]
    assert (told["alarms"]["both"], told["alarms"]["only_a"], told["alarms"]["only_b"]) == (0, 0, 1)
    (alarm,) = told["alarms"]["told"]
    assert (alarm["in"], alarm["key"], alarm["severity"]) == ("b", "pump-3", [None, "high"])
    assert told["lanes"][0]["key"] == "pump-3"
    assert told["lanes"][0]["flagged"] == [0, 6]
    assert told["verdicts"]["flagged"] == {"both": 0, "only_a": 0, "only_b": 6}
    largest = told["verdicts"]["scores"]["largest"]
    assert {one["key"] for one in largest[:5]} == {"pump-3"}
    assert abs(largest[0]["a"] - largest[0]["b"]) >= abs(largest[1]["a"] - largest[1]["b"]) > 1


def _spoil(run: Path, column: str, row: int, value: Any) -> None:
    table = pq.read_table(run / "verdicts.parquet")
    values = table[column].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(column)
    pq.write_table(
        table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type)),
        run / "verdicts.parquet",
    )


@pytest.mark.parametrize("column", ["value", "expected", "lower", "upper", "score", "threshold"])
def test_one_bit_of_one_point_is_a_difference(tmp_path: Path, column: str) -> None:
    """Of whatever is said of it."""
    a, b = (write_replay(tmp_path / name, _CALM) for name in "ab")
    _spoil(b, column, 2000, 1.25)
    told = _told(a, b)
    assert not told["equal"]
    assert told["verdicts"]["both"] - told["verdicts"]["identical"] == 1


def test_the_run_whose_forecast_was_closer_is_told(tmp_path: Path) -> None:
    """By the number of points; where both forecast the same, neither was."""
    a, b = (write_replay(tmp_path / name, _CALM) for name in "ab")
    _spoil(b, "expected", 2000, 1e6)
    assert _told(a, b)["verdicts"]["forecasts"]["closer"] == {"a": 1, "b": 0, "neither": 4 * 560 - 1}


def test_measures_are_those_of_the_points(tmp_path: Path) -> None:
    """Correlation, means and shares agree with what plain numpy says of the whole columns."""
    a, b = write_replay(tmp_path / "a", _CALM), write_replay(tmp_path / "b", _WILD)
    told = _told(a, b)["verdicts"]
    columns = [pq.read_table(one / "verdicts.parquet").to_pydict() for one in (a, b)]
    scores = [np.array(one["score"], float) for one in columns]
    known = np.isfinite(scores[0]) & np.isfinite(scores[1])
    ours, theirs = (one[known] for one in scores)
    assert told["scores"]["both"] == known.sum()
    assert told["scores"]["correlation"] == pytest.approx(np.corrcoef(ours, theirs)[0, 1])
    assert told["scores"]["mean_absolute_difference"] == pytest.approx(np.abs(ours - theirs).mean())
    assert told["scores"]["mean_difference"] == pytest.approx((theirs - ours).mean())
    for share, ends in told["scores"]["quantiles"].items():
        for side, end in zip((ours, theirs), ends, strict=True):
            assert end is None or abs(end - np.quantile(side, float(share), method="inverted_cdf")) <= 0.0201
    inside = [
        np.mean(
            [
                low <= value <= high
                for value, low, high in zip(one["value"], one["lower"], one["upper"], strict=True)
                if low is not None
            ]
        )
        for one in columns
    ]
    assert told["forecasts"]["in_band"] == pytest.approx(inside)


def test_settings_are_told_by_group(tmp_path: Path) -> None:
    """What the summaries say differently, the bundle and entries within entries included."""
    a = write_replay(tmp_path / "a", _CALM, {"bundle": "1", "risk": 0.7, "events": {"opened": 3}})
    b = write_replay(tmp_path / "b", _CALM, {"bundle": "2", "risk": None, "risk_per_day": 0.1, "events": {"opened": 4}})
    told = _told(a, b)["settings"]
    assert told["bundle"] == [{"entry": "bundle", "a": "1", "b": "2"}]
    assert {one["entry"]: (one["a"], one["b"]) for one in told["configuration"]} == {
        "risk": (0.7, None), "risk_per_day": (None, 0.1),
    }  # fmt: skip
    assert {"entry": "events.opened", "a": 3, "b": 4} in told["counts"]


def test_alarms_are_paired_within_usual_steps_or_the_time_given(tmp_path: Path) -> None:
    """By default ten steps of five minutes; a tolerance says otherwise."""
    a, b = (
        write_replay(tmp_path / name, [SampleLane("pump", points=600, faults=[Fault(first, first + 3)])])
        for name, first in (("a", 300), ("b", 308))
    )
    assert _told(a, b)["alarms"]["both"] == 1
    assert _told(a, b, tolerance_ms=40 * 60_000)["alarms"]["both"] == 1
    assert _told(a, b, tolerance_ms=39 * 60_000)["alarms"]["both"] == 0


def test_it_tells_how_far_it_has_come(tmp_path: Path) -> None:
    """Every point of both runs is walked over three times, and told so."""
    a, b = write_replay(tmp_path / "a", _CALM), write_replay(tmp_path / "b", _CALM)
    moved: list[int] = []
    compare(open_run(a), open_run(b), moved=moved.append)
    assert sum(moved) == 3 * 2 * 2400


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"source": "other.csv", "fields": ["value"]}, False),
        ({"source": "other.csv", "fields": ["level"]}, True),
        ({"source": "other.csv", "first_time": "2020-01-01"}, True),
        ({"fields": ["level"]}, False),
    ],
)
def test_other_sources_are_refused(tmp_path: Path, change: dict[str, Any], refused: bool) -> None:
    """A source is another by its name and what was in it; one that was moved is the same."""
    a = open_run(write_replay(tmp_path / "a", _CALM, {"fields": ["value"]}))
    b = open_run(write_replay(tmp_path / "b", _CALM, {"fields": ["value"], **change}))
    if not refused:
        refuse_different_sources(a, b)
        return
    with pytest.raises(InputError, match=r"found a run of other\.csv .* expected one of plant\.csv .* say --force"):
        refuse_different_sources(a, b)


@pytest.mark.parametrize(
    ("prepare", "found"),
    [
        (lambda run: (run / "summary.json").unlink(), r"a folder without summary\.json"),
        (lambda run: ((run / ".replay").mkdir(), (run / "verdicts.parquet").unlink()), "of a replay that is not over"),
        (lambda run: (run / "summary.json").write_text("{"), "found Input data was truncated"),
        (lambda run: (run / "summary.json").write_text("[]"), "expected the summary of a replay"),
    ],
)
def test_what_is_no_run_is_told(tmp_path: Path, prepare: Any, found: str) -> None:
    """A folder that is not finished, or holds something else."""
    run = write_replay(tmp_path / "a", _CALM)
    prepare(run)
    with pytest.raises(InputError, match=found):
        open_run(run)


def test_told_is_json(tmp_path: Path) -> None:
    """Without numbers that JSON does not have."""
    a, b = write_replay(tmp_path / "a", _CALM), write_replay(tmp_path / "b", _WILD)
    json.dumps(_told(a, b), allow_nan=False)
