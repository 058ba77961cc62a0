"""The units: valid ones, hardened, and consistent with what Driftline understands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.errors import ConfigError, LossError
from tests.deploy.reading import DEPLOY, JOBS, refuse_unknown_options

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
_NAMES = [unit.name for unit in UNITS]
MOST_EXPOSED = 2.0
"""By `systemd-analyze security`: 0 is nothing, 10 everything; units that are not hardened have 9.6."""


def _settings(unit: Path) -> dict[str, list[str]]:
    """Values by name; names repeat in units."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def _analyzer() -> str:
    analyzer = shutil.which("systemd-analyze")
    if analyzer is None:
        pytest.skip("found no systemd-analyze; expected it on PATH")
    return analyzer


def _with_a_program(unit: Path, folder: Path) -> Path:
    """The unit, starting a program that is there, since it is looked for."""
    copy = folder / unit.name
    copy.write_text(re.sub(r"/opt/[\w-]+/bin/driftline", "/bin/true", unit.read_text()))
    return copy


@pytest.mark.parametrize("unit", UNITS, ids=_NAMES)
def test_systemd_understands_it(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say of it, and notices a misspelt setting."""
    verify = [_analyzer(), "verify", "--man=no", "--recursive-errors=no"]
    copy = _with_a_program(unit, tmp_path)
    done = subprocess.run([*verify, copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("ProtectSystem=", "ProtectSystems="))
    assert "ProtectSystems" in subprocess.run([*verify, copy], capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("unit", UNITS, ids=_NAMES)
def test_it_is_hardened(unit: Path, tmp_path: Path) -> None:
    """Little of the host is exposed to it."""
    command = [_analyzer(), "security", "--offline=true", "--no-pager", str(_with_a_program(unit, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if told is None:
        pytest.skip(f"found a systemd-analyze that judges no file: {done.stderr}")
    assert float(told[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", UNITS, ids=_NAMES)
def test_it_starts_a_command_that_there_is(unit: Path) -> None:
    """With options that it has, as a user of its own, and where it is scraped."""
    settings = _settings(unit)
    (start,) = settings["ExecStart"]
    program, *arguments = start.split()
    assert program.endswith("/bin/driftline")
    refuse_unknown_options(arguments)
    (user,) = settings["User"]
    assert f"u {user} -" in (DEPLOY / "systemd" / "driftline.sysusers.conf").read_text()
    if "--metrics-port" in arguments:
        assert arguments[arguments.index("--metrics-port") + 1] == str(JOBS[unit.stem])


def test_it_is_not_started_again_where_that_would_not_help() -> None:
    """After the exit statuses that somebody has to look at; and it has the time to stop that it takes."""
    config = load_config(DEPLOY / "systemd" / "driftline.toml", environ={}).config
    for unit in UNITS:
        settings = _settings(unit)
        (statuses,) = settings["RestartPreventExitStatus"]
        assert statuses.split() == [str(ConfigError.exit_status), str(LossError.exit_status)]
        assert int(settings["TimeoutStopSec"][0]) >= config.service.shutdown_timeout.total_seconds() + 10
        assert settings["StateDirectory"] == ["driftline"]
        assert config.models.registry.startswith(f"file:///var/lib/{settings['StateDirectory'][0]}/")
