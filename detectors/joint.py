"""How odd the fields of a key are together: how far each is from what the others say of it.

The normalised levels z of fields that belong together move together. Their second moments S, exponentially weighted,
say how; with them, what field i is expected to be given all the others, and how exactly, follows from the inverse P of
S plus a ridge. The residual of that regression in its own standard deviations is (Mason, Tracy and Young 1995, the
conditional terms of T^2)

    u_i = (P z)_i / sqrt(P_ii)

and the joint value of a record is the fourth root of the mean of u_i^4 over its fields: close to a mean where all are a
little odd, and not drowned by the others where one is. It is a series like any other; a lane of its own scores it.

S must not learn an incident: what is odd has less weight, as in an M-estimator of scatter (Maronna 1976), so that
relations that change for good are taken over in time, and a field that reports an episode of its own is left out.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled

MEMORY = 2000
"""Records over which moments are weighted; before that, they are plain averages."""
RIDGE = 0.03
"""Added to each field's own moment, which is about 1: how exact the others are taken to be at best."""
LARGEST_LEVEL = 6.0
USUAL_VALUE = math.sqrt(3.0)
"""Joint value above which a record counts less; of independent normal fields it is 1.32 on average."""
SMOOTHING = 0.1
"""Weight of a record in the shares of the fields: what lasts is told by more than the record that gave it away."""
LEAST_RECORDS, LEAST_PER_FIELD = 60, 3
"""Records that a field's relations are learned from before it is judged by them."""


class Relations(NamedTuple):
    """What the lanes of a key remember of one another: arrays of the slab."""

    joint_records: NDArray[np.int32]  # (lanes,) records that the relations of the field were learned from
    joint_evidence: NDArray[np.float32]  # (lanes,) u^4 of the field, smoothed: its part in what was odd lately
    joint_moments: NDArray[np.float32]  # (lanes, fields) mean product of the field's level with that of each field


class JointPoints(NamedTuple):
    """Points of joint lanes (n,), in order; as many as are filled."""

    step: NDArray[np.int64]  # the last of the steps that a point is made of
    position: NDArray[np.int64]  # the last of their positions
    value: NDArray[np.float64]
    shares: NDArray[np.float32]  # (n, fields) of each field in what was odd lately; they sum to 1


class _Work(NamedTuple):
    """Scratch for the fields of a record."""

    chosen: NDArray[np.int64]  # (fields,) those that are judged
    learned: NDArray[np.int64]  # (fields,) those that are learned from
    levels: NDArray[np.float64]  # (fields,) of each field
    moments: NDArray[np.float64]  # (fields, fields), upper triangle
    inverse: NDArray[np.float64]  # (fields, fields) of the Cholesky factor, lower triangle
    pivot: NDArray[np.float64]  # (2, fields)
    solved: NDArray[np.float64]  # (fields,)
    precision: NDArray[np.float64]  # (fields,) diagonal of the inverse of the moments


def joint_arrays(fields: int) -> list[tuple[str, str] | tuple[str, str, tuple[int]]]:
    """What joint lanes add to the row of each lane of a key with so many fields; zeros are a key that was not seen."""
    return [("joint_records", "i4"), ("joint_evidence", "f4"), ("joint_moments", "f4", (fields,))]


def view_relations(slab: Mapping[str, NDArray[Any]]) -> Relations:
    """The arrays of a slab."""
    return Relations(*(slab[name] for name in Relations._fields))


def allocate_joint_points(count: int, fields: int) -> JointPoints:
    """Room for so many points."""
    return JointPoints(
        np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count), np.empty((count, fields), np.float32)
    )


@compiled
def _invert_factor(size: int, work: _Work) -> None:
    """Inverse of the Cholesky factor of `work.moments` plus the ridge, by rows; `work.moments` is used up.

    Gauss's elimination on the moments beside a unit matrix: every element is summed in one order, row by row.
    """
    moments, inverse = work.moments, work.inverse
    above, beside = work.pivot[0], work.pivot[1]
    for i in range(size):
        moments[i, i] += RIDGE
        inverse[i, :size] = 0.0
        inverse[i, i] = 1.0
    for k in range(size):
        # where fields come apart the moments of pairs are of different records, and need not fit together
        scale = 1.0 / math.sqrt(max(moments[k, k], RIDGE))
        # unsigned, so that no index has to be looked at for being negative, and the loops run several elements at once
        for j in range(np.uint64(k), np.uint64(size)):
            above[j] = moments[k, j] * scale
        for j in range(np.uint64(k + 1)):
            inverse[k, j] *= scale
            beside[j] = inverse[k, j]
        for i in range(k + 1, size):
            factor = above[i]
            for j in range(np.uint64(i), np.uint64(size)):
                moments[i, j] -= factor * above[j]
            for j in range(np.uint64(k + 1)):
                inverse[i, j] -= factor * beside[j]


