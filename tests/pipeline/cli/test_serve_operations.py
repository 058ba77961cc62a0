"""What operators meet with `driftline serve`, against a real broker."""

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import create_topic

pytestmark = pytest.mark.kafka


@pytest.fixture
def names(bootstrap: str) -> Names:
    """A fresh topic of one partition, with its run."""
    topic = f"in-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, 1)
    return Names.of(f"run-{topic}", topic)


def test_a_member_without_partitions_is_ready_and_takes_over(bootstrap: str, names: Names, tmp_path: Path) -> None:
    """Of two members over one partition both become ready, and the second has it when the first is gone."""
    config = write_config(tmp_path / "c.toml", bootstrap, names)
    first = Serving(config, tmp_path / "first.log")
    first.wait_until_ready()
    second = Serving(config, tmp_path / "second.log")
    try:
        second.wait_for(lambda: "waits for its partitions" in second.get("/readyz")[1])
        second.wait_until_ready()
        live = ("driftline_partitions", (("status", "live"),))
        assert sorted(member.metrics()[live] for member in (first, second)) == [0, 1]
        keeper, idle = (first, second) if first.metrics()[live] else (second, first)
        assert keeper.stop() == 0
        idle.wait_for(lambda: idle.metrics()[live] == 1)
        idle.wait_until_ready()
        assert idle.stop() == 0
    finally:
        for member in (first, second):
            member.kill()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"kafka": {"transaction_timeout": "300ms"}}, 2, "[kafka] transaction_timeout: found 300ms"),
        ({"input": {"pattern": "in.*"}}, 2, "[input]: found topics as well as pattern"),
        ({"kafka": {"bootstrap": ["localhost:port"]}}, 2, "found 'localhost:port'; expected host:port"),
    ],
)
def test_a_configuration_that_cannot_work_is_told(
    bootstrap: str, names: Names, tmp_path: Path, changes: dict[str, Any], status: int, told: str, workers: str
) -> None:
    """The service ends with one line and a status that a supervisor does not try again, alone and with workers."""
    config = write_config(tmp_path / "c.toml", bootstrap, names, **changes)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "serve", "--config", str(config), "--workers", workers],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == status
    errors = {line for line in done.stderr.splitlines() if line.startswith("driftline: error: ")}
    assert len(errors) == 1
    assert told in errors.pop()
    assert "Traceback" not in done.stderr


def test_a_store_that_cannot_be_written_is_told_at_the_start(bootstrap: str, names: Names, tmp_path: Path) -> None:
    """The service does not run for weeks without a snapshot: it ends before it joins the group, to be tried again."""
    (tmp_path / "file").write_text("no folder")
    config = write_config(tmp_path / "c.toml", bootstrap, names, state={"store": f"file://{tmp_path}/file/state"})
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "serve", "--config", str(config)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("driftline: error: ")]
    assert "found that it cannot be reached" in error
    assert "expected a folder to read and write" in error
    assert "partitions_assigned" not in done.stderr
    assert "Traceback" not in done.stderr
