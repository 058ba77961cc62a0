"""Makes the screenshots of the live page in docs/images: `make screenshots`.

A real service scores the fleet of the demonstration, faults included, from a broker of its own; a browser looks on.
"""

import json
import sys
import threading
import time
from pathlib import Path
from zlib import crc32

from detectors.fleet import make_fleet
from tests.browser import browser
from tests.capabilities import find_chromium
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import Broker, create_topic, send
from tests.processes import program, scratch

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_STREAMS, _POINTS, _PARTITIONS = 120, 1800, 4
_PAST = 0.7
"""Part of the stream that is there already; of the rest so many points come in a second:"""
_RATE = 600
_SHOTS = {"live": (1440, 1060, False), "live-dark": (1440, 1060, True), "live-phone": (390, 1500, False)}
_CHOOSE = """
async () => {
  const wait = () => new Promise((resolve) => setTimeout(resolve, 100));
  const severity = document.getElementById("severity");
  severity.value = "high";
  severity.dispatchEvent(new Event("change"));
  for (;;) {
    await wait();
    const rows = [...document.querySelectorAll("#events button")];
    const found = rows.find((one) => /point (opened|worsened)/.test(one.textContent));
    if (!found || rows.some((one) => !one.querySelector(".high, .critical"))) continue;
    found.click();
    return;
  }
}
"""
"""Shows a grave episode."""


def main() -> int:
    """Exit status."""
    chromium = find_chromium()
    if chromium is None:
        print("found no Chromium; expected one on PATH or in DRIFTLINE_CHROMIUM", file=sys.stderr)
        return 2
    IMAGES.mkdir(exist_ok=True)
    with scratch() as directory, Broker(directory / "broker") as broker:
        _shoot(broker.bootstrap, directory, chromium)
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
    create_topic(bootstrap, names.input, _PARTITIONS)
    fleet = make_fleet(7, _STREAMS, _POINTS)
    records = [
        (
            crc32(key.encode()) % _PARTITIONS,
            key.encode(),
            json.dumps({"time": time_us // 1000, "value": value}).encode(),
        )
        for key, time_us, value in zip(
            [fleet.key_names[code] for code in fleet.key_codes],
            fleet.time_us.tolist(),
            fleet.values.tolist(),
            strict=True,
        )
    ]
    past = int(_PAST * len(records))
    send(bootstrap, names.input, records[:past])
    service = Serving(config, directory / "log")
    ended = threading.Event()

    def trickle() -> None:
        for at in range(past, len(records), _RATE):
            send(bootstrap, names.input, records[at : at + _RATE])
            if ended.wait(1.0):
                return

    sender = threading.Thread(target=trickle)
    try:
        service.wait_until_ready(120)
        service.wait_for(lambda: _consumed(service) == past, 300)
        sender.start()
        time.sleep(30)  # so that there is something to see of the last minutes
        with browser(chromium, directory / "profile") as page:
            for shot, (width, height, dark) in _SHOTS.items():
                page.open_url(f"http://127.0.0.1:{service.port()}/", width=width, height=height, dark=dark)
                page.wait_for("document.querySelectorAll('#events li').length > 0")
                page.run(f"({_CHOOSE})()")
                page.wait_for("document.querySelector('#events [aria-pressed=true] .badge.high') !== null")
                page.wait_for("document.querySelector('#why .badge')?.textContent === 'high'")
                time.sleep(2.5)
                page.run("scrollTo(0, 0)")
                page.screenshot(IMAGES / f"{shot}.png")
    finally:
        ended.set()
        if sender.ident is not None:
            sender.join()
        service.kill()


def _consumed(service: Serving) -> int:
    return sum(json.loads(service.get("/api/v1/overview")[1])["records"].values())


if __name__ == "__main__":
    with program():
        sys.exit(main())
