"""The checks of `driftline check`, in the order in which the service would meet what they look at."""

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.text import Text

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.adapters.kafka.outbox import KafkaOutbox, OutboxSettings
from pipeline.adapters.kafka.topics import TopicAdmin
from pipeline.adapters.state.files import FileStateStore
from pipeline.adapters.state.pages import cut, join
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.serving import require_input, topic_plan, topics_wanted
from pipeline.cli.wiring import open_bundle
from pipeline.cli.workshop import EngineWorkshop
from pipeline.config import Config
from pipeline.engine import PartitionEngine
from pipeline.errors import DriftlineError
from pipeline.records import Batch, Checkpoint, Place, RunIdentity

_MILLION = 1_000_000
_SAMPLE_LANES = 20_000
_REQUEST_MS = 15_000
_MARKS = {"ok": ("OK  ", "green"), "warning": ("WARN", "yellow"), "error": ("FAIL", "bold red"), "info": ("    ", "")}


@dataclass(slots=True)
class _Checks:
    """Prints what is found, and remembers whether all of it was well."""

    console: Console
    failed: bool = False
    inputs: dict[str, int] = field(default_factory=dict)

    def tell(self, level: str, subject: str, text: str) -> None:
        """A line."""
        mark, style = _MARKS[level]
        self.console.print(Text.assemble((mark, style), "  ", f"{subject:<15}", " ", text), soft_wrap=True)
        self.failed = self.failed or level == "error"

    def run(self, subject: str, check: Callable[[], Iterator[tuple[str, str]]]) -> bool:
        """Whether a check went through; what it raises is told."""
        try:
            for level, text in check():
                self.tell(level, subject, text)
        except DriftlineError as exc:
            self.tell("error", subject, str(exc))
            return False
        return True


def check(config: Config, console: Console) -> int:
    """Exit status: 0 when the service could start."""
    checks = _Checks(console)
    engines: list[PartitionEngine] = []
    connections: list[KafkaSettings] = []
    checks.run("configuration", lambda: _configuration(config, connections))
    checks.run("bundle", lambda: _bundle(config, engines))
    if connections and checks.run("broker", lambda: _broker(connections[0])):
        connection = connections[0]
        if checks.run("topics", lambda: _topics(config, connection, checks.inputs)):
            checks.run("reading", lambda: _reading(config, connection, checks.inputs))
            checks.run("writing", lambda: _writing(config, connection))
    checks.run("state store", lambda: _store(config))
    if engines:
        checks.run("state", lambda: _size(config, engines[0], sum(checks.inputs.values())))
    console.print("The service could start." if not checks.failed else "The service could not start.")
    return 2 if checks.failed else 0


def _configuration(config: Config, connections: list[KafkaSettings]) -> Iterator[tuple[str, str]]:
    require_input(config)
    connection = settings_from(config.kafka)
    client_options(connection)
    connections.append(connection)
    what = ", ".join(config.input.topics or ()) or f"topics like {config.input.pattern}"
    yield "ok", f"{what} as {config.input.format}, group {config.kafka.group}"
    if config.kafka.transaction_timeout < 3 * config.service.commit_interval:
        yield "warning", "transaction_timeout is under three commit intervals: slow commits will be ended by the broker"


def _bundle(config: Config, engines: list[PartitionEngine]) -> Iterator[tuple[str, str]]:
    bundle = open_bundle(config)
    engines.append(EngineWorkshop(config, bundle, Path(tempfile.gettempdir())).make(Place("check", 0)).engine)
    yield "ok", f"{bundle.short_id}, profile {config.detector.profile}, risk {config.detector.risk:g}"


def _broker(connection: KafkaSettings) -> Iterator[tuple[str, str]]:
    admin = TopicAdmin(connection)
    admin.close()
    yield "ok", f"{', '.join(connection.bootstrap)} by {connection.security}"


def _topics(config: Config, connection: KafkaSettings, found: dict[str, int]) -> Iterator[tuple[str, str]]:
    admin = TopicAdmin(connection)
    try:
        found.update(admin.inputs(config.input.topics, config.input.pattern))
        for name in config.input.topics or ():
            if name not in found:
                yield "error", f"{name}: found no such topic; expected it to exist, it is to be read"
        for name, partitions in sorted(found.items()):
            yield "ok", f"{name}: {partitions} partitions to read"
        if config.input.pattern is not None and not found:
            yield "warning", f"no topic matches {config.input.pattern}; those made later are found"
        for finding in admin.ensure(topics_wanted(config), found, topic_plan(config), look_only=True):
            yield ("ok" if finding.level == "made" else finding.level), f"{finding.topic}: {finding.text}"
    finally:
        admin.close()


