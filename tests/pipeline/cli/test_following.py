"""Which newer champions the service follows."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from detectors.kernel import walk
from pipeline.adapters.bundles import Bundle
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli.following import following, load_kernels_of
from pipeline.config import Config, Given, load_config
from tests.pipeline.adapters.bundles.bench import act
from tests.pipeline.cli.bundles import joint_variant, variant
from tests.pipeline.service.fakes import Notes


def _config(url: str, **changes: str) -> Config:
    values = {
        "detector.bundle": "champion", "models.registry": url, "models.check_interval": "10ms",
        "source.value_fields": "power,flow",
    }  # fmt: skip
    given = {key: Given("test", value) for key, value in (values | changes).items()}
    return load_config(None, given, environ={}).config


def _told_of(config: Config, newer: Bundle) -> tuple[str, dict[str, object]]:
    """What the log says of a newer champion."""
    registry, notes = Registry(config.models.registry), Notes()
    first = variant()
    registry.promote(registry.publish(first, act()), act())
    with following(config, first, notes, Path(config.models.registry)):
        registry.promote(registry.publish(newer, act()), act(1))
        deadline = time.monotonic() + 60
        while not (told := [one for one in notes.events if one[0].startswith("champion_")]):
            assert time.monotonic() < deadline, "found nothing told for a minute"
            time.sleep(0.01)
    return told[0]


def test_a_joint_champion_is_followed_where_it_is_for_the_fields_of_the_records(tmp_path: Path) -> None:
    """Their order does not matter."""
    event, _ = _told_of(_config(str(tmp_path / "models")), joint_variant(("flow", "power")))
    assert event == "champion_found"


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        (("flow", "heat"), {}, "found a joint network of flow, heat; expected one of power, flow, as records have"),
        (("flow", "power"), {"windows.size": "8", "windows.hop": "4"}, r"found a joint network with [windows] hop = 4"),
        (("flow", "power"), {"state.budget": "5kB"}, "[state], [windows] or [source]: "),
    ],
)
def test_a_joint_champion_that_cannot_score_is_refused(
    tmp_path: Path, fields: tuple[str, ...], changes: dict[str, str], message: str
) -> None:
    """Of other fields, out of step by its windows, or too large: it is told, and the one before goes on."""
    event, told = _told_of(_config(str(tmp_path / "models"), **changes), joint_variant(fields))
    assert event == "champion_refused"
    assert message in str(told["error"])


def test_kernels_of_another_kind_are_there_before_the_swap(tmp_path: Path) -> None:
    """A champion is handed over once what scores with it is compiled, which would hold the loop up else."""
    script = f"""if True:
        from pipeline.cli.kernels import use_kernel_cache
        use_kernel_cache()
        from tests.pipeline.cli.test_following import kernels_of_a_swap
        print(*kernels_of_a_swap({str(tmp_path / "models")!r}))
    """
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300)
    assert told.stdout.split() == ["0", "1", "1"]


def kernels_of_a_swap(url: str) -> tuple[int, int, int]:
    """How many kinds of network there are kernels for: before a joint champion is found, then, and behind a record."""
    before, config, newer = len(walk.signatures), _config(url), joint_variant(("flow", "power"))
    event, _ = _told_of(config, newer)
    assert event == "champion_found"
    found = len(walk.signatures)
    with tempfile.TemporaryDirectory() as directory:
        load_kernels_of(newer, config, Path(directory))
    return before, found, len(walk.signatures)
