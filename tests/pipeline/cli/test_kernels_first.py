"""No command defines compiled functions before it has said where they are kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.cli.samples import ROOT

SCRIPT = """
import sys

class Watch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "detectors.compiled":
            from numba.core import config
            assert config.CACHE_DIR, "compiled functions come before their cache"

sys.meta_path.insert(0, Watch)
from pipeline.cli import main
main()
"""
COMMANDS = (
    "config",
    "feedback add --key a --field value --from 2026-01-01 --to 2026-01-02 --kind false_alarm --feedback none.jsonl",
    "feedback list --feedback none.jsonl",
    "feedback withdraw x --feedback none.jsonl",
    "models add shipped --promote --registry file://{0}/registry",
    "models diff shipped shipped --registry file://{0}/registry",
    "models gc --registry file://{0}/registry",
    "models history --registry file://{0}/registry",
    "models list --registry file://{0}/registry",
    "models runs --registry file://{0}/registry",
    "models show shipped --registry file://{0}/registry",
    "models verify --registry file://{0}/registry",
    "produce fleet --to {0}/fleet.jsonl --live",
    "report diff one another",
    "version",
)
"""Those that do something else than scoring, whose kernels are loaded with word to the user."""


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: " ".join(line.split()[:2]))
def test_where_kernels_are_kept_is_said_first(line: str, tmp_path: Path) -> None:
    """Else numba looks beside the sources and in the home directory, and ends where neither can be written."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *line.format(tmp_path).split()],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert done.returncode in {0, 2}, done.stderr
    assert "unknown option" not in done.stderr
