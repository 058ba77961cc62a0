"""What some tests need beyond the locked packages, how it is found, and whether doing without is allowed.

A test that needs one of these bears its name as a marker. Where it is missing the test is skipped, or fails when
DRIFTLINE_REQUIRE (names, separated by commas) lists it.

`python -m tests.capabilities NAME ...` exits 0 when nothing of what it names is missing.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_CHROMIUM_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_ALSO_CALLED = {"alertmanager": ("prometheus-alertmanager",)}
"""Programs that distributions call otherwise."""


def find_chromium() -> str | None:
    """Path of the browser: DRIFTLINE_CHROMIUM where it is set, else the first that is installed."""
    named = os.environ.get("DRIFTLINE_CHROMIUM")
    paths = map(shutil.which, [named] if named else _CHROMIUM_NAMES)
    return next(filter(None, paths), None)


def find_prometheus(program: str) -> str | None:
    """Path of a program of Prometheus: in the folder DRIFTLINE_PROMETHEUS, on PATH, or where make puts it.

    Args:
        program: `prometheus`, `promtool`, `alertmanager` or `amtool`.
    """
    named = os.environ.get("DRIFTLINE_PROMETHEUS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folders = [named] if named else [None, cache / "driftline" / "prometheus"]
    paths = (shutil.which(name, path=one) for one in folders for name in (program, *_ALSO_CALLED.get(program, ())))
    return next(filter(None, paths), None)


def _lacking_programs(*programs: str, package: str) -> str:
    missing = [program for program in programs if find_prometheus(program) is None]
    where = f"expected them on PATH, or in the folder DRIFTLINE_PROMETHEUS (Debian: apt-get install {package})"
    return f"found no {' and no '.join(missing)}; {where}" if missing else ""


def _lacking_prometheus() -> str:
    return _lacking_programs("prometheus", "promtool", package="prometheus")


def _lacking_alertmanager() -> str:
    if told := _lacking_programs("alertmanager", "amtool", package="prometheus-alertmanager"):
        return told
    program = find_prometheus("alertmanager") or ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return f"found {program}, which does not start; it told: {done.stderr.strip()}" if done.returncode else ""


def _lacking_browser() -> str:
    return "" if find_chromium() else "found no Chromium; expected one on PATH or in DRIFTLINE_CHROMIUM"


def _lacking_torch() -> str:
    return "" if importlib.util.find_spec("torch") else "found no torch; expected the `train` extra"


def lacking_cuda() -> str:
    """See `LACKING`."""
    if told := _lacking_torch():
        return told
    import torch

    return "" if torch.cuda.is_available() else "found no CUDA device; expected one, and torch built for it"


def _lacking_kafka() -> str:
    from tests.kafka_broker import lacking

    return lacking()


def _lacking_image() -> str:
    from tests.deploy.containers import lacking

    return lacking()


def _lacking_s3() -> str:
    missing = [name for name in ("s3fs", "moto", "flask", "flask_cors") if not importlib.util.find_spec(name)]
    return f"found no {', '.join(missing)}; expected the dependency group `s3`" if missing else ""


LACKING: dict[str, Callable[[], str]] = {
    "alertmanager": _lacking_alertmanager,
    "browser": _lacking_browser,
    "cuda": lacking_cuda,
    "image": _lacking_image,
    "kafka": _lacking_kafka,
    "prometheus": _lacking_prometheus,
    "s3": _lacking_s3,
    "torch": _lacking_torch,
}
"""Marker to a function that says what is missing and what to do, or '' when nothing is."""


def required() -> set[str]:
    """The capabilities that DRIFTLINE_REQUIRE lists.

    Raises:
        ValueError: it lists a name that no marker has.
    """
    names = {name.strip() for name in os.environ.get("DRIFTLINE_REQUIRE", "").split(",")} - {""}
    if unknown := names - LACKING.keys():
        found, expected = ", ".join(sorted(unknown)), ", ".join(LACKING)
        raise ValueError(f"DRIFTLINE_REQUIRE: found {found}; expected names out of {expected}")
    return names


if __name__ == "__main__":
    sys.exit(any(LACKING[name]() for name in sys.argv[1:]))
