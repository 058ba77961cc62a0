"""How `driftline serve` takes part in a group: static members, and topics by pattern."""

import uuid
from pathlib import Path

import pytest

from tests.chaos.records import make_records
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import create_topic, send

pytestmark = pytest.mark.kafka


def _consumed(service: Serving, topic: str) -> float:
    return sum(
        value
        for (name, labels), value in service.metrics().items()
        if name == "driftline_accounting_consumed_records_total" and dict(labels)["topic"] == topic
    )


def test_a_static_member_is_back_at_once(bootstrap: str, tmp_path: Path) -> None:
    """Killed and started again under its name, it goes on long before the session would have timed out."""
    topic = f"in-{uuid.uuid4().hex[:8]}"
    names = Names.of(f"run-{topic}", topic)
    create_topic(bootstrap, topic, 2)
    send(bootstrap, topic, make_records(500, 4, 2, 5, garbage=0.0))
    kafka = {"session_timeout": "5min", "instance": f"member-{topic}"}
    config = write_config(tmp_path / "c.toml", bootstrap, names, kafka=kafka)
    first = Serving(config, tmp_path / "first.log")
    first.wait_for(lambda: _consumed(first, topic) == 500)
    first.kill()
    send(bootstrap, topic, make_records(300, 4, 2, 6, garbage=0.0))
    second = Serving(config, tmp_path / "second.log")
    second.wait_for(lambda: _consumed(second, topic) == 800)
    assert second.stop() == 0


def test_topics_by_pattern_are_found_when_they_appear(bootstrap: str, tmp_path: Path) -> None:
    """A topic that is made later and matches is read from its beginning; one that does not match is left alone."""
    prefix = f"in-{uuid.uuid4().hex[:8]}"
    names = Names.of(f"run-{prefix}", f"{prefix}.first")
    create_topic(bootstrap, f"{prefix}.first", 1)
    send(bootstrap, f"{prefix}.first", make_records(200, 4, 1, 5, garbage=0.0))
    config = write_config(tmp_path / "c.toml", bootstrap, names)
    config.write_text(config.read_text().replace(f'topics = ["{prefix}.first"]', f'pattern = "{prefix}[.].*"'))
    constants = {"pipeline.adapters.kafka.feed._METADATA_AGE_MS": 2_000}
    service = Serving(config, tmp_path / "log", constants=constants)
    service.wait_for(lambda: _consumed(service, f"{prefix}.first") == 200)
    for topic in (f"{prefix}.second", f"other-{prefix}.third"):
        create_topic(bootstrap, topic, 1)
        send(bootstrap, topic, make_records(100, 4, 1, 6, garbage=0.0))
    service.wait_for(lambda: _consumed(service, f"{prefix}.second") == 100)
    assert _consumed(service, f"{prefix}.first") == 200
    assert _consumed(service, f"other-{prefix}.third") == 0
    assert service.stop() == 0
