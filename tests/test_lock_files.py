"""The lock files answer for pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("runtime", "test")


def _pins(lock: str) -> dict[str, str]:
    """Name to exact version."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, flags=re.MULTILINE))


def _project() -> dict[str, list[str]]:
    """What pyproject.toml asks of each lock file, as requirements."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = pyproject["dependency-groups"]
    runtime = pyproject["project"]["dependencies"] + groups["build"]
    return {"runtime": runtime, "test": runtime + groups["test"]}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_locked_within_its_range(lock: str) -> None:
    """A range changed in pyproject.toml without `make lock` is noticed."""
    pins = _pins(lock)
    for text in _project()[lock]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


@pytest.mark.parametrize("lock", LOCKS)
def test_no_torch_is_locked(lock: str) -> None:
    """Replaying needs no gigabytes, and every machine takes the torch build that suits it."""
    assert not {name for name in _pins(lock) if name.startswith(("torch", "nvidia", "triton"))}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_hashed_and_names_no_index(lock: str) -> None:
    """The files install in hash mode as they are, from whatever index a machine uses."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, flags=re.MULTILINE)
    for entry in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        if "==" in entry:
            assert "--hash=sha256:" in entry, entry


def test_the_locks_agree() -> None:
    """Installing the packages for testing moves none of those for running."""
    assert _pins("runtime").items() <= _pins("test").items()