def _reading(config: Config, connection: KafkaSettings, inputs: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Whether records can be fetched, and the group be asked, without joining it."""
    with told_as_feed_error("reading", connection):
        consumer = KafkaConsumer(
            **client_options(connection), group_id=config.kafka.group, enable_auto_commit=False,
            auto_offset_reset="none", isolation_level="read_committed",
        )  # fmt: skip
        try:
            for topic in sorted(inputs):
                where = TopicPartition(topic, 0)
                consumer.assign([where])
                first = consumer.beginning_offsets([where], timeout_ms=_REQUEST_MS)[where]
                end = consumer.end_offsets([where], timeout_ms=_REQUEST_MS)[where]
                consumer.seek(where, first)
                got = consumer.poll(timeout_ms=3000 if end > first else 0, max_records=1)
                at = consumer.committed(where, timeout_ms=_REQUEST_MS)
                read = "a record read" if got else "empty" if end == first else "no record came in 3 s"
                level = "ok" if got or end == first else "warning"
                yield level, f"{topic}/0: {read}; the group is at {at if at is not None else 'no offset yet'} of {end}"
        finally:
            consumer.close(autocommit=False)


def _writing(config: Config, connection: KafkaSettings) -> Iterator[tuple[str, str]]:
    """Whether transactions can be made: one is begun in every output topic that exists, and taken back."""
    admin = TopicAdmin(connection)
    try:
        known = admin.inputs([spec.name for spec in topics_wanted(config)], None)
    finally:
        admin.close()
    settings = OutboxSettings(f"{config.kafka.group}-check-{uuid.uuid4().hex[:8]}")
    outbox = KafkaOutbox(connection, settings, lambda: None)
    try:
        for topic in known:
            outbox.send(topic, 0, key=b"driftline-check", value=b"{}")
        outbox.flush()
    finally:
        outbox.close()
    yield "ok", f"a transaction over {len(known)} topics was begun and taken back"


def _store(config: Config) -> Iterator[tuple[str, str]]:
    if config.state.store == "kafka":
        yield "ok", f"topic {config.state.topic}, see above"
        return
    FileStateStore(config.state.store, config.kafka.group).probe()
    yield "ok", f"{config.state.store}: written, read and removed"


def _size(config: Config, engine: PartitionEngine, partitions: int) -> Iterator[tuple[str, str]]:
    """Memory by arithmetic; the time of a restore by one of a sample in memory."""
    per_lane = engine.lanes.bytes_per_lane
    yield "info", f"{per_lane:,} bytes a lane: {per_lane * _MILLION / 2**30:.2f} GiB per million lanes"
    budget = config.state.budget
    most = f", at most {budget * partitions / 2**30:.1f} GiB for {partitions} partitions" if partitions else ""
    yield (
        "info",
        (
            f"budget {budget / 2**30:.2f} GiB a partition ({budget // per_lane:,} lanes){most}; "
            "twice that while a snapshot goes out"
        ),
    )
    lanes = min(_SAMPLE_LANES, engine.lanes.max_keys * len(engine.fields))
    keys = lanes // len(engine.fields)
    names = [f"key-{n}" for n in range(keys)]
    count = np.arange(keys)
    values = np.random.default_rng(7).random((keys, len(engine.fields)))
    engine.process(Batch(names, count.astype(np.int32), count + 10**15, values, count))
    state = engine.save()
    checkpoint = Checkpoint(RunIdentity("", "", ""), {"clocks": state.clocks}, state.arrays, state.keys, state.spilled)
    snapshot = cut(0, checkpoint)
    pages = list(snapshot.pages)
    began = time.perf_counter()
    join("check", snapshot.mark, pages)
    took = (time.perf_counter() - began) / lanes * _MILLION
    packed = sum(map(len, pages)) / lanes * _MILLION / 2**30
    yield (
        "info",
        (
            f"restoring takes about {took:.0f} s per million lanes here, beside the time that {packed:.1f} GiB take to "
            "come from the store (compressed, lanes that have just begun: more later)"
        ),
    )
