"""Fixtures of commands."""

from collections.abc import Callable, Iterator

import pytest

from tests.pipeline.cli.followers import Follower, followers


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    """Starts followers, which are ended at the end."""
    with followers() as start:
        yield start
