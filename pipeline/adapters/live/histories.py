"""What is known of a key: its recent points, and what its rows say."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.live.model import KeyList, LaneHistory, LaneNow, Points
from pipeline.adapters.live.points import LanePoints, RecentPoints
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.records import Place


@dataclass(frozen=True, slots=True)
class Question:
    """What do the rows of a key say? For the loop to answer, which alone may look at them.

    Attributes:
        found: by partition, the lanes of the key by name.
        done: set once it is answered.
    """

    key: str
    found: dict[Place, dict[str, LaneNow]] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


def answer(question: Question, engines: Mapping[Place, PartitionEngine], warm_up: int) -> None:
    """Look at the rows of a key in engines that are at rest.

    Args:
        warm_up: points after which a lane is judged.
    """
    for place, engine in engines.items():
        slot = engine.lanes.slot_of(question.key)
        if slot is None:
            continue
        rows = engine.lanes.rows(slot)
        question.found[place] = {
            name: _now(rows["scalars"][at], bool(rows["silent"][at]), warm_up)
            for at, name in enumerate(engine.lane_names)
        }
    question.done.set()


def _now(scalars: np.void, silent: bool, warm_up: int) -> LaneNow:  # noqa: FBT001  as in the row
    points = int(scalars["points"])
    provisional = EngineConfig().provisional_points
    return LaneNow(
        phase="stale"
        if silent
        else "warming"
        if points < warm_up
        else "provisional"
        if points < provisional
        else "live",
        points=points,
        newest_ms=int(scalars["last_time_us"]) / 1000.0,
        silent=silent,
        episode_ms=int(scalars["episode_us"]) / 1000.0 if scalars["episode_points"] else None,
    )


def lane_of(
    place: Place, engine: PartitionEngine | None, points: RecentPoints, question: Question, lane: str, limit: int
) -> LaneHistory | None:
    """What is known of a lane in a partition; None where the key has not been there lately.

    Args:
        engine: of the partition; None where it is no longer held.
        lane: '' for the first of the key.
    """
    names = points.fields_of(place) if engine is None else engine.lane_names
    rows = question.found.get(place, {})
    lane = lane or next(iter(names), "")
    found = points.find(place, question.key, lane, limit)
    if found is None and lane not in rows:
        return None
    return LaneHistory(
        topic=place.topic,
        partition=place.partition,
        field=lane,
        lanes=list(names),
        now=rows.get(lane),
        points=no_points() if found is None else _columns(found),
    )


def no_points() -> Points:
    """Columns without rows."""
    return Points(**{name: [] for name in Points.__struct_fields__})


def _columns(found: LanePoints) -> Points:
    return Points(
        time_ms=(found.time_us / 1000.0).tolist(),
        value=_or_none(found.value),
        expected=_or_none(found.expected),
        lower=_or_none(found.lower),
        upper=_or_none(found.upper),
        score=_or_none(found.score),
        threshold=_or_none(found.threshold),
        severity=found.severity.tolist(),
        phase=found.phase.tolist(),
        position=found.position.tolist(),
    )


def _or_none(column: NDArray[np.float64] | NDArray[np.float32]) -> list[float | None]:
    return [
        value if finite else None for value, finite in zip(column.tolist(), np.isfinite(column).tolist(), strict=True)
    ]


def search(engines: Mapping[Place, PartitionEngine], points: RecentPoints, query: str, limit: int) -> KeyList:
    """Keys in memory that hold a text, whatever the case, those that begin with it first.

    With '' as text those that were heard of most lately.
    """
    if not query:
        # those of which nothing could be used, and what came without a key, have points and are no lanes
        newest = (
            key
            for place in points.places()
            if (engine := engines.get(place)) is not None
            for key in points.keys(place)
            if engine.lanes.slot_of(key) is not None
        )
        recent = islice(_distinct(newest), limit)
        return KeyList(list(recent), sum(len(engine.lanes) for engine in engines.values()))
    wanted = query.casefold()
    # a list is copied in one go, so that the loop may change it meanwhile
    names = dict.fromkeys(name for engine in engines.values() for name in list(engine.lanes.names))
    found = [name for name in names if wanted in name.casefold()]
    found.sort(key=lambda name: (not name.casefold().startswith(wanted), name))
    return KeyList(found[:limit], len(found))


def _distinct(names: Iterator[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name not in seen:
            seen.add(name)
            yield name
