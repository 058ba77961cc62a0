"""What `driftline check` tells of the state: whether its store works, what is in it, what it takes to hold it."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import fsspec
import numpy as np
from kafka import KafkaConsumer

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.adapters.state.assembly import join
from pipeline.adapters.state.files import FileStateStore
from pipeline.adapters.state.pages import cut
from pipeline.adapters.state.topic import TopicStateStore
from pipeline.cli.check_kafka import Told
from pipeline.cli.workshop import EngineWorkshop
from pipeline.config import Config
from pipeline.engine import PartitionEngine
from pipeline.interfaces import Outbox, StateStore
from pipeline.records import Batch, Checkpoint, Place, Position
from pipeline.service.task import Note, Task

_MILLION = 1_000_000
_SAMPLE_KEYS, _SAMPLE_POINTS = 1_000, 200
_TIMES = 5
_STEP_US = 60_000_000
_INDEX_BYTES = 200
"""About what a key's name and the way from it to its lanes take in memory."""
_READ_S = 10.0


def folder(config: Config) -> Iterator[Told]:
    """Whether a folder can be written and read; one that is not there is not left behind.

    Raises:
        ConfigError: no such kind of URL.
        CheckpointError: it cannot.
    """
    store = FileStateStore(config.state.store, config.kafka.group)
    files, root = fsspec.core.url_to_fs(config.state.store)
    missing = []
    path = root.rstrip("/")
    with suppress(Exception):  # each kind of store raises its own; the probe tells it better
        while path and not files.exists(path):
            missing.append(path)
            path = path.rpartition("/")[0]
    store.probe()
    for path in missing:
        with suppress(Exception):  # as above, and another process may have begun to use it
            files.rmdir(path)
    yield "ok", f"{config.state.store}: written, read and removed"


def topic(config: Config, connection: KafkaSettings, *, exists: bool) -> Iterator[Told]:
    """Whether the topic of the state can be read; whether it can be written is seen with the others.

    Raises:
        FeedError: the brokers do not answer.
        ConfigError: they do not permit it.
    """
    name = config.state.topic
    if not exists:
        yield "info", f"topic {name}: not there yet"
        return
    with (
        told_as_feed_error(f"topic {name}, reading", connection),
        _topic_store(config, connection).slots.open(Place("", 0)) as (consumer, where, first, _),
    ):
        consumer.seek(where, first)
        consumer.poll(timeout_ms=500, max_records=1)
    yield "ok", f"topic {name}: read"


def open_store(config: Config, connection: KafkaSettings) -> StateStore:
    """Where the state is, to be read."""
    if config.state.store == "kafka":
        return _topic_store(config, connection)
    return FileStateStore(config.state.store, config.kafka.group)


def saved(
    config: Config, store: StateStore | None, workshop: EngineWorkshop, committed: dict[Place, Position]
) -> Iterator[Told]:
    """Whether the state behind the group's offsets is there, by restoring it as the service would, for ten seconds.

    Args:
        store: None for one that is yet to be made.

    Raises:
        DriftlineError: the store cannot be read.
    """
    level = "error" if config.state.on_missing == "stop" else "warning"
    began, lanes, size, whole = time.monotonic(), 0, 0, 0
    for place, position in sorted(committed.items()):
        note, name = Note.read(position.note), f"{place.topic}/{place.partition}"
        found = None
        if store is not None:
            reader = store.reader(place, position.offset, note.snapshot)
            is_read = False
            while not is_read and time.monotonic() - began < _READ_S:
                is_read = reader.read(0.5)
            for damage in reader.damages():
                yield "warning", damage
            if not is_read:
                yield "info", f"{name}: its snapshot was not read in {_READ_S:g} s"
                break
            found = reader.found()
        if found is None and note.begin is None:
            yield (
                level,
                (
                    f"{name}: found no usable snapshot for the committed offset {position.offset}; expected one: "
                    'with on_missing = "fresh" in [state] its lanes start anew'
                ),
            )
        if found is None:
            continue
        engine = _load(workshop, place, found[0])
        if engine is None:
            yield level, (
                f"{name}: found a snapshot of configuration {found[0].run.config_hash} and bundle "
                f"{found[0].run.bundle}, which cannot be gone on with; expected this configuration and bundle"
            )  # fmt: skip
            continue
        whole += 1
        lanes += len(engine.lanes) * engine.lanes.fields
        size += sum(array.nbytes for array in found[0].arrays.values())
    took = time.monotonic() - began
    if whole:
        yield (
            "ok",
            (
                f"{whole} of {len(committed)} partitions restored from the store in {took:.1f} s: {lanes:,} lanes, "
                f"{size / 2**20:.1f} MiB; what came behind their snapshots is done again beside that"
            ),
        )
    else:
        yield "info", "no snapshot was restored: there is none, or none is needed yet"


