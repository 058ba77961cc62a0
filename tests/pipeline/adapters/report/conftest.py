from collections.abc import Iterator

import pytest

from tests.browser import Browser, browser
from tests.capabilities import find_chromium


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a file."""
    path = find_chromium()
    assert path is not None
    with browser(path, tmp_path_factory.mktemp("profile")) as running:
        yield running
