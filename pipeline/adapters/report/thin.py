"""Second walk over the verdicts: as many points of the worst lanes as a page can show, the telling ones first."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.report.limits import Limits
from pipeline.adapters.report.survey import Survey
from pipeline.adapters.report.verdicts import Points, concatenate

_EXTREMES = 3  # lowest value, highest value, highest score


def thin(chunks: Iterable[Points], found: Survey, lanes: NDArray[np.int64], limits: Limits) -> dict[int, Points]:
    """The points to plot of each of `lanes`, in order of event time.

    Each lane is cut into buckets of neighbouring points, of which the lowest and the highest value and the highest
    score are kept. Ordinary points, those in and around episodes, and flagged ones have a budget each, shared fairly
    by the lanes; where a lane's points fit its share, a bucket is one point and all are kept.
    """
    budgets = (limits.ordinary_points, limits.whole_points, limits.flagged_points)
    strides = _strides(found, lanes, budgets)
    kept: list[Points] = []
    for chunk in chunks:
        kept.append(_extremes(chunk, found, strides))
        if sum(map(len, kept)) > 2 * sum(budgets):
            kept = [_extremes(concatenate(kept), found, strides)]
    if not kept:
        return {}
    points = _extremes(concatenate(kept), found, strides)  # chunks cut buckets, which are whole again here
    points = points.take(np.lexsort((points.time_us, points.lane)))
    bounds = np.searchsorted(points.lane, [lanes, lanes + 1])
    return {int(lane): points.take(np.arange(*span)) for lane, span in zip(lanes, bounds.T, strict=True)}


def fair_shares(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """How many of its `counts` (n,) each may keep of `total`: all, or where that is too many the same number each."""
    rising = np.sort(counts)
    spent = np.cumsum(rising) - rising
    level = (total - spent) // np.arange(len(counts), 0, -1)
    too_many = np.flatnonzero(rising > level)
    return counts if len(too_many) == 0 else np.minimum(counts, level[too_many[0]])


def _strides(found: Survey, lanes: NDArray[np.int64], budgets: tuple[int, int, int]) -> NDArray[np.int64]:
    """Points per bucket (3, all lanes) of ordinary, whole and flagged points; 0 for lanes that are left out."""
    whole = found.whole_points - found.flagged
    counts = np.stack([found.points - found.flagged - whole, whole, found.flagged])[:, lanes]
    strides = np.zeros((3, len(found.points)), np.int64)
    for kind, budget in enumerate(budgets):
        share = fair_shares(counts[kind], budget)
        buckets = np.maximum(share // _EXTREMES, 1)
        strides[kind, lanes] = np.where(counts[kind] > share, -(-counts[kind] // buckets), 1)
    return strides


def _extremes(chunk: Points, found: Survey, strides: NDArray[np.int64]) -> Points:
    kind = np.where(chunk.severity > 0, 2, found.is_whole(chunk))
    stride = strides[kind, chunk.lane]
    keep = stride == 1
    crowded = np.flatnonzero(stride > 1)
    if len(crowded) == 0:
        return chunk.take(keep)
    bucket = (chunk.lane[crowded].astype(np.int64) * 3 + kind[crowded]) << 40 | chunk.index[crowded] // stride[crowded]
    lowest, highest = _edges(bucket, chunk.value[crowded])
    _, worst = _edges(bucket, chunk.score[crowded])
    keep[crowded[np.concatenate([lowest, highest, worst])]] = True
    return chunk.take(keep)


def _edges(bucket: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in each bucket the lowest and the highest of `values` is; NaN counts as lowest."""
    order = np.lexsort((np.nan_to_num(values, nan=-np.inf), bucket))
    opens = np.flatnonzero(np.diff(bucket[order], prepend=-1))
    return order[opens], order[np.append(opens[1:], len(order)) - 1]
