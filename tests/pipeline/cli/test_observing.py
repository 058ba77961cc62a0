"""From what happens in the service to its health and metrics, over real HTTP."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pipeline.accounting import Counts
from pipeline.adapters.http import Health, serve_http
from pipeline.adapters.whole_registry import WholeRegistry
from pipeline.catalogue.everything import CATALOGUE, GROUPS
from pipeline.catalogue.service import DEAD_LETTER_REASONS, STAGES
from pipeline.cli.budget import AlarmBudget
from pipeline.cli.observing import ServiceObserver
from pipeline.engine import Outcome, PartitionEngine
from pipeline.records import Batch, Place, RunIdentity
from pipeline.residuals import no_residuals
from pipeline.service.plan import Chunk, Standing
from tests.fakes import make_detector
from tests.pipeline.adapters.outputs.samples import an_anomaly
from tests.pipeline.service.fakes import Stored, TestWorkshop

FIRST, SECOND = Place("in", 0), Place("in", 1)


class Observed:
    """An observer, its clock moved by hand."""

    def __init__(self, *, top_lanes: int = 0) -> None:
        self.now_s = 0.0
        self.is_member = False
        self.registry = WholeRegistry()
        self.health = Health(limit_s=30.0, clock=lambda: self.now_s)
        self.observer = ServiceObserver(
            self.registry, self.health, make_detector(), lambda: self.is_member, version="1", bundle="b",
            budget=AlarmBudget(0.001, 0.0), top_lanes=top_lanes, trained_until={"b": 7.0, "other": 0.0}.__getitem__,
            clock=lambda: self.now_s,
        )  # fmt: skip
        self.port, self.stop = serve_http("127.0.0.1", 0, self.registry, self.health)

    def round(self, **status: str) -> str:
        """Why it is not ready, or '', behind a round of the loop; partitions by p<number>."""
        self.now_s += 1.0
        self.observer.beat()
        self.observer.set_status({Place("in", int(name[1:])): one for name, one in status.items()})
        return self.ask("/readyz")

    def alarm(self, key: str, field: str) -> None:
        """Have an episode of a lane be opened."""
        outcome = Outcome((), (an_anomaly(key=key, field=field),), Counts(), np.zeros(0, np.int64), no_residuals())
        engine = TestWorkshop().make(FIRST).engine
        self.observer.processed(FIRST, engine, outcome, Chunk([], self.now_s), decode_s=0.0, scoring_s=0.0)
        self.commit()

    def commit(self) -> None:
        """All that was processed."""
        self.observer.committed(0.1)
        self.observer.stands({})

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


def test_it_is_told_when_kafka_last_answered(observed: Observed) -> None:
    """As positions are learned, and with none as long as it is in the group; without an answer it is not ready."""
    observed.observer.stands({})
    assert observed.value("last_kafka_answer_timestamp_seconds") == 0
    before_s = time.time()
    observed.observer.stands({FIRST: Standing(7, 9, Counts().to_dict())})
    first = observed.value("last_kafka_answer_timestamp_seconds")
    assert first is not None
    assert before_s <= first <= time.time()
    for _ in range(20):
        assert observed.round(p0="live") == ""
    assert observed.round(p0="live") == "Kafka has not answered for 21 s"
    observed.observer.stands({})
    assert observed.value("last_kafka_answer_timestamp_seconds") == first
    observed.is_member = True
    observed.observer.stands({})  # it holds a partition, of which nothing is known
    assert observed.value("last_kafka_answer_timestamp_seconds") == first
    assert observed.round(p0="assigned") == "restoring in/0; Kafka has not answered for 22 s"
    assert observed.round(p0="restoring") == "restoring in/0"
    observed.observer.fetched(3)
    second = observed.value("last_kafka_answer_timestamp_seconds") or 0
    assert second > first
    observed.round()
    observed.observer.stands({})
    assert (observed.value("last_kafka_answer_timestamp_seconds") or 0) > second


def test_partitions_are_shown_by_status(observed: Observed) -> None:
    """Every status is shown, those that no partition has as 0."""
    observed.round(p0="live", p1="live", p2="restoring")
    found = {one: observed.value("partitions", status=one) for one in ("assigned", "restoring", "catching_up", "live")}
    assert found == {"assigned": 0, "restoring": 1, "catching_up": 0, "live": 2}


def test_reasons_of_dead_letters_are_bounded(observed: Observed) -> None:
    """All that are known are shown from the start; one that is not is counted with others of its kind."""
    assert all(observed.value("dead_letters_total", reason=reason) == 0 for reason in DEAD_LETTER_REASONS)
    observed.observer.dead_lettered({"malformed": 2, "made up": 3, "another": 1})
    observed.commit()
    assert observed.value("dead_letters_total", reason="malformed") == 2
    assert observed.value("dead_letters_total", reason="other") == 4
    assert observed.value("dead_letters_total", reason="made up") is None


def _engine(place: Place, points: int) -> tuple[PartitionEngine, dict[str, object]]:
    engine = TestWorkshop().make(place).engine
    times = np.arange(points) * 1_000_000 + 10**15
    outcome = engine.process(Batch(["a"], np.zeros(points, np.int32), times, np.ones((points, 1)), np.arange(points)))
    chunk = Chunk([Stored(n, b"a", b"", 1_000) for n in range(points)], 0.0)
    return engine, {"engine": engine, "outcome": outcome, "chunk": chunk, "decode_s": 0.1, "scoring_s": 0.2}


def test_partitions_are_shown_while_they_are_held(observed: Observed) -> None:
    """Position, lag, accounts, lanes and snapshots of a partition are shown, and go with it."""
    engine, told = _engine(FIRST, 30)
    observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
    observed.observer.committed(0.2)
    observed.observer.stands({FIRST: Standing(40, 55, engine.counts.to_dict())})
    place = {"topic": "in", "partition": "0"}
    assert observed.value("committed_offset", **place) == 40
    assert observed.value("end_offset", **place) == 55
    assert observed.value("lag_records", **place) == 15
    assert observed.value("accounting_consumed_records_total", **place) == 30
    assert observed.value("accounting_records_total", **place, disposition="warming") == 20
    assert observed.value("accounting_imbalance_records", **place) == 0
    assert observed.value("snapshot_offset", **place) == -1
    observed.observer.snapshot_taken(FIRST, 40, 1.5)
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


def test_latency_runs_from_arrival_to_commit(observed: Observed) -> None:
    """Every message is counted once it is committed, since the time it bears and since it was fetched."""
    _, told = _engine(FIRST, 200)
    observed.now_s = 2.0
    observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
    observed.observer.in_hand(decoding=3, scoring=5, aborted=0)
    assert [observed.value("stage_in_progress_messages", stage=stage) for stage in STAGES] == [3, 5, 200]
    assert observed.value("score_latency_seconds_count", since="fetch") == 0
    observed.observer.committed(0.1)
    observed.observer.in_hand(decoding=0, scoring=0, aborted=2)
    observed.observer.in_hand(decoding=0, scoring=0, aborted=2)
    assert observed.value("score_latency_seconds_count", since="fetch") == 200
    assert observed.value("score_latency_seconds_sum", since="fetch") == 400
    assert observed.value("score_latency_seconds_count", since="record") == 200
    assert observed.value("score_latency_seconds_bucket", since="record", le="3600.0") == 0  # they bear 1970
    assert observed.value("stage_in_progress_messages", stage="commit") == 0
    assert observed.value("stage_out_messages_total", stage="commit") == 200
    assert observed.value("transactions_aborted_total") == 2


def test_what_a_failed_commit_drops_is_not_counted_as_committed(observed: Observed) -> None:
    """Messages whose transaction failed count when they are committed after all, and once."""
    _, told = _engine(FIRST, 10)
    observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
    observed.observer.commit_failed()
    observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
    observed.observer.committed(0.1)
    assert observed.value("score_latency_seconds_count", since="fetch") == 10
    assert observed.value("stage_out_messages_total", stage="commit") == 10
    assert observed.value("stage_in_messages_total", stage="commit") == 20


def test_records_are_counted_with_the_commit_that_makes_them_last(observed: Observed) -> None:
    """What is not committed is not counted, and what a failed commit or a lost partition drops never is."""
    _, told = _engine(FIRST, 10)

    def process() -> None:
        observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
        observed.observer.dead_lettered({"malformed": 3})

    def counted() -> tuple[float | None, ...]:
        return (
            observed.value("records_consumed_total"),
            observed.value("points_total", disposition="warming"),
            observed.value("dead_letters_total", reason="malformed"),
            observed.value("batch_records_count"),
        )

    process()
    assert counted() == (0, 0, 0, 1), "the work is done, and nothing of it lasts"
    observed.observer.commit_failed()
    observed.commit()
    assert counted() == (0, 0, 0, 1)
    process()
    observed.observer.rebalanced("lost", [SECOND])
    observed.commit()
    assert counted() == (0, 0, 0, 2)
    process()
    observed.commit()
    assert counted() == (10, 10, 3, 3)
    observed.commit()
    assert counted() == (10, 10, 3, 3)


def test_a_scrape_sees_a_commit_whole_or_not_at_all(observed: Observed) -> None:
    """However often one looks, the records counted are those up to the offset that is shown beside them."""
    engine, told = _engine(FIRST, 10)
    end, seen = threading.Event(), set()

    def look() -> None:
        while not end.is_set():
            shown = {
                (one.name, one.labels.get("topic")): one.value
                for family in observed.registry.collect()
                for one in family.samples
            }
            offset = shown.get(("driftline_committed_offset", "in"), 0)
            seen.add((offset, shown["driftline_records_consumed_total", None], shown["driftline_commits_total", None]))

    scraping = threading.Thread(target=look)
    scraping.start()
    commits, until_s = 0, time.monotonic() + 60
    while (commits < 200 or len(seen) < 2) and time.monotonic() < until_s:
        commits += 1
        observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
        observed.observer.committed(0.1)
        observed.observer.stands({FIRST: Standing(10 * commits, 10 * commits, engine.counts.to_dict())})
    end.set()
    scraping.join()
    assert len(seen) > 1
    assert all(offset == records == 10 * made for offset, records, made in seen)


def test_alarms_stand_beside_those_that_the_risk_allows(observed: Observed) -> None:
    """Episodes opened by points are alarms; what is expected grows with the points scored."""
    observed.alarm("a", "value")
    engine, told = _engine(FIRST, 30)
    observed.observer.processed(FIRST, **told)  # type: ignore[arg-type]
    observed.commit()
    scored = engine.counts.points["scored"]
    assert scored > 0
    assert observed.value("alarms_opened_total") == 1
    assert observed.value("alarms_expected_total") == pytest.approx(scored * 0.001)


def test_the_bundle_shows_how_old_its_knowledge_is(observed: Observed) -> None:
    """A swap shows another one's."""
    assert observed.value("bundle_trained_until_timestamp_seconds") == 7
    observed.observer.swapped(FIRST, RunIdentity("c", "b", "in/0"), RunIdentity("c", "other", "in/0"))
    assert observed.value("bundle_trained_until_timestamp_seconds") == 0


