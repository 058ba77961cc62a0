"""What metrics cost of the time of a service, and whether their number depends on the number of keys.

Both sides decode and score the same chunks of messages, in turns. One tells its observer of each and, every so many,
of a commit, and is scraped behind every few of those. Of each chunk the least time of the processor counts that it
took in any round.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.openmetrics import exposition

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.http import Health
from pipeline.adapters.whole_registry import WholeRegistry
from pipeline.cli.budget import AlarmBudget
from pipeline.cli.observing import ServiceObserver
from pipeline.cli.wiring import make_detector
from pipeline.codec.decoding import make_decoder
from pipeline.codec.formats import MessageFormat
from pipeline.config import Given, load_config
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.interfaces import Message
from pipeline.records import Batch, Place
from pipeline.service.plan import Chunk, Standing
from tests.fakes import MemorySpill
from tests.pipeline.service.fakes import Stored

ROUNDS = 8
KEYS, CHUNKS, CHUNK, CHUNKS_PER_COMMIT = 500, 100, 5_000, 20
COMMITS_PER_SCRAPE = 5
"""A service commits once a second, and Prometheus asks every five, as it is set up in deploy/."""
FEW, MANY = 1_000, 1_000_000
AT_MOST = 0.02
_PLACE = Place("metrics", 0)
_START_MS = 1_700_000_000_000
_CONFIG = load_config(None, {"detector.profile": Given("", "dense")}, environ={}).config
_LAYOUT = MessageFormat("json", ("value",), "time", None, "ms")


class _Observed:
    """An engine with its observer, or without."""

    def __init__(self, *, shown: bool, budget: int = 2**32) -> None:
        self.detector = make_detector(_CONFIG, load_bundle(shipped_bundle_path()))
        origin = Origin("metrics", "0", "b")
        config = EngineConfig(max_state_bytes=budget)
        self.engine = PartitionEngine(self.detector, config, ("value",), origin, MemorySpill())
        self.registry = WholeRegistry()
        self.observer = ServiceObserver(
            self.registry, Health(60.0), self.detector, lambda: True, version="1", bundle="b",
            budget=AlarmBudget(0.0007, 0.0),
        ) if shown else None  # fmt: skip

    def tell(self, chunk: Chunk, outcome: Any) -> None:
        """Of a chunk."""
        if self.observer is None:
            return
        count = len(chunk.messages)
        self.observer.fetched(count)
        self.observer.decoded(count)
        self.observer.scored(count)
        self.observer.processed(_PLACE, self.engine, outcome, chunk, decode_s=0.01, scoring_s=0.02)
        self.observer.beat()
        self.observer.set_status({_PLACE: "live"})
        self.observer.in_hand(decoding=0, scoring=0, aborted=0)

    def commit(self) -> None:
        """Tell of a commit."""
        if self.observer is not None:
            self.observer.committed(0.01)
            self.observer.stands({_PLACE: Standing(1, 1, self.engine.counts.to_dict())})

    def scrape(self) -> int:
        """Series shown."""
        if self.observer is None:
            return 0
        text = exposition.generate_latest(self.registry)
        return sum(not line.startswith(b"#") for line in text.splitlines())


def run() -> dict[str, Any]:
    """Figures by name: share of the time that metrics take; series by number of keys."""
    chunks = [*_chunks()]
    _round(chunks[:1], 0)  # compile
    least = np.min([_round(chunks, number) for number in range(ROUNDS)], axis=0)  # what others did meanwhile goes
    bare, shown = least.sum(axis=0)
    few, _ = _series(FEW)
    many, look_s = _series(MANY)
    return {
        "share": round(shown / bare - 1, 4),
        "messages_per_s": {"without": round(CHUNKS * CHUNK / bare), "with metrics": round(CHUNKS * CHUNK / shown)},
        "at_most": AT_MOST,
        "series": {f"{FEW:,} keys": few, f"{MANY:,} keys": many},
        "commit_and_scrape_s": round(look_s, 3),
        "rounds": ROUNDS,
        "messages": CHUNKS * CHUNK,
        "keys": KEYS,
    }


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What the figures fall short of."""
    found = []
    if figures["share"] > figures["at_most"]:
        found.append(f"metrics take {figures['share']:.1%} of the time, expected at most {figures['at_most']:.0%}")
    if len(set(figures["series"].values())) > 1:
        found.append(f"series by keys: {figures['series']}, expected the same number")
    return found


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Rows of the table."""
    yield "share of the processor's time", f"{figures['share']:.2%}", f"<= {figures['at_most']:.0%}"
    for keys, series in figures["series"].items():
        yield f"series with {keys}", f"{series}", "the same"
    yield f"a commit and a scrape with {MANY:,} keys", f"{figures['commit_and_scrape_s']} s", ""


def _chunks() -> Iterator[Sequence[Message]]:
    dice = np.random.default_rng(11)
    phase = dice.uniform(0, 2 * np.pi, KEYS)
    for at in range(CHUNKS):
        numbers = np.arange(at * CHUNK, (at + 1) * CHUNK)
        n, key = np.divmod(numbers, KEYS)
        values = 20 + np.sin(phase[key] + n / 8) + dice.normal(0, 0.1, CHUNK) + 9.0 * (dice.random(CHUNK) < 1e-3)
        yield [
            Stored(number, b"key-%d" % k, b'{"time": %d, "value": %.4f}' % (_START_MS + m * 60_000, value), _START_MS)
            for number, m, k, value in zip(numbers.tolist(), n.tolist(), key.tolist(), values.tolist(), strict=True)
        ]


def _round(chunks: Sequence[Sequence[Message]], number: int) -> NDArray[np.float64]:
    """(chunks, 2) seconds of the processor that each chunk took without metrics and with."""
    made = {shown: _Observed(shown=shown) for shown in ((False, True), (True, False))[number // 2 % 2]}
    sides = made[False], made[True]  # where in memory each lies is not always the same
    decoders = make_decoder(_LAYOUT), make_decoder(_LAYOUT)
    seconds = np.zeros((len(chunks), 2))
    for at, messages in enumerate(chunks):
        chunk = Chunk(messages, 0.0)
        for which in (0, 1) if (at + number) % 2 else (1, 0):
            side = sides[which]
            began = time.process_time()
            side.tell(chunk, side.engine.process(decoders[which].decode(messages)))
            if at % CHUNKS_PER_COMMIT == CHUNKS_PER_COMMIT - 1:
                side.commit()
            if at % (CHUNKS_PER_COMMIT * COMMITS_PER_SCRAPE) == CHUNKS_PER_COMMIT * COMMITS_PER_SCRAPE - 1:
                side.scrape()
            seconds[at, which] = time.process_time() - began
    return seconds


def _series(keys: int) -> tuple[int, float]:
    """(series shown of so many lanes, seconds of the processor that a commit and a scrape took)."""
    side = _Observed(shown=True)
    for start in range(0, keys, 50_000):
        codes = np.arange(start, min(start + 50_000, keys))
        names = [f"key-{code}" for code in codes.tolist()]
        order = np.arange(len(codes))
        batch = Batch(names, order.astype(np.int32), order * 1_000 + 10**15, np.ones((len(codes), 1)), codes)
        side.tell(Chunk([], 0.0), side.engine.process(batch))
    began = time.process_time()
    side.commit()
    return side.scrape(), time.process_time() - began
