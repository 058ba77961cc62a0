"""What a follower keeps of the training that it is at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipeline.cli.learning.keeping import keeping
from pipeline.config import Config, Given, load_config
from tests.pipeline.learning.test_schedule import DAY, NOON, RULES, _run
from tests.pipeline.learning.test_unfinished import DUE, SITUATION, TRAINING
from tests.pipeline.service.fakes import Notes


def _config(folder: Path | None) -> Config:
    given = {} if folder is None else {"retrain.folder": Given("test", str(folder))}
    return load_config(None, given, environ={}).config


def test_what_was_kept_is_gone_on_with(tmp_path: Path) -> None:
    """Under its name, or under another one where its failure is on record; what is out of date is dropped, and told."""
    notes = Notes()
    with keeping(_config(tmp_path), notes) as kept:
        assert kept.unfinished(DUE, SITUATION, RULES) is None
        kept.keep(TRAINING)
        assert kept.told_of_restart == "it is gone on with at the next start"
    with keeping(_config(tmp_path), notes) as kept:
        found = kept.unfinished(DUE, SITUATION, RULES)
        assert found == msgspec.structs.replace(TRAINING, resumed=(*TRAINING.resumed, SITUATION.now))
        failed = replace(SITUATION, runs=[_run("failed", name=TRAINING.name)])
        again = kept.unfinished(DUE, failed, RULES)
        assert again is not None
        assert again.name not in {TRAINING.name, ""}
        assert (again.at, again.until, again.measured) == (SITUATION.now, TRAINING.until, TRAINING.measured)
        assert notes.events == []
        assert kept.unfinished(DUE, replace(SITUATION, newest=NOON + 2 * DAY), RULES) is None
        assert notes.names() == ["training_dropped"]
        assert kept.unfinished(DUE, SITUATION, RULES) is None


def test_it_goes_without(tmp_path: Path) -> None:
    """A folder that cannot be written, or that another trainer is at, is told, and nothing is kept."""
    (tmp_path / "file").write_text("")
    notes = Notes()
    with keeping(_config(tmp_path / "file"), notes) as kept:
        kept.keep(TRAINING)
        assert (kept.state, kept.held, kept.unfinished(DUE, SITUATION, RULES)) == (None, (), None)
        assert kept.told_of_restart == "a restart would begin it anew"
        kept.remove()
    assert notes.names() == ["training_not_kept"]
    assert "retrain.folder" in notes.events[0][1]["error"]


def test_unless_told_it_is_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the user, beside the kernels, where a restart finds it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with keeping(_config(None), Notes()) as kept:
        assert kept.state is not None
        assert kept.state.parent == tmp_path / "driftline" / "trainings"


@pytest.mark.torch
def test_how_far_it_is_may_be_lost(tmp_path: Path) -> None:
    """What cannot be gone on from is removed and told; what cannot be written is told once. The training goes on."""
    pytest.importorskip("torch")
    from pipeline.cli.learning.state import StateFile

    told: list[Any] = []
    path = tmp_path / "x.resume"
    file = StateFile(path, told.append)
    assert file.load("this") is None
    file.keep("this", {"counts": np.zeros(1)})
    assert file.load("that") is None
    assert not path.exists()
    file.keep("this", {"counts": np.zeros(1)})
    assert file.load("this") is None  # of another version, say
    assert [one.event for one in told] == ["training_begun_anew"] * 2
    assert "of another history or with other options" in told[0].error
    assert "--fresh" not in told[0].error
    (tmp_path / "file").write_text("")
    unwritable = StateFile(tmp_path / "file" / "x.resume", told.append)
    for _ in range(2):
        unwritable.keep("this", {"counts": np.zeros(1)})
    assert [one.event for one in told[2:]] == ["training_not_kept"]
    assert "retrain.folder" in told[2].error