def test_an_account_that_does_not_balance_shows(observed: Observed) -> None:
    """A record that nothing accounts for is seen by whoever looks."""
    engine, _ = _engine(FIRST, 30)
    counts = engine.counts.to_dict() | {"consumed": 31}
    observed.observer.stands({FIRST: Standing(40, 40, counts)})
    assert observed.value("accounting_imbalance_records", topic="in", partition="0") == 1


def _series_of(keys: int, top_lanes: int = 0) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Names and labels of all that is shown of an engine that has seen so many keys, each with an alarm."""
    made = Observed(top_lanes=top_lanes)
    engine = TestWorkshop().make(FIRST).engine
    order = np.arange(keys)
    names = [f"key-{n}" for n in range(keys)]
    outcome = engine.process(Batch(names, order.astype(np.int32), order + 10**15, np.ones((keys, 1)), order))
    alarms = tuple(an_anomaly(key=name) for name in names)
    chunk = Chunk([Stored(n, b"a", b"", 1_000) for n in range(keys)], 0.0)
    told = replace(outcome, anomalies=alarms)
    made.observer.processed(FIRST, engine, told, chunk, decode_s=0.1, scoring_s=0.1)
    made.observer.committed(0.1)
    made.observer.stands({FIRST: Standing(keys, keys, engine.counts.to_dict())})
    made.stop()
    return {
        (one.name, tuple(sorted(one.labels.items()))) for family in made.registry.collect() for one in family.samples
    }


def test_the_number_of_series_does_not_depend_on_the_number_of_keys() -> None:
    """Ten keys and twenty thousand show the same series; those of lanes by name are as many as asked for, at most."""
    few = _series_of(10)
    assert _series_of(20_000) == few
    assert len(_series_of(20_000, top_lanes=3)) == len(few) + 3


def test_what_the_service_shows_is_what_the_catalogue_has() -> None:
    """Every metric of engine and service is exported with the type and labels that the catalogue gives it."""
    made = Observed(top_lanes=1)
    made.observer.rebalanced("assigned", [FIRST])
    engine, told = _engine(FIRST, 1)
    made.observer.processed(FIRST, **told)  # type: ignore[arg-type]
    made.observer.stands({FIRST: Standing(1, 1, engine.counts.to_dict())})
    made.alarm("a", "value")
    made.observer.service.set_rises({FIRST: 1.0})
    shown = {}
    for family in made.registry.collect():
        metric = CATALOGUE[family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")]
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        shown[metric.name] = (family.type, labels)
    made.stop()
    listed = (*GROUPS["engine"], *GROUPS["service"], *GROUPS["feedback"], *GROUPS["learning"])
    assert shown == {metric.name: (metric.kind, set(metric.label_names)) for metric in listed}
