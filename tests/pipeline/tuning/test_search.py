import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from pipeline.errors import ConfigError
from pipeline.tuning.search import FILE, NAME, STARTUP, Study, Tried, best_of, next_point
from pipeline.tuning.space import Point, parse_search

SETTINGS = parse_search(["risk", "profile", "rest", "margin"])
CONFIGURED: dict[str, Any] = {"risk": 1.1, "profile": "balanced", "rest": 120, "margin": 0.3}
IDENTITY: dict[str, Any] = {"history": "abc", "seed": 7, "split": ["streams", 0.4]}


def value(point: Point) -> float:
    """Best at a risk of 0.2 in `dense`."""
    return float(0.5 * (point["profile"] == "dense") - abs(math.log(point["risk"] / 0.2)))


def searched(study: Study, trials: int, seed: int = 7) -> list[Tried]:
    """The study, gone on with until it has so many trials."""
    while len(done := study.trials()) < trials:
        point = next_point(done, SETTINGS, CONFIGURED, seed)
        study.add(Tried(len(done), point, value(point), {"told": len(done)}), SETTINGS)
    return done


def test_what_is_configured_is_tried_first_then_other_risks() -> None:
    """So that there is something to compare with from the start."""
    done: list[Tried] = []
    for _ in range(3):
        point = next_point(done, SETTINGS, CONFIGURED, 7)
        done.append(Tried(len(done), point, 0.0, {}))
    assert done[0].point == CONFIGURED
    assert [trial.point["risk"] for trial in done[1:]] == pytest.approx([0.33, 3.3])
    assert best_of(done).number == 0


def test_a_search_finds_what_is_better_than_chance(tmp_path: Path) -> None:
    """Behind its random beginning it draws near the best."""
    trials = searched(Study(tmp_path, IDENTITY), 40)
    late = [trial.value for trial in trials[25:]]
    early = [trial.value for trial in trials[3:STARTUP]]
    assert sum(late) / len(late) > sum(early) / len(early)
    assert best_of(trials).value > 0.3


def test_a_search_opened_again_at_every_trial_draws_the_same(tmp_path: Path) -> None:
    """What is tried depends on the seed and the trials done alone, not on the process that does them."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = searched(Study(tmp_path / "whole", IDENTITY), 16)
    for count in range(1, 17):
        cut = searched(Study(tmp_path / "cut", IDENTITY), count)
    assert cut == whole
    (tmp_path / "other").mkdir()
    assert searched(Study(tmp_path / "other", IDENTITY), 16, seed=8)[3:] != whole[3:]


def test_another_search_in_the_directory_is_refused(tmp_path: Path) -> None:
    """It is told what differs."""
    Study(tmp_path, IDENTITY)
    with pytest.raises(ConfigError, match="found a search with another history and another seed; expected the same"):
        Study(tmp_path, IDENTITY | {"history": "abd", "seed": 8})


def test_a_file_that_is_no_study_is_refused(tmp_path: Path) -> None:
    """Instead of a trace of SQLAlchemy."""
    (tmp_path / FILE).write_bytes(b"something else" * 100)
    with pytest.raises(ConfigError, match=r"found no study that can be read \(.*\); expected one of `driftline tune`"):
        Study(tmp_path, IDENTITY)


def test_optuna_reads_the_file(tmp_path: Path) -> None:
    """Whoever knows optuna finds an ordinary study, with values, settings and figures."""
    trials = searched(Study(tmp_path, IDENTITY), 5)
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{tmp_path / FILE}")
    assert [trial.params for trial in study.trials] == [trial.point for trial in trials]
    assert study.best_value == best_of(trials).value
    assert study.trials[3].user_attrs["figures"] == {"told": 3}


def test_without_optuna_it_is_told_what_is_missing() -> None:
    """In one line with the extra that brings it, and with the exit status of what the user can put right."""
    code = (
        "import sys; sys.modules['optuna'] = None; from pipeline.cli import run; sys.exit(run(['tune', 'nowhere.csv']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 2
    assert done.stderr == ("driftline: error: found no optuna; expected it for tuning: pip install 'driftline[tune]'\n")
