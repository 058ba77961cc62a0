"""Several workers shown as one: sums, unions, and a partition that moved."""

import time
from collections.abc import Sequence
from urllib.parse import parse_qsl

import msgspec
import pytest

from pipeline.adapters.live.api import BASE, NotFoundError, endpoints
from pipeline.adapters.live.merged import MergedView
from pipeline.adapters.live.source import MOST_ANOMALIES, Wanted
from pipeline.records import Batch
from tests.fakes import make_engine
from tests.pipeline.adapters.live.samples import PLACE, Models, Told, fleet_batches, get, looping, served


class Workers:
    """Asked as the supervisor asks workers; None is one that is not up."""

    def __init__(self, *told: Told | None) -> None:
        self.tables = [one and {f"{BASE}{e.path}": e for e in endpoints(one.view, Models())} for one in told]

    def ask(self, path: str) -> Sequence[tuple[int, tuple[int, str]]]:
        """See `MergedView.ask`."""
        name, _, query = path.partition("?")
        answers = []
        for table in self.tables:
            if not table:
                answers.append((0, "worker does not answer"))
                continue
            given = dict(parse_qsl(query, keep_blank_values=True))
            try:
                answer = table[name].give(msgspec.convert(given, table[name].takes, strict=False))
            except NotFoundError:
                answers.append((404, "{}"))
            else:
                answers.append((200, msgspec.json.encode(answer).decode()))
        return list(enumerate(answers))


def _half(batch: Batch, which: int) -> Batch:
    """The records of every other key."""
    rows = batch.key_codes % 2 == which
    return Batch(batch.key_names, batch.key_codes[rows], batch.time_us[rows], batch.values[rows], batch.position[rows])


@pytest.fixture(scope="module")
def two() -> tuple[Told, Told]:
    """Two workers, each with half of a fleet."""
    made = Told(), Told()
    for which, told in enumerate(made):
        for batch in fleet_batches(16):
            told.process(_half(batch, which))
            told.commit()
            told.round()
        told.health.set_unready("")
    return made


def test_counts_are_sums_and_lists_are_whole(two: tuple[Told, Told]) -> None:
    """Everything that can be added up is, and events of all come together, newest first."""
    view = MergedView(Workers(*two).ask)
    one, other, both = two[0].view.overview(), two[1].view.overview(), view.overview()
    assert both.keys == one.keys + other.keys == 16
    assert both.records == {name: one.records[name] + other.records[name] for name in one.records}
    assert both.lag_records == 10
    assert (both.ready, both.workers, both.workers_up, len(both.partitions)) == (True, 2, 2, 2)
    assert [moment.records_per_s for moment in both.history] == [
        (a.records_per_s or 0) + (b.records_per_s or 0) for a, b in zip(one.history, other.history, strict=True)
    ]
    assert [moment.time_ms for moment in both.history] == [a.time_ms // 1000 * 1000 for a in one.history]
    every = view.anomalies(Wanted(limit=MOST_ANOMALIES)).anomalies
    assert len(every) == sum(len(told.view.anomalies(Wanted(limit=MOST_ANOMALIES)).anomalies) for told in two)
    assert [a.committed_ms for a in every] == sorted((a.committed_ms for a in every), reverse=True)
    assert (
        view.anomalies(Wanted(severity="high", limit=2)).anomalies
        == [event for event in every if event.severity in {"high", "critical"}][:2]
    )
    assert view.keys("", 500).total == view.keys("-", 500).total == 16
    assert view.anomaly(every[-1].id) is not None
    assert view.anomaly("none") is None


def test_what_keeps_all_from_being_ready_is_said_once(two: tuple[Told, Told]) -> None:
    """As when Kafka is away; reasons that differ are all told."""
    try:
        for told in two:
            told.health.fail("Kafka is away")
        now = MergedView(Workers(*two).ask).overview()
        assert (now.ready, now.reason) == (False, "Kafka is away")
        two[1].health.fail("stuck")
        assert MergedView(Workers(*two).ask).overview().reason == "Kafka is away; stuck"
    finally:
        for told in two:
            told.health.fail("")


def test_one_that_is_down_is_said_to_be(two: tuple[Told, Told]) -> None:
    """The others are shown, and that one is missing is told; with none left that is told as well."""
    now = MergedView(Workers(two[0], None).ask).overview()
    assert (now.ready, now.workers, now.workers_up, now.keys) == (False, 2, 1, 8)
    assert now.reason == "worker 1: worker does not answer"
    gone = MergedView(Workers(None, None).ask)
    assert (gone.overview().reason, gone.overview().workers_up) == ("no worker answers", 0)
    assert abs(gone.overview().now_ms / 1000.0 - time.time()) < 60
    assert not gone.anomalies(Wanted()).anomalies
    assert not gone.history("a", "", 10).found
    assert not gone.keys("", 10).keys
    with served(gone, two[0]) as port:
        assert get(port, "/api/v1/overview")[0] == 200


def test_a_partition_that_moved_is_one() -> None:
    """Points that one worker told of and those that another did are one history, each once, in order."""
    before, after = Told(), Told()
    batches = list(fleet_batches(16))
    for batch in batches[:4]:
        before.process(batch)
    before.commit()
    after.engine = make_engine()
    for batch in batches[:3]:
        after.engine.process(batch)  # done again without output
    for batch in batches[3:]:
        after.process(batch)
    after.commit()
    before.observer.rebalanced("revoked", [PLACE])
    key = after.engine.lanes.names[3]
    with looping(before), looping(after):
        (lane,) = MergedView(Workers(before, after).ask).history(key, "", 5000).lanes
    expected = [
        float(v)
        for b in batches
        for v, code in zip(b.values[:, 0], b.key_codes, strict=True)
        if b.key_names[code] == key
    ]
    assert lane.points.value == expected
    assert lane.now is not None
    assert lane.now.points == len(expected)
