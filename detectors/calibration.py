"""Measuring how often the detector alerts where nothing is wrong.

Streams are made and walked in blocks that depend on nothing but their number, on as many threads as there are workers;
alarms are whole numbers, so that their sums are the same in any order.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.false_alarms import Points, open_episodes
from detectors.joint import allocate_joint_points, joint_arrays, relate, view_relations
from detectors.layout import allocate
from detectors.network import Network
from detectors.profiles import Profile
from detectors.synthetic import Corpus
from detectors.synthetic_keys import make_keys
from detectors.thresholds import AGES, ThresholdTable, fit_thresholds, fixed_decision, make_decision

TRIED = (1.15, 1.3, 1.45, 1.6, 1.75, 1.9, 2.05, 2.2, 2.35, 2.5, 2.65, 2.8, 3.0, 3.2, 3.5, 3.8, 4.2)
STREAMS = 400
"""Of 12,000 points that thresholds are measured on unless told otherwise: 14 of the rarest alarms promised."""
YOUNG_POINTS, YOUNG_STREAMS = 1000, 8
"""Length of further streams and how many there are of them: a lane is young but once, and old for long."""
FIELDS, STREAMS_PER_KEY = (2, 3, 5, 10), 4
"""Fields of the keys that joint lanes are measured on, in turn; and how many streams there are for each key."""
_LEAST_KEYS = 3
"""With each number of fields, however few streams there are."""
_FIELDS_RISK = 0.7
"""Of the fields of those keys, whose own episodes their joint lane leaves out."""
_OLD = len(AGES) - 2
_COUNTED = np.array([*AGES[:-1], 1000, 2000, 4000, AGES[-1]])
"""Edges of the ages that are counted apart."""
_BLOCK_STREAMS = {AGES[-1]: 50, YOUNG_POINTS: 400}

Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Alarms (thresholds, ages) and points (ages)."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some of the streams, or keys, that are measured on."""

    part: int
    start: int
    count: int
    length: int
    fields: int = 1


def calibrate(
    network: Network,
    profile: Profile,
    *,
    seed: int,
    streams: int = STREAMS,
    workers: int = 1,
    progress: Callable[[float], None],
) -> ThresholdTable:
    """Threshold by age and rate of false alarms, from fault-free synthetic streams.

    Args:
        network: the forecaster.
        profile: what its lanes remember.
        seed: of the streams.
        streams: how many of 12,000 points, with eight times as many of 1,000; more make rare alarms more certain.
        workers: threads, which change nothing but the time it takes.
        progress: called with the fraction done.

    Raises:
        ValueError: too few streams to tell.
    """
    count = partial(count_alarms_of_streams, network, profile, seed)
    return fit_thresholds(TRIED, *_join_old(count_alarms(count, stream_blocks(streams), workers, progress)))


def calibrate_joint(
    network: Network,
    profile: Profile,
    table: ThresholdTable,
    *,
    seed: int,
    streams: int = STREAMS,
    workers: int = 1,
    progress: Callable[[float], None],
) -> ThresholdTable:
    """The same of joint lanes, from fault-free keys of several fields: one for each `STREAMS_PER_KEY` streams.

    Args:
        table: of the fields, from `calibrate`.
        network, profile, seed, streams, workers, progress: as there.

    Raises:
        ValueError: too few streams to tell.
    """
    count = partial(count_alarms_of_keys, network, profile, table, seed)
    return fit_thresholds(TRIED, *_join_old(count_alarms(count, key_blocks(streams), workers, progress)))


def stream_blocks(streams: int) -> list[Block]:
    """What so many streams, and those for the young, are made in."""
    return [
        Block(part, start, min(_BLOCK_STREAMS[length], count - start), length)
        for part, (length, count) in enumerate(((AGES[-1], streams), (YOUNG_POINTS, YOUNG_STREAMS * streams)))
        for start in range(0, count, _BLOCK_STREAMS[length])
    ]


