"""Input topics as a history, against a real broker."""

import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.learning.history import input_sources, newest_us, open_within
from pipeline.cli.learning.job import Job
from pipeline.cli.learning.run import _measure
from pipeline.config import Config, load_config
from pipeline.errors import ShortHistoryError
from tests.chaos.service import Names, write_config
from tests.drifting.streams import INTERVAL_MS, START_MS, make_drifting
from tests.kafka_broker import create_topic, send

pytestmark = pytest.mark.kafka
POINTS = 300


@pytest.fixture
def config(bootstrap: str, tmp_path: Path) -> Config:
    """Of two topics, of which one is empty, and a third that is not there."""
    run = uuid.uuid4().hex[:8]
    names = [f"{run}-{kind}" for kind in ("full", "empty", "missing")]
    for name in names[:2]:
        create_topic(bootstrap, name, 2, {})
    file = write_config(tmp_path / "c.toml", bootstrap, Names.of(run, names[0]), input={"topics": names})
    return load_config(file, environ={}).config


def test_how_far_a_history_reaches(config: Config, bootstrap: str) -> None:
    """About the newest event time, though a record tells of next century; nothing where there are no records."""
    sources = input_sources(config)
    assert len(sources) == 3
    assert newest_us(config, sources) is None
    records = list(make_drifting(POINTS, change=POINTS))
    wrong = json.dumps({"time": START_MS * 2, "value": 1.0}).encode()
    send(bootstrap, sources[0].rpartition("/")[2], [*records, (0, b"key-0", wrong), (1, b"key-1", b"garbage")])
    newest = newest_us(config, sources)
    assert newest is not None
    last = 1000 * (START_MS + (POINTS - 1) * INTERVAL_MS)
    assert last - 20 * 1000 * INTERVAL_MS < newest <= last


def test_what_is_read_lies_within_the_range(config: Config, bootstrap: str) -> None:
    """By the records' own event times, though Kafka has other ones; those without one are left out."""
    name = input_sources(config)[0]
    send(bootstrap, name.rpartition("/")[2], [*make_drifting(POINTS, change=POINTS), (0, b"key-0", b"garbage")])
    first, end = (1000 * (START_MS + point * INTERVAL_MS) for point in (50, 200))
    found = [
        batch for partition in open_within(name, config, first, end).partitions for batch in partition.batches(100)
    ]
    times = np.concatenate([batch.time_us for batch in found])
    assert (times.min(), times.max()) == (first, end - 1000 * INTERVAL_MS)
    assert len(times) == 12 * 150
    assert all(batch.problems == () for batch in found)
    assert max(map(len, found)) <= 100


@pytest.mark.torch
def test_a_topic_that_is_empty_or_missing_does_not_keep_others_from_being_learned_from(
    config: Config, bootstrap: str
) -> None:
    """The history is what the others hold; there is none where none of them holds anything."""
    sources = input_sources(config)
    first, end = (1000 * (START_MS + point * INTERVAL_MS) for point in (0, POINTS))
    job = Job("run", None, {}, "", first, end, "requested")
    with pytest.raises(ShortHistoryError, match="found no"):
        _measure(job, config, sources)
    send(bootstrap, sources[0].rpartition("/")[2], make_drifting(POINTS, change=POINTS))
    measured = _measure(job, config, sources)
    assert measured.ends == {sources[0]: {"0": 6 * POINTS, "1": 6 * POINTS}}
    assert measured.last_us == end - 1000 * INTERVAL_MS
    assert first < measured.cut_us < end