def size(config: Config, workshop: EngineWorkshop, partitions: int) -> Iterator[Told]:
    """Memory by arithmetic; the time of a restore by one of made-up streams, from memory."""
    engine = _sample(workshop)
    per_lane = engine.lanes.bytes_per_lane
    index = _INDEX_BYTES / engine.lanes.fields
    yield (
        "info",
        (
            f"{per_lane:,} bytes a lane, and about {_INDEX_BYTES} for each key: "
            f"{(per_lane + index) * _MILLION / 2**30:.2f} GiB per million lanes"
        ),
    )
    budget = config.state.budget
    most = f", at most {budget * partitions / 2**30:.1f} GiB for {partitions} partitions" if partitions else ""
    yield (
        "info",
        (
            f"budget {budget / 2**30:.2f} GiB a partition ({budget // per_lane:,} lanes){most}; a partition takes "
            "twice its lanes while its snapshot goes out, three times while it is restored"
        ),
    )
    lanes, packed, seconds = _restore(workshop, engine)
    yield (
        "info",
        (
            f"restoring takes {seconds / lanes * _MILLION:.0f} s per million lanes here, and the time that "
            f"{packed / lanes * _MILLION / 2**30:.1f} GiB take to come from the store (measured: {lanes:,} lanes of "
            f"made-up streams, {_SAMPLE_POINTS} points each, in memory)"
        ),
    )


def _sample(workshop: EngineWorkshop) -> PartitionEngine:
    """An engine with lanes that have heard enough to be judged."""
    engine = workshop.make(Place("check", 0)).engine
    fields = len(engine.fields)
    keys = min(_SAMPLE_KEYS, engine.lanes.max_keys)
    dice = np.random.default_rng(7)
    names = [f"stream-{number:06d}" for number in range(keys)]
    codes = np.arange(keys, dtype=np.int32)
    level, phase = dice.normal(50, 20, (keys, fields)), dice.random((keys, fields)) * 2 * np.pi
    for step in range(_SAMPLE_POINTS):
        values = level + 5 * np.sin(step / 48 * 2 * np.pi + phase) + dice.normal(0, 0.5, (keys, fields))
        at = np.full(keys, 1_700_000_000_000_000 + step * _STEP_US)
        engine.process(Batch(names, codes, at, values, np.arange(step * keys, (step + 1) * keys)))
    return engine


def _restore(workshop: EngineWorkshop, engine: PartitionEngine) -> tuple[int, int, float]:
    """(lanes, bytes of their pages, seconds to put the pages together and load them into another engine)."""
    place, state = Place("check", 1), engine.save()
    meta = {"clocks": state.clocks, "counts": engine.counts.to_dict(), "unit": "ms"}
    snapshot = cut(0, Checkpoint(workshop.identity(place), meta, state.arrays, state.keys, state.spilled))
    pages = list(snapshot.pages)
    seconds = float("inf")
    for work in [workshop.make(place) for _ in range(_TIMES)]:  # the fastest: other processes only ever add to it
        began = time.perf_counter()
        Task(place).load(work, join("check", snapshot.mark, pages))
        seconds = min(seconds, time.perf_counter() - began)
    return len(engine.lanes) * engine.lanes.fields, sum(map(len, pages)), seconds


def _load(workshop: EngineWorkshop, place: Place, state: Checkpoint) -> PartitionEngine | None:
    """An engine that goes on from a state; None when there can be none."""
    same = state.run == workshop.identity(place)
    work = workshop.make(place) if same else workshop.make_for(place, state, redo=False)
    if work is not None:
        Task(place).load(work, state)
    workshop.release(place)
    return None if work is None else work.engine


def _topic_store(config: Config, connection: KafkaSettings) -> TopicStateStore:
    def consumer() -> Any:
        return KafkaConsumer(
            **client_options(connection), isolation_level="read_committed", enable_auto_commit=False,
            auto_offset_reset="earliest", max_partition_fetch_bytes=2**23, metrics_enabled=False,
        )  # fmt: skip

    nothing = cast("Outbox", None)  # reading sends nothing
    return TopicStateStore(nothing, config.state.topic, config.kafka.group, consumer)
