"""A real Prometheus scrapes a running service of two workers over a real broker, and is asked every query there is."""

import json
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pipeline.catalogue.learning import DRIFT_RATIO, TRAINER_METRICS
from tests.capabilities import find_prometheus
from tests.chaos.service import Names, Serving, write_config
from tests.deploy.live import JOB, Prometheus, scraping
from tests.deploy.queries import alerts, of_dashboards, of_rules, of_runbooks, rules, selectors
from tests.kafka_broker import create_topic, read_committed, send

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus]

PARTITIONS, KEYS, POINTS, PARTS = 2, 12, 400, 4
RISK = 10.0
EMPTY = {
    "annotation: Swaps of the bundle": "no bundle is followed here",
    "annotation: Alerts": "nothing fires",
    "driftline-learning: Age of what it has learned": "the shipped bundle was trained on made-up streams",
    "driftline-learning: Mean residual beside that of a day before": "there is no day before",
}
"""Queries that are rightly empty in this run, with the reason; those of alerts beside, as none of them fires."""
NO_TRAINER = {'up{job=~".*driftline.*trainer.*"}', 'process_start_time_seconds{job=~".*driftline.*trainer.*"}'}
ABSENT = {series for metric in (DRIFT_RATIO, *TRAINER_METRICS) for series in metric.series}
"""Series that are rightly not there: no trainer runs here, and no drift is watched for without one."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was sent, what came out, and who saw it."""

    prometheus: Prometheus
    service: Serving
    sent: int
    unusable: int
    anomalies: list[dict[str, Any]]


