"""The environment of the process, read here and nowhere else."""

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """Environment variables by name, as they are now."""
    return dict(os.environ)  # noqa: TID251  the one place
