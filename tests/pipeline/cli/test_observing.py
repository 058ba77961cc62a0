"""From what happens in the service to its health and metrics, over real HTTP."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from pipeline.adapters.http import Health, serve_http
from pipeline.adapters.service_metrics import DEAD_LETTER_REASONS
from pipeline.cli.observing import ServiceObserver
from pipeline.engine import PartitionEngine
from pipeline.records import Batch, Place
from pipeline.service.plan import Standing
from tests.fakes import make_detector
from tests.pipeline.service.fakes import TestWorkshop

FIRST, SECOND = Place("in", 0), Place("in", 1)


class Observed:
    """An observer, its clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.is_member = False
        self.registry = CollectorRegistry()
        self.health = Health(limit_s=30.0, clock=lambda: self.now_s)
        self.observer = ServiceObserver(
            self.registry, self.health, make_detector(), lambda: self.is_member, version="1", bundle="b",
            clock=lambda: self.now_s,
        )  # fmt: skip
        self.port, self.stop = serve_http("127.0.0.1", 0, self.registry, self.health)

    def round(self, **status: str) -> str:
        """Why it is not ready, or '', behind a round of the loop; partitions by p<number>."""
        self.now_s += 1.0
        self.observer.beat()
        self.observer.set_status({Place("in", int(name[1:])): one for name, one in status.items()})
        return self.ask("/readyz")

    def ask(self, path: str) -> str:
        """The reason told at a path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        assert answer.status == (503 if told["reason"] else 200)
        return str(told["reason"])

    def value(self, name: str, **labels: str) -> float | None:
        """Of a sample."""
        return self.registry.get_sample_value(f"driftline_{name}", labels)


@pytest.fixture
def observed() -> Iterator[Observed]:
    """Ended in the end."""
    made = Observed()
    yield made
    made.stop()


def test_not_ready_before_all_partitions_are_live(observed: Observed) -> None:
    """Joining, restoring and catching up it is healthy and not ready, and says which partitions it waits for."""
    assert observed.round() == "has not joined the group yet"
    observed.is_member = True
    assert observed.round() == "waits for its partitions"
    observed.observer.rebalanced("assigned", [FIRST, SECOND])
    assert observed.round(p0="assigned", p1="assigned") == "restoring in/0, in/1"
    assert observed.round(p0="live", p1="restoring") == "restoring in/1"
    assert observed.round(p0="live", p1="catching_up") == "restoring in/1"
    assert observed.ask("/healthz") == ""
    assert observed.round(p0="live", p1="live") == ""


def test_a_member_without_partitions_becomes_ready(observed: Observed) -> None:
    """Where there are more members than partitions one has none, is of use should another go, and so is ready."""
    observed.is_member = True
    reasons = [observed.round() for _ in range(15)]
    assert reasons[0] == "waits for its partitions"
    assert reasons[-1] == ""
    assert sorted(reasons, reverse=True) == reasons, "went back and forth"
    observed.is_member = False
    assert observed.round() == "has not joined the group yet"


def test_giving_all_partitions_away_keeps_it_ready(observed: Observed) -> None:
    """Revoked in good order it stays a member; also when what it gave away was not restored yet."""
    observed.is_member = True
    observed.observer.rebalanced("assigned", [FIRST])
    assert observed.round(p0="restoring") == "restoring in/0"
    observed.observer.rebalanced("revoked", [FIRST])
    assert observed.round() == ""


def test_thrown_out_of_the_group_it_is_not_ready(observed: Observed) -> None:
    """What it has lost without being asked it can only get back by joining anew."""
    observed.is_member = True
    observed.observer.rebalanced("assigned", [FIRST])
    assert observed.round(p0="live") == ""
    observed.observer.rebalanced("lost", [FIRST])
    observed.is_member = False
    assert observed.round() == "has not joined the group yet"


def test_a_stuck_loop_and_a_stalled_partition_are_unhealthy(observed: Observed) -> None:
    """Both show in health; a partition that goes on is well again."""
    observed.observer.rebalanced("assigned", [FIRST])
    observed.observer.stalled([FIRST])
    assert observed.round(p0="live") == "no progress on in/0 while its lag grows"
    assert observed.value("stalled_partitions") == 1
    observed.observer.stalled([])
    assert observed.round(p0="live") == ""
    observed.now_s += 31
    assert observed.ask("/healthz") == "no round of the loop for 31 s"


def test_partitions_are_shown_by_status(observed: Observed) -> None:
    """Every status is shown, those that no partition has as 0."""
    observed.round(p0="live", p1="live", p2="restoring")
    found = {one: observed.value("partitions", status=one) for one in ("assigned", "restoring", "catching_up", "live")}
    assert found == {"assigned": 0, "restoring": 1, "catching_up": 0, "live": 2}


def test_reasons_of_dead_letters_are_bounded(observed: Observed) -> None:
    """All that are known are shown from the start; one that is not is counted with others of its kind."""
    assert all(observed.value("dead_letters_total", reason=reason) == 0 for reason in DEAD_LETTER_REASONS)
    observed.observer.dead_lettered({"malformed": 2, "made up": 3, "another": 1})
    assert observed.value("dead_letters_total", reason="malformed") == 2
    assert observed.value("dead_letters_total", reason="other") == 4
    assert observed.value("dead_letters_total", reason="made up") is None


def _engine(place: Place, points: int) -> tuple[PartitionEngine, dict[str, object]]:
    engine = TestWorkshop().make(place).engine
    times = np.arange(points) * 1_000_000 + 10**15
    outcome = engine.process(Batch(["a"], np.zeros(points, np.int32), times, np.ones((points, 1)), np.arange(points)))
    return engine, {"engine": engine, "outcome": outcome, "decode_s": 0.1, "scoring_s": 0.2}


def test_partitions_are_shown_while_they_are_held(observed: Observed) -> None:
    """Position, lag, accounts, lanes and snapshots of a partition are shown, and go with it."""
    engine, told = _engine(FIRST, 30)
    observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
    observed.observer.stands({FIRST: Standing(40, 55, engine.counts.to_dict())})
    observed.observer.committed(0.2)
    place = {"topic": "in", "partition": "0"}
    assert observed.value("committed_offset", **place) == 40
    assert observed.value("end_offset", **place) == 55
    assert observed.value("lag_records", **place) == 15
    assert observed.value("accounting_consumed_records_total", **place) == 30
    assert observed.value("accounting_records_total", **place, disposition="warming") == 20
    assert observed.value("accounting_imbalance_records", **place) == 0
    assert observed.value("snapshot_offset", **place) == -1
    observed.observer.snapshot_taken(FIRST, 40)
    observed.observer.stands({FIRST: Standing(41, 55, engine.counts.to_dict())})
    assert observed.value("snapshot_offset", **place) == 40
    assert observed.value("records_consumed_total") == 30
    assert observed.value("commits_total") == 1
    assert observed.value("state_bytes") == engine.lanes.state_bytes
    observed.observer.rebalanced("revoked", [FIRST])
    assert observed.value("committed_offset", **place) is None
    observed.observer.restored(FIRST, 0.1, 17)
    observed.observer.stands({FIRST: Standing(41, 55, engine.counts.to_dict())})
    assert observed.value("snapshot_offset", **place) == 17
    observed.observer.rebalanced("revoked", [FIRST])
    assert observed.value("state_bytes") == 0
    assert observed.value("records_consumed_total") == 30
    assert observed.value("rebalances_total", kind="revoked") == 2


def test_an_account_that_does_not_balance_shows(observed: Observed) -> None:
    """A record that nothing accounts for is seen by whoever looks."""
    engine, _ = _engine(FIRST, 30)
    counts = engine.counts.to_dict() | {"consumed": 31}
    observed.observer.stands({FIRST: Standing(40, 40, counts)})
    assert observed.value("accounting_imbalance_records", topic="in", partition="0") == 1


def test_what_is_told_of_the_service_is_documented() -> None:
    """docs/metrics.md has every metric of the service with its type and labels, and every value of its labels."""
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    made = Observed()
    made.observer.rebalanced("assigned", [FIRST])
    engine, _ = _engine(FIRST, 1)
    made.observer.stands({FIRST: Standing(1, 1, engine.counts.to_dict())})
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `driftline_")}
    suffix = {"counter": "_total", "info": "_info"}
    for family in made.registry.collect():
        name = family.name + suffix.get(family.type, "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        cells = [cell.strip() for cell in rows.pop(name).split("|")]
        assert cells[2] == family.type, name
        assert set(cells[3].replace("`", "").split(", ")) - {""} == labels, name
    made.stop()
    assert rows.keys() == {"driftline_workers", "driftline_worker_restarts_total"}
    for reason in DEAD_LETTER_REASONS:
        assert f"`{reason}`" in text
