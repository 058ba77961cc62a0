import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.detectors.training.runs import run

pytestmark = pytest.mark.torch
STEPS: dict[str, Any] = {"steps": 20, "validate_every": 10}


def together(processes: int, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """This module in processes that train together."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", __name__]
    command = [sys.executable, "-m", *launcher, str(out), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3], timeout=300
    )


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_train_what_one_trains(processes: int, tmp_path: Path) -> None:
    """Started by torchrun, processes sum their parts of each step: the weights of one process, but for rounding.

    Eight series are not dealt out evenly to three, and targets are missing unevenly too.
    """
    done = together(processes, tmp_path)
    assert done.returncode == 0, done.stderr
    alone = run(**STEPS)
    found = [np.load(tmp_path / f"{rank}.npz") for rank in range(processes)]
    for name, array in alone.network.arrays.items():
        np.testing.assert_allclose(found[0][name], array, atol=2e-5)
        for other in found[1:]:
            assert other[name].tobytes() == found[0][name].tobytes()
    np.testing.assert_allclose(found[0]["training"], alone.curve.training, rtol=1e-5)
    np.testing.assert_allclose(found[0]["validation"], alone.curve.validation, rtol=1e-5)
    assert [int(each["kept"]) for each in found] == [2] + [0] * (processes - 1)
    assert int(found[0]["processes"]) == processes


@pytest.mark.slow
def test_processes_agree_on_the_end(tmp_path: Path) -> None:
    """The clock of the first process ends the run of all, at a validation."""
    done = together(2, tmp_path, "limited")
    assert done.returncode == 0, done.stderr
    assert [int(np.load(tmp_path / f"{rank}.npz")["steps"]) for rank in range(2)] == [10, 10]


def test_alone_there_is_nobody_to_wait_for() -> None:
    """A process that torchrun did not start is alone, and leads."""
    from detectors.training import Ranks, join

    assert join("cpu") == Ranks(0, 1)
    assert join("cpu").leads
    assert not Ranks(1, 2).leads
    assert list(range(7))[Ranks(1, 3).part] == [1, 4]


def main(out: str, kind: str = "") -> None:
    """Train together, and keep what this process has at the end; by a limit, of which one clock has passed."""
    from detectors.training import TrainingState, join

    ranks = join("cpu")
    kept: list[TrainingState] = []
    hooks: dict[str, Any] = {"keep": kept.append}
    if kind:
        hooks["elapsed_fraction"] = lambda: 2.0 if ranks.leads else 0.0
    trained = run(hooks=hooks, **STEPS)
    curve = {"training": trained.curve.training, "validation": trained.curve.validation}
    facts = {"kept": len(kept), "processes": trained.processes, "steps": trained.curve.step[-1]}
    np.savez(Path(out) / f"{ranks.rank}.npz", **trained.network.arrays, **curve, **facts)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
