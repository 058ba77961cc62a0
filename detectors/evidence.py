"""What an episode event rests on: each stream's value in units that people know, and its rank in the lane's past.

Novelty says how much a stream counts. This says why, of the points with an event alone: how many of the points
remembered were as far out on the same side, by the very tails that gave the novelty.
"""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.features import LEAST_SPREAD
from detectors.minifloat import load, negate
from detectors.normalise import scale_of
from detectors.novelty import rank_in_tail
from detectors.streams import (
    MEAN_10,
    MEAN_40,
    MEAN_RESIDUAL_8,
    MEAN_RESIDUAL_32,
    MEAN_RESIDUAL_96,
    MEAN_SURPRISE_1,
    MEAN_SURPRISE_32,
    MEAN_SURPRISE_96,
    RESIDUAL_1,
    RESIDUAL_8,
    RESIDUAL_32,
    RESIDUAL_96,
    SPREAD_10,
    SPREAD_40,
    VALUE,
)

EVIDENCE = np.dtype(
    [
        ("value", "f8"),  # of the stream, see `in_units`
        ("seen", "i4"),  # points remembered that were as far out, or farther, on the same side
        ("among", "i4"),  # points that memory covers; those of clear incidents count, though they are not remembered
        ("exact", "?"),  # False: the tail ends farther out than the value, and more may have been seen
        ("above", "?"),  # the side: above the stream's mean, or below
    ],
    align=True,
)
"""Of one stream at one event; all zero for a stream without novelty."""
_FARTHEST = 50.0


@compiled
def in_units(lane, stream, derived, level):
    """A derived stream in units that people know.

    In those of the value: levels, changes and differences, which are linear in it; spreads, as a standard deviation;
    and residuals, as observed minus forecast by the normaliser as it is now. Means of residuals stay in normalised
    units, and means of surprises in those of the forecast's scale.

    Args:
        lane: scalars, with the point taken in.
        derived: the stream, as novelty ranks it.
        level: normalised value of the point.
    """
    if stream in (RESIDUAL_1, RESIDUAL_8, RESIDUAL_32, RESIDUAL_96):
        forecast = min(max(level - derived, -_FARTHEST), _FARTHEST)
        return lane.previous - (lane.mean + scale_of(lane) * math.sinh(forecast))
    if stream in (MEAN_RESIDUAL_8, MEAN_RESIDUAL_32, MEAN_RESIDUAL_96):
        return derived
    if stream in (MEAN_SURPRISE_1, MEAN_SURPRISE_32, MEAN_SURPRISE_96):
        return derived
    scale = np.float64(lane.frame_scale) if lane.frame_scale > 0 else 1.0
    if stream in (SPREAD_10, SPREAD_40):
        return scale * (math.exp(derived) - LEAST_SPREAD)
    return scale * derived + (lane.frame_mean if stream in (VALUE, MEAN_10, MEAN_40) else 0.0)


@compiled
def weigh(evidence, stored, tails, counts, base, size, mean, among, value):
    """Fill in the evidence of a stream; called before its value is remembered.

    Args:
        evidence: one of EVIDENCE.
        stored, tails, counts, base, size, mean: as for `detectors.novelty.is_uncommon`.
        among: points that memory covers.
        value: in units that people know.
    """
    above = load(stored) > mean
    key = stored if above else negate(stored)
    seen, known = rank_in_tail(key, tails, counts, base if above else base + 2 * size, size)
    evidence.value = value
    evidence.seen = seen
    evidence.among = among
    evidence.exact = not known > key
    evidence.above = above
