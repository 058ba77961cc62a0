"""For all tests: where kernels are kept, how hypothesis runs, and the markers of capabilities."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from pipeline.kernel_cache import use_cache_for_these_sources, user_cache_dir
from tests.capabilities import LACKING, find_chromium, find_prometheus, required
from tests.kafka_broker import Broker

use_cache_for_these_sources(user_cache_dir(os.environ))

# No deadline, because a first example may compile a kernel; no dice, so that a change fails for its own faults only.
settings.register_profile("driftline", deadline=None, derandomize=True)
settings.load_profile("driftline")


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
