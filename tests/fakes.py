"""What the tests of detector and engine share: a small network, a spill in memory, streams and batches of them."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.features import INPUTS
from detectors.kernel import Verdicts
from detectors.network import HORIZONS, Network, joint_inputs, weight_shapes
from detectors.profiles import PROFILES
from detectors.structure import PLAIN, Structure
from detectors.thresholds import fixed_decision
from pipeline.engine import EngineConfig, Outcome, PartitionEngine
from pipeline.episodes import Origin
from pipeline.lane_detector import LaneDetector
from pipeline.records import Batch, Problem, VerdictTable

START_US = 1_400_000_000_000_000
INTERVAL_US = 300_000_000
POINT_FIELDS = (
    "score", "threshold", "expected", "lower", "upper", "surprise", "segment", "points", "gap", "flagged", "event",
    "episode", "log_scale", "freedom",
)  # fmt: skip
"""Columns of `Verdicts` with an entry per point."""
_OTHERS = {"key_names", "field_names", "key", "field", "released_by"}
COLUMNS = tuple(name for name in VerdictTable.__slots__ if name not in _OTHERS)
"""Columns of a `VerdictTable` but for its keys and fields, which are codes, and for when it was told."""


class MemorySpill:
    """Rows of evicted keys, in a dict."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}

    def put_many(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Keep the rows of each key."""
        self.rows.update(rows)

    def take_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows of those of the keys that are kept; they are kept no longer."""
        return {key: self.rows.pop(key) for key in keys if key in self.rows}

    def items(self) -> Iterable[tuple[str, bytes]]:
        """All keys kept at this moment, in order, with their rows."""
        return sorted(self.rows.items())


def make_network(
    layers: int = 1, hidden: int = 6, *, gain: float = 1.0, structure: Structure = PLAIN, fields: tuple[str, ...] = ()
) -> Network:
    """A network of random weights, scaled so that its state neither dies nor saturates.

    Args:
        gain: factor of all weights; 0 forecasts that nothing changes.
        structure: kind of cell, and what is around it.
        fields: of a joint network.
    """
    rng = np.random.default_rng(7)
    inputs = joint_inputs(len(fields)) if fields else INPUTS
    shapes = weight_shapes(layers, hidden, inputs, HORIZONS, len(fields) or 1, structure)
    arrays = {name: rng.normal(0, gain / np.sqrt(hidden), shape).astype(np.float32) for name, shape in shapes.items()}
    return Network(layers, hidden, inputs, HORIZONS, arrays, fields, structure)


def make_detector(
    profile: str = "balanced",
    *,
    layers: int = 1,
    hidden: int = 6,
    gain: float = 1.0,
    structure: Structure = PLAIN,
    threshold: float = 1.7,
    **rules: float,
) -> Detector:
    """A detector with a random network and one threshold."""
    network = make_network(layers, hidden, gain=gain, structure=structure)
    return Detector(network, PROFILES[profile], fixed_decision(threshold, **rules))


def make_engine(
    detector: LaneDetector | None = None,
    config: EngineConfig | None = None,
    *,
    fields: tuple[str, ...] = ("value",),
    keys_in_memory: int | None = None,
) -> PartitionEngine:
    """A fresh engine.

    Args:
        detector: the default of `make_detector` where None.
        config: the default where None.
        fields: of a record.
        keys_in_memory: a state budget with room for just so many keys.
    """
    detector = detector or make_detector()
    config = config or EngineConfig()
    origin = Origin(source="source", partition="0", bundle="bundle")
    engine = PartitionEngine(detector, config, fields, origin, MemorySpill())
    if keys_in_memory is None:
        return engine
    budget = keys_in_memory * engine.lanes.fields * engine.lanes.bytes_per_lane
    return PartitionEngine(detector, dataclasses.replace(config, max_state_bytes=budget), fields, origin, MemorySpill())


def make_batch(
    keys: Sequence[str],
    time_us: NDArray[np.int64],
    values: NDArray[np.float64],
    problems: Sequence[Problem] = (),
) -> Batch:
    """A whole stream as one batch, positions from 1.

    Args:
        keys: (n,) key of each record.
        time_us: (n,)
        values: (n,) or (n, fields).
        problems: see `Batch`.
    """
    names, codes = np.unique(np.array(keys), return_inverse=True)
    return Batch(
        key_names=names.tolist(),
        key_codes=codes.astype(np.int32),
        time_us=np.asarray(time_us, np.int64),
        values=np.asarray(values, np.float64).reshape(len(time_us), -1),
        position=np.arange(1, len(time_us) + 1),
        problems=tuple(problems),
    )


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Fulfils `Partition`: a batch that is read piece by piece."""

    name: str
    whole: Batch
    path: Path = Path("made-up")

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """Those behind a position."""
        behind = int((self.whole.position <= after_row).sum())
        for start in range(behind, len(self.whole), batch_size):
            yield self.whole.slice(start, min(start + batch_size, len(self.whole)))


def one_stream(values: NDArray[np.float64], key: str = "a", interval_us: int = INTERVAL_US) -> Batch:
    """A regular stream of one key."""
    return make_batch([key] * len(values), START_US + interval_us * np.arange(len(values)), values)


def cut(batch: Batch, at: Iterable[int]) -> Iterator[Batch]:
    """The batch in pieces, cut before each of the indices, which rise."""
    for start, stop in itertools.pairwise([0, *at, len(batch)]):
        yield batch.slice(start, stop)


def every(batch: Batch, size: int) -> range:
    """Where to cut a batch into micro-batches of `size` records."""
    return range(size, len(batch), size)


def process(engine: PartitionEngine, batches: Iterable[Batch]) -> list[Outcome]:
    """What came of each batch."""
    return [engine.process(batch) for batch in batches]


def tables_of(outcomes: Iterable[Outcome]) -> list[VerdictTable]:
    """All verdict tables, in order."""
    return [table for outcome in outcomes for table in outcome.verdicts]


def rows_by_lane(outcomes: Iterable[Outcome]) -> dict[tuple[str, str], dict[str, bytes]]:
    """All verdict columns of each (key, field), in order, to the bit."""
    gathered: dict[tuple[str, str], dict[str, list[bytes]]] = {}
    for table in tables_of(outcomes):
        for code, field in {*zip(table.key.tolist(), table.field.tolist(), strict=True)}:
            mine = (table.key == code) & (table.field == field)
            columns = gathered.setdefault((table.key_names[code], table.field_names[field]), {})
            for name in COLUMNS:
                columns.setdefault(name, []).append(getattr(table, name)[mine].tobytes())
    return {lane: {name: b"".join(parts) for name, parts in columns.items()} for lane, columns in gathered.items()}


def column(outcomes: Iterable[Outcome], name: str) -> NDArray[Any]:
    """A verdict column over all outcomes, in order."""
    return np.concatenate([getattr(table, name) for table in tables_of(outcomes)])


def score_in_pieces(
    detector: Detector,
    slab: dict[str, NDArray[Any]],
    rows: NDArray[np.int64],
    time_us: NDArray[np.int64],
    values: NDArray[np.float64],
    cuts: Sequence[int] = (),
) -> Verdicts:
    """Verdicts of all points, scored in pieces cut before each of the indices; only the columns of `POINT_FIELDS`."""
    pieces = [
        detector.score(
            slab, rows[start:stop], time_us[start:stop], values[start:stop], np.arange(start, stop, dtype=np.int64)
        )
        for start, stop in itertools.pairwise([0, *cuts, len(rows)])
    ]
    return pieces[0]._replace(
        **{name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in POINT_FIELDS}
    )


def bits(verdicts: Verdicts, which: NDArray[Any] | slice = slice(None)) -> list[bytes]:
    """The columns of `POINT_FIELDS` of some points, to the bit."""
    return [getattr(verdicts, name)[which].tobytes() for name in POINT_FIELDS]


def seasonal(rng: np.random.Generator, count: int, *, noise: float = 0.1) -> NDArray[np.float64]:
    """A daily cycle of 288 points with noise, (count,)."""
    day = 2 * np.pi * np.arange(count) / 288
    return np.sin(day) + 0.3 * np.sin(3 * day) + noise * rng.normal(size=count)
