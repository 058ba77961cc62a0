"""A healthy default installation for an hour, and no alert: `make healthy`, or `python -m tests.healthy --minutes 60`.

What deploy/compose.yaml starts runs as processes of this machine, by the configuration of deploy/: broker, service,
trainer, the traffic of 200 machines of which half get a fault, and a real Prometheus with the rules of deploy/. All
that is asserted is asked for by Prometheus' HTTP API: no alert has fired, from the first start on; every rule could be
evaluated; no target was down and no process restarted; there were as many series at the end as at the beginning; and
every message sent was consumed. Exit status 0 when all of it holds.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.healthy.findings import Findings, faults
from tests.healthy.installation import SCRAPE_S, Installation
from tests.processes import program, scratch

_TELL_S = 300.0
_SETTLE_S = 120.0


def main() -> int:
    """Exit status: 0 when no alert was raised, and nothing else was amiss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="from when all of it is ready  [60]")
    parser.add_argument("--workers", type=int, default=1, help="of the service  [1, as in deploy/compose.yaml]")
    parser.add_argument("--keep", type=Path, help="directory to make for logs and data, and to leave there")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    if options.keep:
        options.keep.mkdir(parents=True)
        return _run(options.keep, options.minutes, options.workers, console)
    with scratch() as directory:
        return _run(directory, options.minutes, options.workers, console)


def _run(directory: Path, minutes: float, workers: int, console: Console) -> int:
    started = time.time()
    installation = Installation(directory.resolve(), workers)
    try:
        findings = Findings(time.time(), started)
        console.print(f"all of it is ready after {findings.begun - started:.0f} s; {minutes:g} minutes begin")
        _watch(installation, findings, minutes * 60, console)
        sent = installation.traffic.stop()
        _settle(installation, sent)
        findings.close(installation.prometheus, SCRAPE_S)
    finally:
        installation.stop()
    console.print(_table(findings, minutes))
    told = faults(findings, sent, SCRAPE_S, installation.status)
    for one in told:
        console.print(f"FAILED: {one}")
    if not told:
        console.print(f"no alert in {minutes:g} minutes, and every message was consumed")
    return 1 if told else 0


def _watch(installation: Installation, findings: Findings, seconds: float, console: Console) -> None:
    end = time.monotonic() + seconds
    tell = time.monotonic() + _TELL_S
    while time.monotonic() < end:
        time.sleep(min(SCRAPE_S, max(end - time.monotonic(), 0)))
        shown = findings.look(installation.prometheus, os.getloadavg()[0])
        if shown or time.monotonic() > tell:
            tell = time.monotonic() + _TELL_S
            consumed = installation.prometheus.value("sum(driftline_records_consumed_total)")
            console.print(
                f"{time.time() - findings.begun:.0f} s: {consumed:,.0f} records, {', '.join(shown) or 'no alert'}"
            )


def _settle(installation: Installation, sent: int) -> None:
    """Until all that was sent has been consumed and scraped, or it takes too long, which is told later."""
    deadline = time.monotonic() + _SETTLE_S
    prometheus = installation.prometheus
    while time.monotonic() < deadline:
        time.sleep(SCRAPE_S)
        if prometheus.value("sum(driftline_records_consumed_total)") == sent and not prometheus.value(
            "sum(driftline_lag_records)"
        ):
            return


def _table(findings: Findings, minutes: float) -> Table:
    table = Table("", "", title=f"{minutes:g} minutes of a default installation", show_header=False)
    table.columns[1].justify = "right"
    for name, value in findings.figures.items():
        table.add_row(name, f"{value:,.3g}" if abs(value) < 100 and value % 1 else f"{value:,.0f}")
    for job, (least, most) in findings.series.items():
        table.add_row(f"series of {job}", f"{least:,.0f}" if least == most else f"{least:,.0f} to {most:,.0f}")
    table.add_row("rules that could not be evaluated", f"{len(findings.unhealthy)}")
    seen = [f"{one.name} {one.state} for {one.lasted_s:.0f} of {one.waits_s:.0f} s" for one in findings.alerts]
    table.add_row("alerts", "\n".join(seen) or "none, not even pending")
    table.add_row("load of the machine at most", f"{findings.load:.1f} on {os.cpu_count()} cores")
    return table


if __name__ == "__main__":
    with program():
        sys.exit(main())
