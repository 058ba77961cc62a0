"""What is told of a trial."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipeline.accounting import Counts
from pipeline.gate.decision import Rule
from pipeline.gate.describing import LANES, Subject, describe
from pipeline.gate.extent import Extent
from pipeline.gate.tally import PROBABILITY_BINS, STRETCHES, Tally
from pipeline.gate.trial import Trial
from tests.pipeline.gate.test_decision import EACH, tally
from tests.pipeline.gate.test_decision import LANES as ALL

DOCS = Path(__file__).parents[3] / "docs" / "gate.md"


def told(made: Tally) -> dict[str, Any]:
    """The report of a slice."""
    subjects = (Subject("c" * 64, "champion", "driftline", None), Subject("d" * 64, "mine", "driftline", "c" * 64))
    trial = Trial(made, 1_000, Counts(), (1.0, 2.0), (3_799, 4_000))
    return describe(trial, Rule(), subjects, Extent(2_000, 0, 10**9, np.arange(2)), {"source": "x"}, {"risk": 1.0})


def test_stretches_add_up_to_the_whole() -> None:
    """Each side's own losses, by the points of each stretch, and equal lengths of time."""
    report = told(tally())
    assert len(report["over_time"]) == STRETCHES
    for side, name in enumerate(("champion", "challenger")):
        total = sum(one["judged"] * one["loss"][side] for one in report["over_time"])
        assert total / (ALL * EACH) == pytest.approx(report[name]["figures"]["loss"], abs=1e-5)
    assert report["champion"]["figures"]["loss"] - report["challenger"]["figures"]["loss"] == pytest.approx(
        report["gain"]["nats_per_point"], abs=2e-6
    )
    assert report["speed"]["champion"]["bytes_per_lane"] == 3_799


def test_the_lanes_told_are_those_that_differ_most() -> None:
    """Those that gain most first, those that lose most last, and none between where there are many."""

    def spread(made: Tally) -> None:
        many = 3 * LANES
        made.lanes = {(f"key-{lane}", "value"): lane for lane in range(many)}
        made.judged = made.points = np.full(many, EACH)
        made.loss = np.stack([np.full(many, 1.0 * EACH), np.arange(many) * 0.1 * EACH])
        made.alarms = np.zeros((2, many), np.int64)

    lanes = told(tally(spread))["lanes"]
    assert [one["key"] for one in lanes] == [f"key-{lane}" for lane in [*range(LANES), *range(2 * LANES, 3 * LANES)]]
    assert lanes[1] == {"key": "key-1", "field": "value", "judged": EACH, "loss": [1.0, 0.1], "alarms": [0, 0]}


def test_the_distance_of_probabilities_from_uniform() -> None:
    """0 where all bins are alike; all in one half is a half of it off."""

    def uniform(made: Tally) -> None:
        made.probabilities[0] = 10
        made.probabilities[1, : PROBABILITY_BINS // 2] = 20

    report = told(tally(uniform))
    distances = [report[side]["figures"]["probability_distance"] for side in ("champion", "challenger")]
    assert distances == [0.0, 0.5]


def test_every_field_is_documented_and_json_can_hold_it() -> None:
    """So is every field of what it is made of."""

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(names(inner) for inner in value.values()))
        return set().union(*(names(inner) for inner in value)) if isinstance(value, list) else set()

    report = told(tally(labelled=True))
    report = {**report, "settings": {}, "history": {**report["history"], "records": {}}}
    assert msgspec.json.decode(msgspec.json.encode(report)) == report
    documented = set(re.findall(r"`([a-z_0-9]+)`", DOCS.read_text()))
    assert names(report) - documented - {"points_per_s", "bytes_per_lane"} == set()
