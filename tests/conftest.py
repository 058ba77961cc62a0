"""For all tests: where kernels are kept, how hypothesis runs, the markers of capabilities, and the end of processes."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from pipeline.kernel_cache import use_cache_for_these_sources, user_cache_dir
from tests.capabilities import LACKING, find_chromium, find_prometheus, required
from tests.kafka_broker import Broker
from tests.processes import ending_processes

use_cache_for_these_sources(user_cache_dir(os.environ))

# No deadline, because a first example may compile a kernel; no dice, so that a change fails for its own faults only.
settings.register_profile("driftline", deadline=None, derandomize=True)
settings.load_profile("driftline")


_COMPILE = """
from pipeline.cli.kernels import use_kernel_cache
use_kernel_cache()
from tests.fakes import make_engine, one_stream
import numpy as np
make_engine().process(one_stream(np.zeros(1)))
"""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels before several workers begin, which would all do it at the same time, with their services."""
    if getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput"):
        subprocess.run([sys.executable, "-c", _COMPILE], cwd=Path(__file__).parents[1], check=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail where it is required, a test whose capability this machine lacks."""
    for name, lacking in LACKING.items():
        if item.get_closest_marker(name) is None:
            continue
        reason = lacking()
        if reason and name in required():
            pytest.fail(reason, pytrace=False)
        if reason:
            pytest.skip(reason)


class EndingProcesses:
    """Ends what tests and fixtures have started with them.

    A plugin of its own, because hooks of a conftest are not called for fixtures of the whole session.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None]:
        """Of a test, however it went."""
        with ending_processes():
            yield

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Of a fixture, behind its own clean-up, also where setting it up has failed."""
        block = ExitStack()
        block.enter_context(ending_processes())
        fixturedef.addfinalizer(block.close)  # the first to be added is the last to be called
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """See `EndingProcesses`."""
    config.pluginmanager.register(EndingProcesses(), "ending-processes")


@pytest.fixture
def chromium() -> str:
    """Path of the browser; for tests marked `browser`."""
    path = find_chromium()
    assert path is not None
    return path


@pytest.fixture
def promtool() -> str:
    """Path of Prometheus' tool; for tests marked `prometheus`."""
    path = find_prometheus("promtool")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a broker is, shared by all tests marked `kafka`: DRIFTLINE_TEST_KAFKA, or one of our own."""
    named = os.environ.get("DRIFTLINE_TEST_KAFKA")
    if named:
        yield named
        return
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    try:
        yield broker.bootstrap
    finally:
        broker.stop()
