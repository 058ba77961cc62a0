"""The trainer as the service runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli.learning.beside import Beside, begin_registry, beside, require_retrain
from pipeline.config import Config, Given, load_config
from pipeline.errors import ConfigError
from tests.pipeline.adapters.bundles.bench import act, example
from tests.pipeline.service.fakes import Notes
from tests.processes import owned

SHIPPED = load_bundle(shipped_bundle_path()).short_id


def _config(**values: Any) -> Config:
    given = {key.replace("__", "."): Given("test", value) for key, value in values.items()}
    return load_config(None, given, environ={}).config


def _until(fulfilled: Callable[[], object]) -> None:
    deadline = time.monotonic() + 180
    while not fulfilled():
        assert time.monotonic() < deadline, "found it not fulfilled for three minutes"
        time.sleep(0.02)


def test_a_trainer_needs_a_champion_that_is_followed() -> None:
    """Else nothing that it makes would ever score; any registry will do."""
    require_retrain(_config())
    with pytest.raises(
        ConfigError, match=r"bundle: found 'shipped' where the champion is to be trained anew; expected"
    ):
        require_retrain(_config(retrain__enabled="true"))
    for name in ("champion", "file:///elsewhere#champion"):
        require_retrain(_config(retrain__enabled="true", detector__bundle=name))


def test_an_empty_registry_begins_with_the_shipped_bundle(tmp_path: Path) -> None:
    """Only where nothing has happened in it yet, and only with a trainer."""
    url, notes = str(tmp_path / "models"), Notes()
    values: Any = {"detector__bundle": f"{url}#champion"}
    begin_registry(_config(**values), notes)
    assert Registry(url).champion() is None
    values["retrain__enabled"] = "true"
    for _ in range(2):
        begin_registry(_config(**values), notes)
    assert [one.kind for one in Registry(url).history()] == ["published", "promoted"]
    assert (Registry(url).champion() or "").startswith(SHIPPED)
    assert notes.names() == ["registry_begun"]


def test_a_registry_without_champion_is_left_to_people(tmp_path: Path) -> None:
    """Somebody has put a bundle in, and has not promoted it."""
    url = str(tmp_path / "models")
    Registry(url).publish(example(), act())
    begin_registry(_config(detector__bundle=f"{url}#champion", retrain__enabled="true"), Notes())
    assert Registry(url).champion() is None


def test_without_torch_the_service_goes_on_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started; a warning, as the trainer may run elsewhere."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    notes = Notes()
    with beside(_config(retrain__enabled="true", detector__bundle="champion"), None, notes):
        pass
    assert notes.names() == ["trainer_missing"]
    assert "pip install 'driftline[train]'" in str(notes.events[0][1]["detail"])


def _pid(notes: Notes) -> int:
    """Of the trainer that was started last."""
    return int([told["trainer"] for name, told in notes.events if name == "trainer_started"][-1])


@pytest.mark.torch
@pytest.mark.slow
def test_it_is_started_again_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that was killed comes back; at the end none is left, and it is nicer than the service."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
    file = tmp_path / "c.toml"
    file.write_text(
        '[detector]\nbundle = "champion"\n[input]\ntopics = ["in"]\n[kafka]\nbootstrap = ["localhost:1"]\n'
        '[log]\nformat = "json"\n'
    )
    notes = Notes()
    trainer = Beside(file, notes, pauses_s=(0.05, 0.1))
    trainer.start()
    _until(lambda: "trainer_started" in notes.names())
    first = _pid(notes)
    _until(lambda: os.getpriority(os.PRIO_PROCESS, first) - os.getpriority(os.PRIO_PROCESS, 0) >= 5)
    os.kill(first, signal.SIGKILL)
    _until(lambda: notes.names().count("trainer_started") == 2)
    assert ("trainer_ended", -9) in [(name, told.get("status")) for name, told in notes.events]
    second = _pid(notes)
    _until(lambda: os.getpriority(os.PRIO_PROCESS, second) - os.getpriority(os.PRIO_PROCESS, 0) >= 5)
    trainer.close()
    assert not Path(f"/proc/{second}").exists()


@pytest.mark.torch
@pytest.mark.slow
def test_it_does_not_outlive_a_service_that_was_killed(tmp_path: Path) -> None:
    """However the service went, its trainer is gone a moment later."""
    file = tmp_path / "c.toml"
    file.write_text('[detector]\nbundle = "champion"\n[input]\ntopics = ["in"]\n[kafka]\nbootstrap = ["localhost:1"]\n')
    service = (
        "import sys, time\nfrom pathlib import Path\nfrom pipeline.cli.learning.beside import Beside\n"
        "class Log:\n    def info(self, event, **told): print(told.get('trainer', ''), flush=True)\n"
        "    warning = error = info\n"
        f"Beside(Path({str(file)!r}), Log()).start()\ntime.sleep(600)\n"
    )
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", service]
    process = owned(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root, text=True))
    assert process.stdout is not None
    trainer = int(process.stdout.readline())
    assert Path(f"/proc/{trainer}").exists()
    time.sleep(1.0)
    process.kill()
    process.communicate(timeout=60)
    _until(lambda: not Path(f"/proc/{trainer}").exists() or "zombie" in Path(f"/proc/{trainer}/status").read_text())
