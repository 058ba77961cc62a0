"""A process that is killed while it works on a registry leaves it whole."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.bundles.collection import Rule
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.bundles.training_log import TrainingLog
from tests.pipeline.adapters.bundles.bench import act
from tests.processes import owned

KILLS = 40
ROOT = Path(__file__).parents[4]


def _killed(folder: Path, seed: int, behind: int, after_s: float) -> list[list[str]]:
    """What a child said that it had done, before it was killed so long after it had told so much."""
    command = [sys.executable, "-m", "tests.pipeline.adapters.bundles.killed", str(folder), str(seed)]
    process = owned(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT))
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(1 + behind)]
    assert told[0] == "ready\n"
    time.sleep(after_s)
    process.kill()
    out, err = process.communicate(timeout=60)
    assert err == ""
    lines = [*told[1:], *out.splitlines(keepends=True)]
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_registry_whole(tmp_path: Path) -> None:
    """After each of many kills: every bundle is sound, what was told as done is done, and the work goes on."""
    rng = np.random.default_rng(7)
    told = 0
    for kill in range(KILLS):
        done = _killed(tmp_path, kill, int(rng.integers(4)), rng.uniform(0.0, 0.05))
        registry = Registry(str(tmp_path))
        assert all(wrong is None for wrong in registry.verify().values())
        standing = registry.standing()
        assert registry.champion() == standing.champion
        if standing.champion is not None:
            assert registry.load(standing.champion).manifest.id == standing.champion
        records = TrainingLog(str(tmp_path))
        runs = {run.name: run for run in records.runs()}
        assert {words[1] for words in done if words[0] == "kept"} <= runs.keys() <= {s.name for s in records.signals()}
        assert records.damaged == {}
        for run in runs.values():
            assert all((tmp_path / "runs" / report).read_bytes() == b"{}" * 5000 for report in run.reports)
        promoted = [words[1] for words in done if words[0] == "promoted"]
        champions = [event.champion for event in registry.history()]
        assert set(promoted) <= set(champions)
        for words in done:
            if words[0] == "published":
                assert words[1] in standing.published or words[1] in standing.gone
        told += len(done)
    assert told > KILLS
    registry = Registry(str(tmp_path))
    later = Act("ann", datetime.now(UTC) + timedelta(days=40))
    registry.collect(Rule(ancestors=0, events=0, younger_than=timedelta(0)), later)
    names = {path.name for path in (tmp_path / "bundles").iterdir()}
    assert names == {*registry.standing().published}
    assert [*(tmp_path / "partial").iterdir()] == []
    assert len(names) <= 2
    registry.hold(act(41))
