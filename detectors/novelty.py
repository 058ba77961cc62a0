"""Novelty: how rare a value is in its own stream's bounded past.

Each derived stream of a lane keeps, on each side, the most extreme *distinct* values of two alternating generations
with how often each was seen (ties matter: a value seen often is not rare however extreme). The rank k of a new value in
that tail is exact down to the least extreme value kept, so log10((N + 1) / (k + 1)) is its empirical rarity among the N
points remembered; further in, rarity is interpolated towards 0.3 (a median) at the running mean. A value outside
everything seen gains an overshoot term. The novelties of all streams combine by an L8 norm: close to their maximum,
more when several agree.
"""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.minifloat import load, negate

OVERSHOOT_WEIGHT = 0.4
OVERSHOOT_GAIN = 50.0
OVERSHOOT_LIMIT = 9.0
MEDIAN_RARITY = 0.3
COMMON = 0.5
"""A value less than this part of the way from the mean to the values kept is common: its novelty is 0."""
RARITY_POWER = 0.75
RARITY_POINTS = 4000.0
MEAN_MEMORY = 2000
LARGEST_COUNT = 65535
_LOG10 = np.log10(np.arange(1, 4097))
_LOG10_OF_TOTALS = np.array([math.log10(n) for n in range(1, 8193)])
"""Not a part of the former: numpy's logarithms differ from these in the last bit here and there."""
_SCALES = np.array(
    [1.0 / math.log10(min(max(n + 1.0, 10.0), RARITY_POINTS)) ** RARITY_POWER for n in range(int(RARITY_POINTS) + 1)]
)


@compiled
def remembered(age, generation):
    """Points that the two generations of a lane's tails cover after `age` points."""
    return age if age < generation else generation + age % generation


@compiled
def rarity_scale(points):
    """What turns log10 rarity into novelty: early rarities, from short pasts, weigh relatively more."""
    return _SCALES[min(points, len(_SCALES) - 1)]


@compiled
def mean_weight(points):
    """Weight of a new value in the running mean of a stream that has seen `points` values."""
    return max(1.0 / (points + 1.0), 1.0 / MEAN_MEMORY)


@compiled
def log_total(points):
    """log10(N + 1) for N points remembered, from a table for the numbers that are common."""
    return _LOG10_OF_TOTALS[points] if points < len(_LOG10_OF_TOTALS) else math.log10(points + 1.0)


@compiled
def _log10_of_next(rank):
    """log10(rank + 1), from a table for the ranks that are common."""
    return _LOG10[rank] if rank < len(_LOG10) else math.log10(rank + 1.0)


@compiled
def is_uncommon(stored, tails, counts, base, size, mean):
    """Whether a value is at least half way from the stream's mean to the values kept on its side.

    Args:
        stored: the value as the tails store it; stored values order as values do, so they are compared as they are.
        tails, counts: the lane's tails; this stream's start at `base`: [upper, lower][generation][rank].
        size: distinct values kept a side and generation.
        mean: running mean of the stream.
    """
    value = load(stored)
    upper = value > mean
    first = base + size - 1 if upper else base + 3 * size - 1
    second = first + size
    limit = -np.inf
    limit = max(limit, np.float64(load(tails[first]))) if counts[first] > 0 else limit
    limit = max(limit, np.float64(load(tails[second]))) if counts[second] > 0 else limit
    outward = np.float64(value) - mean if upper else np.float64(mean) - value
    reach = limit - mean if upper else limit + mean
    return outward > 0 and outward >= COMMON * reach


@compiled
def rank_in_tail(key, tails, counts, start, size):
    """(rank, known): how many values at least as extreme as `known` one side of a stream's tails remembers.

    `known` is the key itself where that rank is exact; else the least extreme value down to which ranks are.

    Args:
        key: the value as the tails store it, negated for the lower side.
        start: of the side.
    """
    known = key
    for last in (start + size - 1, start + 2 * size - 1):
        if counts[last] > 0 and tails[last] > known:
            known = tails[last]
    rank = np.int64(0)
    for first in (start, start + size):
        for i in range(first, first + size):
            if counts[i] == 0 or tails[i] < known:
                break
            rank += counts[i]
    return rank, known


@compiled
def novelty(stored, tails, counts, base, size, mean, log_total, scale):
    """Novelty of an uncommon value of a stream; arguments as for `is_uncommon`.

    Args:
        log_total: log10(N + 1) for the N points remembered.
        scale: see `rarity_scale`.
    """
    value = load(stored)
    if value > mean:
        start, other, extreme, centre, key = base, base + 2 * size, value, mean, stored
    else:
        start, other, extreme, centre, key = base + 2 * size, base, -value, -mean, negate(stored)
    rank, known = rank_in_tail(key, tails, counts, start, size)
    rarity = log_total - _log10_of_next(rank)
    if known > key:
        inward = np.float64((extreme - centre) / (load(known) - centre))
        return scale * (MEDIAN_RARITY + (rarity - MEDIAN_RARITY) * inward) if rarity > MEDIAN_RARITY else 0.0
    result = max(rarity, 0.0) * scale
    if rank == 0:
        near, have_near = _furthest(tails, counts, start, size)
        far, have_far = _furthest(tails, counts, other, size)
        spread = near + far
        if have_near and have_far and spread > 0:
            beyond = (np.float64(extreme) - near) / spread
            result += OVERSHOOT_WEIGHT * min(math.log10(1.0 + OVERSHOOT_GAIN * beyond), OVERSHOOT_LIMIT)
    return result


@compiled
def _furthest(tails, counts, start, size):
    """(most extreme value of a side, whether there is one), both generations."""
    furthest, found = -np.inf, False
    for i in (start, start + size):
        if counts[i] > 0:
            furthest, found = max(furthest, np.float64(load(tails[i]))), True
    return furthest, found


@compiled
def _insert(key, tails, counts, start, size):
    """Take one stored value into a descending list of distinct values with counts."""
    last = start + size - 1
    i = start
    while i < last and counts[i] > 0 and tails[i] > key:
        i += 1
    if counts[i] > 0 and tails[i] == key:
        counts[i] = min(counts[i] + 1, LARGEST_COUNT)
        return
    for j in range(last, i, -1):
        tails[j] = tails[j - 1]
        counts[j] = counts[j - 1]
    tails[i] = key
    counts[i] = 1


@compiled
def remember(stored, tails, counts, base, size, generation):
    """Take one value of a stream into the upper and the lower tail of the current generation."""
    upper, lower = base + generation * size, base + (2 + generation) * size
    if counts[upper + size - 1] == 0 or tails[upper + size - 1] <= stored:
        _insert(stored, tails, counts, upper, size)
    if counts[lower + size - 1] == 0 or tails[lower + size - 1] <= negate(stored):
        _insert(negate(stored), tails, counts, lower, size)


@compiled
def forget(counts, base, size, generation):
    """Empty a generation of a stream's tails, upper and lower."""
    for i in range(base + generation * size, base + (generation + 1) * size):
        counts[i] = 0
        counts[i + 2 * size] = 0