def _values() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(POINTS, KEYS) noisy waves, with a fault of a few points in every third key, late enough to be judged."""
    dice = np.random.default_rng(7)
    at = np.arange(POINTS)[:, None]
    values = 20 + np.sin(at / 8 + dice.uniform(0, 6, KEYS)) + dice.normal(0, 0.1, (POINTS, KEYS))
    values[300:304, ::3] += 15
    return values


def _messages(first: int, last: int, start_s: float) -> Iterator[tuple[int, bytes, bytes]]:
    values = _values()
    for n in range(first, last):
        for key in range(KEYS):
            content = json.dumps({"time": int((start_s + n) * 1000), "value": round(float(values[n, key]), 4)})
            yield key % PARTITIONS, b"key-%d" % key, content.encode()


@pytest.fixture(scope="module")
def run(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Messages in four parts, each once Prometheus has seen the one before, so that every counter is seen to rise."""
    folder = tmp_path_factory.mktemp("prometheus")
    program = find_prometheus("prometheus")
    assert program is not None
    topic = f"in-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, PARTITIONS)
    names = Names.of(f"run-{topic}", topic)
    config = write_config(
        folder / "c.toml", bootstrap, names, http={"port": 0, "top_lanes": 5}, state={"snapshot_interval": "2s"},
        detector={"profile": "dense", "risk": RISK},
    )  # fmt: skip
    service = Serving(config, folder / "log", "--workers", "2")
    started: Prometheus | None = None
    try:
        service.wait_until_ready(400)  # on a machine that has not compiled the kernels yet
        started = Prometheus(program, folder / "prometheus", scraping({JOB: [f"127.0.0.1:{service.port()}"]}))
        start_s = time.time() - POINTS
        seen = started

        def has_seen(records: int) -> bool:
            time.sleep(0.2)
            return [float(one["value"][1]) for one in seen.query("sum(driftline_records_consumed_total)")] == [records]

        service.wait_for(lambda: has_seen(0))
        for part in range(PARTS):
            last = (part + 1) * POINTS // PARTS
            send(bootstrap, topic, _messages(part * POINTS // PARTS, last, start_s))
            service.wait_for(lambda last=last: has_seen(last * KEYS))
        send(bootstrap, topic, iter([(0, b"key-0", b"no JSON")]))
        sent = POINTS * KEYS + 1

        def is_seen() -> bool:
            time.sleep(0.5)
            return (
                seen.value("sum(driftline_records_consumed_total)") == sent
                and seen.value("sum(driftline_lag_records)") == 0
                and seen.value("max(driftline_committed_offset - driftline_snapshot_offset)") == 0
            )

        def is_evaluated() -> bool:
            seen.at = time.time()
            return (
                is_seen()
                and seen.value("sum(sum_over_time(up[4s]))") >= 3
                and seen.value('driftline_workers{state="up"}') == 2
                and seen.evaluated_s() > seen_s + 2
            )

        service.wait_for(is_seen)
        seen_s = time.time()
        service.wait_for(is_evaluated)  # and `at` stays what it is: all queries are about that moment
        (found,) = read_committed(bootstrap, names.anomalies)
        written = [json.loads(one.value) for messages in found.values() for one in messages]
        yield Run(started, service, sent, 1, written)
    finally:
        if started is not None:
            started.stop()
        service.kill()


def test_every_query_of_every_panel_has_data(run: Run) -> None:
    """Or is on the list of those that are rightly empty, with the reason."""
    empty = {query for query in of_dashboards() if not run.prometheus.query(query.expr)}
    absent = {query for query in of_dashboards() if {one.name for one in selectors(query.expr)} <= ABSENT}
    assert absent
    assert absent <= empty
    assert {query.where for query in empty - absent} == EMPTY.keys()


def test_every_rule_is_evaluated_and_recorded(run: Run) -> None:
    """No rule has an error, labels and annotations included, and every recorded series is there."""
    told = [rule for group in run.prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in told if rule["health"] != "ok"] == []
    assert len(told) == len(rules())
    assert [rule["record"] for rule in rules() if "record" in rule and not run.prometheus.query(rule["record"])] == []


def test_queries_of_runbooks_are_answered(run: Run) -> None:
    """Prometheus understands each as it stands on its page."""
    assert [query.where for query in of_runbooks() if not isinstance(run.prometheus.query(query.expr), list)] == []


def test_what_queries_name_is_there(run: Run) -> None:
    """Every selector of every rule, panel and runbook has series: what is empty is empty for its condition's sake."""
    named = {one.text for query in (*of_rules(), *of_dashboards(), *of_runbooks()) for one in selectors(query.expr)}
    missing = {text for text in named if not run.prometheus.query(text)}
    absent = {text for text in named if text.startswith("ALERTS") or text.partition("{")[0] in ABSENT} | NO_TRAINER
    assert missing == absent


def test_nothing_fires(run: Run) -> None:
    """A healthy service that finds anomalies and a message that cannot be used raises no alert, nor is about to."""
    assert run.prometheus.query("ALERTS") == []
    assert [name for name, rule in alerts().items() if run.prometheus.query(rule["expr"])] == []


def test_the_sums_are_those_of_what_was_sent_and_written(run: Run) -> None:
    """Counters of two workers together agree with the messages of input, anomalies and dead letters."""
    value = run.prometheus.value
    assert value("sum(driftline_records_consumed_total)") == run.sent
    assert value("sum(driftline_records_total)") == run.sent
    assert value("sum(driftline_dead_letters_total)") == run.unusable
    assert value('sum(driftline_stage_out_messages_total{stage="commit"})') == run.sent
    assert value('sum(driftline_score_latency_seconds_count{since="record"})') == run.sent
    events = Counter(one["event"] for one in run.anomalies)
    for event in ("opened", "worsened", "closed"):
        assert value(f'sum(driftline_episode_events_total{{event="{event}"}})') == events[event]
    opened = sum(one["event"] == "opened" and one["kind"] != "silence" for one in run.anomalies)
    assert opened > 0
    assert value("sum(driftline_alarms_opened_total)") == opened
    assert value("sum(driftline_alarms_expected_total)") == pytest.approx(
        RISK * value('sum(driftline_points_total{disposition="scored"})') / 1000
    )
    workers = run.prometheus.query("count by (worker) (driftline_records_consumed_total)")
    assert [one["metric"] for one in workers] == [{"worker": "0"}, {"worker": "1"}]


def test_gauges_and_histograms_of_two_workers_add_up(run: Run) -> None:
    """Each worker shows its own part, and the sum of all is the whole: lanes, partitions, counts, sums and buckets."""
    value = run.prometheus.value
    assert value("sum(driftline_lanes)") == KEYS
    assert value('sum(driftline_partitions{status="live"})') == PARTITIONS
    assert value("count(count by (worker) (driftline_lanes > 0))") == 2
    assert value('driftline_workers{state="up"}') == 2
    assert value("sum(driftline_batch_records_sum)") == run.sent
    scored = value('sum(driftline_points_total{disposition="scored"})')
    assert value("sum(driftline_residual_ratio_count)") == scored > 0
    assert value('sum(driftline_residual_ratio_bucket{le="+Inf"})') == scored
    assert value("max(driftline_watermark_timestamp_seconds) - min(driftline_watermark_timestamp_seconds)") < 2.0


def test_exemplars_lead_to_records_of_anomalies(run: Run) -> None:
    """The ids that Prometheus keeps with the counters are ids in the topic of anomalies, through the supervisor too."""
    now = time.time()
    ids = {one["id"] for one in run.anomalies}
    for counter in ("driftline_anomalies_total", "driftline_alarms_opened_total", "driftline_episode_events_total"):
        told = run.prometheus.get("query_exemplars", query=counter, start=str(now - 300), end=str(now))
        found = {one["labels"]["anomaly_id"] for series in told for one in series["exemplars"]}
        assert found, counter
        assert found <= ids


def test_promtool_finds_nothing_to_say_of_the_metrics(run: Run, promtool: str) -> None:
    """`promtool check metrics`: names, types, help and units are as Prometheus' own people would have them."""
    status, text = run.service.get("/metrics")
    assert status == 200
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
