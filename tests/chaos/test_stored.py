"""How samples are read back from Prometheus, and what they must add up to, without members."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.capabilities import find_prometheus
from tests.chaos.oracle import Tally
from tests.chaos.stored import Archive, Rise, Stored, compare_stored

_CONSUMED = ("records_consumed", "")
_TOTAL: Tally = Counter({_CONSUMED: 100, ("records", "scored"): 90, ("records", "late"): 10, ("gaps", ""): 3})
_STORED = Stored([], _TOTAL - Counter({("gaps", ""): 3}), 0.0, {_CONSUMED: Rise(95, 95.5, 96)})


def _differences(stored: Stored) -> list[str]:
    found, _ = compare_stored(stored, {0: {100: _TOTAL}}, {0: 100})
    return found


def test_sums_that_are_the_oracles_are_no_difference() -> None:
    """Accounts to the record, and a rise that lacks what nobody scraped."""
    assert _differences(_STORED) == []


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (replace(_STORED, accounts=_STORED.accounts + Counter({("records", "late"): 1})), "sums of accounts"),
        (replace(_STORED, imbalance=1.0), "an imbalance of 1 records"),
        (replace(_STORED, rises={_CONSUMED: Rise(101, 101.5, 102)}), "records_consumed rose by 101"),
        (replace(_STORED, rises={_CONSUMED: Rise(95, 96.5, 96)}), "increase of records_consumed"),
        (replace(_STORED, rises={_CONSUMED: Rise(95, 94.5, 96)}), "increase of records_consumed"),
        (replace(_STORED, rises={}), "no counter of records"),
    ],
    ids=["accounts", "imbalance", "counted twice", "increase too large", "increase too small", "nothing"],
)
def test_sums_that_cannot_be_are_told(stored: Stored, told: str) -> None:
    """One record more in the accounts, counts beyond the oracle's, an increase that its samples do not explain."""
    (difference,) = _differences(stored)
    assert told in difference


class _Page:
    """An address at which one process comes behind another, each with a text for Prometheus."""

    def __init__(self) -> None:
        self.text = ""
        self.shown = 0
        page = self

        class Handler(BaseHTTPRequestHandler):
            """Shows the text."""

            def do_GET(self) -> None:
                """As at /metrics."""
                text = page.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text)
                page.shown += 1

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name there
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def show(self, consumed: int, offset: int, commits: int) -> None:
        """Until it has been seen twice, the second time from its beginning on."""
        self.text = (
            f"driftline_records_consumed_total {consumed}\n"
            f"driftline_commits_total {commits}\n"
            f'driftline_committed_offset{{topic="in",partition="0"}} {offset}\n'
            f'driftline_accounting_records_total{{topic="in",partition="0",disposition="scored"}} {offset}\n'
            f'driftline_accounting_consumed_records_total{{topic="in",partition="0"}} {offset}\n'
            f'driftline_accounting_imbalance_records{{topic="in",partition="0"}} 0\n'
        )
        before, deadline = self.shown, time.monotonic() + 60.0
        while self.shown < before + 2:
            assert time.monotonic() < deadline, "found no scrape"
            time.sleep(0.05)

    def stop(self) -> None:
        """Show nothing any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def page() -> Iterator[_Page]:
    """One that is there."""
    one = _Page()
    yield one
    one.stop()


def _process(taken_up_at: int) -> Any:
    """What is asked of a member: a log that tells of the partition that it took up."""
    now = datetime.now(UTC).isoformat()
    told = f'{{"event": "restored", "place": "in/0", "committed": {taken_up_at}, "timestamp": "{now}"}}\n'
    return SimpleNamespace(told=told)


@pytest.mark.prometheus
def test_samples_are_those_of_the_process_that_was_there_then(page: _Page, tmp_path: Path) -> None:
    """Of two processes at one address each has its own counts and offsets, and a fall to 0 is a start, not a loss."""
    program = find_prometheus("prometheus")
    assert program is not None
    archive = Archive(program, tmp_path / "prometheus", [page.address])
    try:
        archive.watch(_process(0), page.address)
        time.sleep(1.0)  # so that no scrape is too close to the partition that was taken up
        for at in (0, 20, 40):
            page.show(at, at, at)
        page.text = ""
        archive.watch(_process(50), page.address)
        time.sleep(1.0)
        for at in (50, 70, 100):
            page.show(at - 50, at, at)
        stored = archive.read(100)
    finally:
        archive.stop()
    first, second = stored.looks
    assert [(one.counted["records_consumed", ""], one.spans()) for one in (first, second)] == [
        (40, {0: [(0, 40)]}),
        (50, {0: [(50, 100)]}),
    ]
    assert not first.faults + second.faults
    assert stored.accounts == {("records_consumed", ""): 100, ("records", "scored"): 100}
    rise = stored.rises["records_consumed", ""]
    assert rise.seen == 90
    assert rise.seen <= rise.increase <= rise.at_most < 130
