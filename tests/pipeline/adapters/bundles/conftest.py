from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of an empty folder."""
    if request.param == "file":
        yield f"file://{tmp_path}/models"
        return
    fsspec.filesystem("memory").store.clear()
    yield "memory://bucket/models"
    fsspec.filesystem("memory").store.clear()
