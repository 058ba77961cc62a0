import uuid
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.bundles.registry import Registry
from tests.chaos.service import Names
from tests.drifting import figures
from tests.drifting.campaign import Campaign, serve
from tests.drifting.fleet import DAY, Fleet
from tests.drifting.oracle import compare, replay

FLEET = Fleet(keys=40, before=3, behind=3, faulty=0, rise=2.0, partitions=1, seed=7)
RETRAIN = {"steps": 100}
"""As little as brings a network that is better."""


@pytest.mark.kafka
@pytest.mark.torch
@pytest.mark.slow
def test_a_fleet_that_changes_for_good_is_learned_while_it_is_served(bootstrap: str, tmp_path: Path) -> None:
    """Drift has a network trained, judged and swapped in that forecasts better, and readers see what a replay says."""
    run = uuid.uuid4().hex[:8]
    campaign = Campaign(FLEET, None, RETRAIN, "12h", Names.of(f"drifting-{run}", f"fleet-{run}"))
    told: list[str] = []
    course = serve(campaign, bootstrap, tmp_path, tell=told.append)
    shipped = load_bundle(shipped_bundle_path()).manifest.id
    promoted = [run for run in course.runs if run.outcome == "promoted"]
    assert promoted, told
    assert (promoted[0].champion, promoted[0].trigger) == (shipped, "drift")
    assert {name for run in promoted for name in run.answers} <= {drift["signal"] for drift in course.drifts}
    registry = Registry(str(course.registry))
    assert registry.champion() == promoted[-1].bundle
    assert len(promoted[-1].reports) == 2
    assert [swap["place"] for swap in course.swaps] == [f"{campaign.names.input}/0"] * len(promoted)
    served = replay(course, tmp_path / "served", "--swaps", str(course.log))
    told_of, differences = compare(course, served)
    assert differences == []
    assert told_of["verdicts"] == FLEET.keys * FLEET.points
    scored = figures.read_scored(FLEET, served)
    behind = figures.behind_swap(FLEET, {0: course.swaps[-1]["offset"]})
    point = np.arange(FLEET.points)[:, None]
    before = (point >= FLEET.change + DAY) & ~behind
    assert figures.measure(FLEET, scored, behind).error < 0.9 * figures.measure(FLEET, scored, before).error
