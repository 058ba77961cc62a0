"""A made-up stream of verdicts and anomalies, and a driver that passes it to outputs as a replay would."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.adapters.outputs import ANOMALIES, VERDICTS, Existing, ReplayOutputs
from pipeline.records import Anomaly, Checkpoint, RunIdentity, VerdictTable

RUN = RunIdentity(config_hash="c0ffee", bundle="b1", source="made-up.csv")
KEYS = 9
START_US = 1_700_000_000_000_000


def make_stream(rows: int) -> VerdictTable:
    """Rows of two fields and nine keys; every value that can be missing sometimes is."""
    rng = np.random.default_rng(7)
    index = np.arange(rows)

    def measure() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.where(rng.random(rows) < 0.1, np.nan, rng.normal(50, 10, rows))

    flagged = rng.random(rows) < 0.05
    return VerdictTable(
        key_names=[f"key-{n}" for n in range(KEYS)],
        field_names=("flow", "level"),
        key=rng.integers(0, KEYS, rows).astype(np.int32),
        field=rng.integers(0, 2, rows).astype(np.int8),
        time_us=START_US + index // KEYS * 60_000_000,
        position=index + 1,
        value=measure(),
        expected=measure(),
        lower=measure(),
        upper=measure(),
        score=measure().astype(np.float32),
        threshold=measure().astype(np.float32),
        surprise=measure().astype(np.float32),
        segment_score=measure().astype(np.float32),
        log_scale=measure().astype(np.float32),
        freedom=measure().astype(np.float32),
        is_anomaly=flagged,
        severity=np.where(flagged, rng.integers(1, 5, rows), 0).astype(np.int8),
        phase=rng.integers(-1, 4, rows).astype(np.int8),
        disposition=rng.integers(0, 6, rows).astype(np.int8),
        episode=np.where(flagged, index // 5 * 5 + 1, -1),
        released_by=index + 1,
    )


def part(stream: VerdictTable, start: int, stop: int) -> VerdictTable:
    """Rows of a stream as a micro-batch of their own would give them: with the names of its own keys alone."""
    rows = slice(start, stop)
    used, codes = np.unique(stream.key[rows], return_inverse=True)
    columns = {
        name: getattr(stream, name)[rows]
        for name in VerdictTable.__slots__
        if name not in {"key_names", "field_names", "key"}
    }
    names = [stream.key_names[code] for code in used]
    return VerdictTable(key_names=names, field_names=stream.field_names, key=codes.astype(np.int32), **columns)


def anomalies_of(table: VerdictTable) -> list[Anomaly]:
    """One for each flagged row."""
    return [an_anomaly(position) for position in table.position[table.is_anomaly].tolist()]


def an_anomaly(position: int = 1, **changes: Any) -> Anomaly:
    """Of a record; `changes` are fields that are other."""
    return msgspec.structs.replace(
        Anomaly(
            id=f"made-up/{position}/opened",
            event="opened",
            episode=f"made-up/{position}",
            kind="point",
            key="key",
            field="flow",
            time="2023-11-14T22:13:20Z",
            observed=1.5,
            expected=None,
            lower=None,
            upper=None,
            score=4.0,
            threshold=3.0,
            severity="high",
            peak_score=4.0,
            points=1,
            opened_at="2023-11-14T22:13:20Z",
            contributions={"flow": 1.0},
            streams=[],
            context=[1.0, 2.0],
            bundle="b1",
            source="made-up.csv",
            partition="made-up",
            position=position,
        ),
        **changes,
    )


def state_behind(row: int) -> Checkpoint:
    """A state that says how many rows it is behind."""
    return Checkpoint(RUN, {"row": row}, {"rows": np.array([row])}, ["key-0"], [("key-1", b"\x01\x02")])


def row_of(resumed: Checkpoint | None) -> int:
    """The row to go on with."""
    return int(resumed.meta["row"]) if resumed else 0


def feed(outputs: ReplayOutputs, stream: VerdictTable, start: int, stop: int, micro_batch: int) -> Iterator[int]:
    """Add rows `start` to before `stop` and tell, behind each micro-batch, how many rows were added."""
    for first, last in itertools.pairwise([*range(start, stop, micro_batch), stop]):
        table = part(stream, first, last)
        outputs.add([table], anomalies_of(table))
        yield last


def run_through(
    directory: Path, stream: VerdictTable, micro_batch: int, *, group_rows: int, existing: Existing = "refuse"
) -> None:
    """Pass a stream to outputs from where they are to its end, without checkpoints, and finish."""
    with ReplayOutputs(directory, RUN, existing=existing, group_rows=group_rows) as outputs:
        for _ in feed(outputs, stream, row_of(outputs.resumed), len(stream), micro_batch):
            pass
        outputs.finish()


def contents(directory: Path) -> dict[str, bytes]:
    """The bytes of the two outputs."""
    return {name: (directory / name).read_bytes() for name in (VERDICTS, ANOMALIES)}