def key_blocks(streams: int) -> list[Block]:
    """What the keys that go with so many streams are made in."""
    each = max(_LEAST_KEYS, math.ceil(streams / STREAMS_PER_KEY / len(FIELDS)))
    blocks = []
    for part, length, keys in ((2, AGES[-1], each), (3, YOUNG_POINTS, YOUNG_STREAMS * each)):
        for fields in FIELDS:
            most = max(1, _BLOCK_STREAMS[length] // fields)
            blocks += [Block(part, start, min(most, keys - start), length, fields) for start in range(0, keys, most)]
    return blocks


def count_alarms(
    count: Callable[[Block], Counts], blocks: Sequence[Block], workers: int, progress: Callable[[float], None]
) -> Counts:
    """Alarms and points of all blocks together."""
    alarms, points = np.zeros((len(TRIED), len(_COUNTED) - 1), np.int64), np.zeros(len(_COUNTED) - 1, np.int64)
    work = {block: block.count * block.length * block.fields for block in blocks}
    done, total = 0, sum(work.values())
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(count, block): block for block in blocks}
        try:
            for future in as_completed(running):
                more_alarms, more_points = future.result()
                alarms += more_alarms
                points += more_points
                done += work[running[future]]
                progress(done / total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return alarms, points


def count_alarms_of_streams(network: Network, profile: Profile, seed: int, block: Block) -> Counts:
    """Of a block of synthetic streams."""
    made = Corpus(seed, block.part, block.count, block.length, faults=False).block(block.start)
    lane = np.tile(np.arange(block.count), block.length)
    return _count(network, profile, block.count, Points(lane, made.time_us.T.ravel(), made.values.T.ravel()))


def count_alarms_of_keys(network: Network, profile: Profile, table: ThresholdTable, seed: int, block: Block) -> Counts:
    """Of the joint lanes of a block of synthetic keys."""
    rng = np.random.default_rng([seed, block.part, block.fields, block.start])
    made = make_keys(rng, block.count, block.fields, block.length)
    detector = Detector(network, profile, make_decision(table, _FIELDS_RISK))
    width = block.fields + 1
    rows = (np.arange(block.count)[:, None] * width + np.arange(block.fields)).ravel()
    lane, record = np.tile(rows, block.length), np.arange(block.count * block.length).repeat(block.fields)
    time_us = made.time_us.T.ravel().repeat(block.fields)
    slab = allocate(
        np.dtype(
            [(name, detector.lane_dtype[name]) for name in detector.lane_dtype.names or ()] + joint_arrays(block.fields)
        ),
        block.count * width,
    )
    verdicts = detector.score(slab, lane, time_us, made.values.transpose(2, 0, 1).ravel(), record)
    points = allocate_joint_points(len(lane), block.fields)
    count = relate(
        view_relations(slab), width, np.arange(len(lane)), lane, time_us, record, record, verdicts.level,
        verdicts.episode >= 0, points,
    )  # fmt: skip
    steps = points.step[:count]
    return _count(network, profile, block.count, Points(lane[steps] // width, time_us[steps], points.value[:count]))


def _count(network: Network, profile: Profile, lanes: int, points: Points) -> Counts:
    """Episodes opened at each threshold and age, and points of each age."""
    opened = open_episodes(network, profile, [fixed_decision(threshold) for threshold in TRIED], lanes, points)
    alarms = np.array([np.histogram(ages, _COUNTED)[0] for ages in opened.ages])
    return alarms, np.histogram(opened.points, _COUNTED)[0]


def _join_old(counts: Counts) -> Counts:
    """Alarms and points by group of AGES: of the last, ages count by how long a lane has them, not a short stream."""
    alarms, points = counts
    lasts = np.diff(_COUNTED)[_OLD:] / np.diff(_COUNTED)[_OLD:].sum()
    old_points = points[_OLD:].sum()
    old_alarms = np.round((alarms[:, _OLD:] / points[_OLD:]) @ lasts * old_points).astype(np.int64)
    return np.column_stack([alarms[:, :_OLD], old_alarms]), np.append(points[:_OLD], old_points)