@compiled
def _compare(size: int, work: _Work) -> float:
    """Joint value of the chosen fields; puts the u^4 of each into `work.solved`."""
    inverse, solved, precision = work.inverse, work.solved, work.precision
    solved[:size] = 0.0
    precision[:size] = 0.0
    for k in range(size):
        along = 0.0
        for j in range(k + 1):
            along += inverse[k, j] * work.levels[work.chosen[j]]
        for j in range(k + 1):
            solved[j] += inverse[k, j] * along
            precision[j] += inverse[k, j] * inverse[k, j]
    total = 0.0
    for j in range(size):
        square = solved[j] * solved[j] / precision[j]
        solved[j] = square * square
        total += solved[j]
    return math.sqrt(math.sqrt(total / size))


@compiled
def _share(evidence: NDArray[np.float32], size: int, work: _Work, shares: NDArray[np.float32]) -> None:
    """Take the u^4 of the chosen fields into the evidence of the key, (fields,), and fill their shares of it."""
    total = 0.0
    for j in range(size):
        field = work.chosen[j]
        evidence[field] += np.float32(SMOOTHING * (work.solved[j] - evidence[field]))
        total += evidence[field]
    shares[:] = 0.0
    for j in range(size):
        shares[work.chosen[j]] = evidence[work.chosen[j]] / total if total > 0 else 1.0 / size


@compiled
def _judge(relations: Relations, base: int, size: int, work: _Work, shares: NDArray[np.float32]) -> float:
    """Joint value of the `size` chosen fields of the key whose rows begin at `base`."""
    for a in range(size):
        for b in range(a, size):
            work.moments[a, b] = relations.joint_moments[base + work.chosen[a], work.chosen[b]]
    _invert_factor(size, work)
    value: float = _compare(size, work)
    _share(relations.joint_evidence[base : base + len(shares)], size, work, shares)
    return value


@compiled
def _learn(relations: Relations, base: int, size: int, work: _Work, value: float) -> None:
    """Take the levels of the `size` fields that are learned from into the moments of their pairs."""
    records, moments = relations.joint_records, relations.joint_moments
    trust = min(1.0, (USUAL_VALUE / value) ** 2) if value > 0 else 1.0
    for a in range(size):
        i = work.learned[a]
        for b in range(a, size):
            j = work.learned[b]
            seen = min(records[base + i], records[base + j])
            weight = max(1.0 / (seen + 1.0), 1.0 / MEMORY) * trust
            old = np.float64(moments[base + i, j])
            new = np.float32(old + weight * (work.levels[i] * work.levels[j] - old))
            moments[base + i, j] = moments[base + j, i] = new
    for a in range(size):
        records[base + work.learned[a]] += 1


def relate(
    relations: Relations,
    width: int,
    order: NDArray[np.int64],
    lane: NDArray[np.int64],
    time_us: NDArray[np.int64],
    record: NDArray[np.int64],
    position: NDArray[np.int64],
    level: NDArray[np.float32],
    in_episode: NDArray[np.bool_],
    points: JointPoints,
) -> int:
    """Fill in the points of joint lanes that the steps of a batch give; returns how many there are.

    Steps of one key, time and record belong together. A field of them is left out while an episode of its own is open,
    or where it has no level; fewer than two that are known give no point.

    Args:
        relations: arrays of the slab, updated in place.
        width: rows of a key: its fields, then the joint lane.
        order: (n,) the steps, those that belong together side by side, in the order in which records came.
        lane, time_us, record, position: (n,) of the steps.
        level, in_episode: (n,) what was said of them: normalised value, and whether an episode is open.
        points: filled.
    """
    fields = width - 1
    work = _Work(
        np.empty(fields, np.int64),
        np.empty(fields, np.int64),
        np.empty(fields),
        np.empty((fields, fields)),
        np.empty((fields, fields)),
        np.empty((2, fields)),
        np.empty(fields),
        np.empty(fields),
    )
    return int(_relate(relations, width, order, lane, time_us, record, position, level, in_episode, work, points))


@compiled
def _relate(
    relations: Relations,
    width: int,
    order: NDArray[np.int64],
    lane: NDArray[np.int64],
    time_us: NDArray[np.int64],
    record: NDArray[np.int64],
    position: NDArray[np.int64],
    level: NDArray[np.float32],
    in_episode: NDArray[np.bool_],
    work: _Work,
    points: JointPoints,
) -> int:
    """As `relate`, with scratch."""
    least = max(LEAST_RECORDS, LEAST_PER_FIELD * (width - 1))
    made = at = 0
    while at < len(order):
        first = order[at]
        base = lane[first] // width * width
        judged = learned = 0
        last = position[first]
        while at < len(order):
            step = order[at]
            if lane[step] // width * width != base or time_us[step] != time_us[first] or record[step] != record[first]:
                break
            last = max(last, position[step])
            if not (in_episode[step] or math.isnan(level[step])):
                field = lane[step] - base
                work.levels[field] = min(max(np.float64(level[step]), -LARGEST_LEVEL), LARGEST_LEVEL)
                work.learned[learned] = field
                learned += 1
                if relations.joint_records[lane[step]] >= least:
                    work.chosen[judged] = field
                    judged += 1
            at += 1
        value = 0.0
        if judged > 1:
            value = _judge(relations, base, judged, work, points.shares[made])
            points.step[made], points.position[made], points.value[made] = order[at - 1], last, value
            made += 1
        if learned > 1:
            _learn(relations, base, learned, work, value)
    return made
