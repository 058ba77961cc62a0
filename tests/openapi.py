"""Writes docs/openapi.json, the description of the API: `python -m tests.openapi`."""

import json
from pathlib import Path
from typing import Any, cast

from pipeline.adapters.live.api import endpoints, openapi

PATH = Path(__file__).parents[1] / "docs" / "openapi.json"


def description() -> str:
    """As it is to be in the file; the endpoints are described without being asked."""
    nobody = cast("Any", type("Nobody", (), {"overview": None}))
    return json.dumps(openapi(endpoints(nobody, nobody)), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(description())
