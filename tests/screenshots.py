"""Makes the screenshots of the live page in docs/images: `make screenshots`.

A real service scores the fleet of the demonstration, faults included, from a broker of its own; a browser looks on.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.browser import browser
from tests.capabilities import find_chromium
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import Broker

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_STREAMS, _POINTS, _RATE = 200, 2000, 4000
_SHOTS = {"live": (1440, 1060, False), "live-dark": (1440, 1060, True), "live-phone": (390, 844, False)}


def main() -> int:
    """Exit status."""
    chromium = find_chromium()
    if chromium is None:
        print("found no Chromium; expected one on PATH or in DRIFTLINE_CHROMIUM", file=sys.stderr)
        return 2
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        broker = Broker(directory / "broker")
        broker.start()
        try:
            _shoot(broker.bootstrap, directory, chromium)
        finally:
            broker.stop()
    return 0


def _shoot(bootstrap: str, directory: Path, chromium: str) -> None:
    names = Names.of("driftline", "metrics")
    config = write_config(
        directory / "driftline.toml",
        bootstrap,
        names,
        detector={"profile": "balanced"},
        service={"commit_interval": "1s"},
    )
    produce = [
        sys.executable, "-m", "pipeline", "produce", "fleet", "--to", f"kafka://{bootstrap}/metrics",
        "--partitions", "4", "--streams", str(_STREAMS), "--points", str(_POINTS), "--rate", str(_RATE), "--quiet",
    ]  # fmt: skip
    producing = subprocess.Popen(produce, stdout=subprocess.DEVNULL)
    service = Serving(config, directory / "log")
    try:
        service.wait_until_ready(120)
        service.wait_for(lambda: "high" in service.get("/api/v1/anomalies?severity=high&event=opened&limit=1")[1], 300)
        url = f"http://127.0.0.1:{service.port()}/"
        time.sleep(5)  # so that there is something to see of the last minutes
        with browser(chromium, directory / "profile") as page:
            for shot, (width, height, dark) in _SHOTS.items():
                page.open_url(url, width=width, height=height, dark=dark)
                page.wait_for("document.querySelectorAll('#events li').length > 0")
                page.run(
                    "(() => { const s = document.getElementById('severity');"
                    "s.value = 'high'; s.dispatchEvent(new Event('change')); })()"
                )
                page.wait_for("document.querySelector('#events .badge')?.textContent.match(/high|critical/)")
                page.run(
                    "[...document.querySelectorAll('#events button')]"
                    ".find((one) => one.textContent.includes('point opened')).click()"
                )
                page.wait_for("document.querySelector('#events [aria-pressed=true]') !== null")
                time.sleep(3)
                page.run("scrollTo(0, 0)")
                page.screenshot(IMAGES / f"{shot}.png", whole=width < 600)
    finally:
        producing.kill()
        producing.wait()
        service.kill()


if __name__ == "__main__":
    sys.exit(main())
