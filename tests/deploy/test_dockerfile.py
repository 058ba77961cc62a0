"""The images, as far as they can be tried without an engine for containers: linted, and their steps run."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pipeline.adapters.http import Health, serve_http
from pipeline.config import load_config
from tests.deploy.dockerfile import Stage, read_dockerfile
from tests.deploy.reading import DEPLOY, OWN_IMAGES, ROOT, refuse_unknown_keys
from tests.pipeline.cli.samples import write_stream

FILE = DEPLOY / "Dockerfile"
STAGES = read_dockerfile(FILE)
TARGETS = ("serving", "training-cpu", "training-cuda")


def _layers(target: str) -> list[Stage]:
    """A stage and those that it is built on, the lowest first."""
    stage = STAGES[target]
    return [*(_layers(stage.base) if stage.base in STAGES else ()), stage]


def _environment(target: str) -> dict[str, str]:
    words = [shlex.split(content) for stage in _layers(target) for content in stage.all_of("ENV")]
    return dict(word.split("=", 1) for line in words for word in line)


def test_the_linter_has_nothing_to_say() -> None:
    """The file passes hadolint, and a bad one does not."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("found no hadolint beside Python; expected the locked packages for testing")
    done = subprocess.run([hadolint, FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    bad = "FROM python\nRUN cd /src && pip install numpy\n"
    done = subprocess.run([hadolint, "-"], input=bad, capture_output=True, text=True, check=False)
    assert {"DL3006", "DL3013", "DL3003"} <= set(re.findall(r"DL\d+", done.stdout))


def test_images_are_pinned_and_told() -> None:
    """What is not ours has a full version; the head of the file builds every target under the tag that others use."""
    bases = {stage.base for stage in STAGES.values()} - STAGES.keys()
    assert bases
    assert all(re.fullmatch(r"[\w/.-]+:\d+\.\d+\.\d+[\w.-]*", base) for base in bases)
    told = re.findall(r"--target (\S+) -t ([\w-]+):(\S+) \.", FILE.read_text())
    assert [target for target, _, _ in told] == list(TARGETS)
    assert all(tag in OWN_IMAGES[image] for _, image, tag in told)
    assert list(STAGES)[-1] == "serving"


@pytest.mark.parametrize("target", TARGETS)
def test_it_runs_as_nobody_in_particular(target: str) -> None:
    """The last user of an image is a number, as runAsNonRoot needs, and none with rights."""
    user = [content for stage in _layers(target) for content in stage.all_of("USER")][-1]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)


@pytest.mark.parametrize("target", TARGETS)
def test_its_environment_is_understood(target: str, tmp_path: Path) -> None:
    """Variables of Driftline that an image sets are keys, and its port is that of the service."""
    empty = tmp_path / "driftline.toml"
    empty.touch()
    environ = _environment(target)
    refuse_unknown_keys(empty, environ.items())
    config = load_config(empty, environ=environ).config
    assert config.http.host == "0.0.0.0"  # noqa: S104  in a container
    exposed = [content for stage in _layers(target) for content in stage.all_of("EXPOSE")]
    assert exposed == [str(config.http.port)]


def test_the_health_check_tells_well_from_ill() -> None:
    """What the image asks the service by ends well when it is well, and not when it is stuck."""
    (check,) = STAGES["base"].all_of("HEALTHCHECK")
    command = json.loads(check.partition(" CMD ")[2])
    health = Health(limit_s=60)
    port, stop = serve_http("127.0.0.1", 0, CollectorRegistry(), health)
    try:
        code = command[-1].replace(":9464", f":{port}")
        assert code != command[-1]
        ask = [sys.executable, *command[1:-1], code]
        assert subprocess.run(ask, check=False, capture_output=True).returncode == 0
        health.fail("stuck")
        assert subprocess.run(ask, check=False, capture_output=True).returncode != 0
    finally:
        stop()


def _ignored() -> tuple[list[str], list[str]]:
    """(Patterns left out, patterns taken in all the same) of what a build may see."""
    lines = [
        line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in {"", "#"}
    ]
    return [line for line in lines if line[0] != "!"], [line[1:] for line in lines if line[0] == "!"]


def _copied() -> list[list[str]]:
    """Sources and destination of what is copied into the build."""
    return [content.split() for content in STAGES["build"].all_of("COPY")]


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    """All sources are there and let in; the virtual environment, the tests and `.git` are not."""
    left_out, let_in = _ignored()
    assert left_out[0] == "*"
    sources = {source for *sources, _ in _copied() for source in sources}
    assert sources == set(let_in)
    assert all((ROOT / source).exists() for source in sources)
    for name in (".venv", ".git", "tests", "driftline.toml", ".env"):
        assert not any(fnmatch.fnmatch(name, pattern) for pattern in let_in)


def _copy(instruction: str, source: Path) -> None:
    """What COPY does, from the root of this repository into `source`."""
    *names, into = instruction.split()
    for name in names:
        found, place = ROOT / name, source / into
        if found.is_dir():
            shutil.copytree(found, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir(exist_ok=True)
            shutil.copy(found, place)


@pytest.mark.slow
def test_the_steps_of_the_build_make_a_service_without_torch(tmp_path: Path) -> None:
    """From the lock and the sources that are copied alone: it has a version, replays, and tells what training lacks."""
    source, prefix = tmp_path / "src", tmp_path / "driftline"
    source.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environ |= {"PATH": f"{Path(sys._base_executable).parent}:{environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path)}  # type: ignore[attr-defined]
    environ |= {"NUMBA_OPT": "0", "PIP_NO_COMPILE": "1"}  # for the sake of time; what is installed is the same
    for instruction in STAGES["build"].instructions:
        if instruction.name == "COPY":
            _copy(instruction.content, source)
        if instruction.name == "RUN":
            step = instruction.content.replace("/opt/driftline", str(prefix))
            done = subprocess.run(
                ["sh", "-euc", step], cwd=source, env=environ, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"

    def driftline(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [prefix / "bin" / "driftline", *arguments],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip

    told = driftline("version")
    assert re.fullmatch(r"driftline \S+, bundle [0-9a-f]{16}\n", told.stdout), told.stderr
    assert subprocess.run(
        [prefix / "bin" / "python", "-c", "import torch"], check=False, capture_output=True
    ).returncode
    file = write_stream(tmp_path / "machine.csv", 300, fault=None)
    replayed = driftline("replay", file, "--out", tmp_path / "out", "--quiet")
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["records"]["scored"] > 0
    trained = driftline("train", file, "--out", tmp_path / "bundle")
    assert trained.returncode == 2
    assert "found no torch; expected it for training" in trained.stderr
