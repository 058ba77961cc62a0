"""The segment score: how much energy there has lately been in a lane's derived streams, for anomalies that last.

The event score asks how rare a point is, and saturates: once a long anomaly is part of the past it is ranked in, it is
rare no more. The segment score asks how far the streams are from their usual mean, in usual standard deviations, and
smooths over some points. Streams count in three groups, so that no kind of change outvotes another:

    q_g = mean of z^2 over the streams of group g,   E_g <- E_g + 0.2 (q_g - E_g),   score = mean over g of log(1 + E_g)

Mean and variance of each stream are exponentially weighted (West 1979) over 2,000 points, their innovations clipped at
4 standard deviations, so that an anomaly hardly moves them and a level that lasts is taken over in time.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.normalise import FRAME_AFTER
from detectors.profiles import Profile
from detectors.streams import SEGMENT_GROUPS, STREAMS

MEMORY = 2000
CLIP_SD = 4.0
CLIP_AFTER = 30
LARGEST_Z = 20.0
KNOWN_AFTER = 100
"""Values of a stream before its mean and variance are gone by."""
SMOOTHING = np.float32(0.2)
GROUPS = max(SEGMENT_GROUPS.values()) + 1
_LEAST_VARIANCE = 1e-18


class Segment(NamedTuple):
    """Streams of the segment score, as the kernel takes them."""

    streams: NDArray[np.int64]  # (S,) index into STREAMS
    groups: NDArray[np.int64]  # (S,) group of each
    kinds: NDArray[np.int64]  # (S,) which of the ages of a lane it has; see `detectors.kernel`


def make_segment(profile: Profile) -> Segment:
    """The streams of a profile."""
    names = profile.segment_streams
    return Segment(
        np.array([STREAMS.index(name) for name in names]),
        np.array([SEGMENT_GROUPS[name] for name in names]),
        np.array([int("seasonal" in name) for name in names]),
    )


@compiled
def smooth_segment(moments, energy, segment, derived, ages):
    """Take a point into the segment score of its lane, and give the score.

    Args:
        moments: (2 S,) float32 mean and variance of each stream, updated in place.
        energy: (GROUPS,) float32 smoothed energies, updated in place.
        segment: the streams.
        derived: derived streams of the point; NaN for one that has nothing to say of it.
        ages: values that the lane has seen of streams of each kind.
    """
    score = 0.0
    for group in range(GROUPS):
        total, known = 0.0, 0
        for s in range(len(segment.streams)):
            value = derived[segment.streams[s]]
            if segment.groups[s] != group or math.isnan(value):
                continue
            kind = segment.kinds[s]
            age = ages[kind] - (FRAME_AFTER if kind == 0 else 0)
            if age < 0:
                continue
            mean, variance = np.float64(moments[2 * s]), np.float64(moments[2 * s + 1])
            innovation = value - mean
            if variance > _LEAST_VARIANCE:
                sd = math.sqrt(variance)
                if age >= KNOWN_AFTER:
                    z = min(abs(innovation) / sd, LARGEST_Z)
                    total += z * z
                    known += 1
                if age >= CLIP_AFTER:
                    innovation = min(max(innovation, -CLIP_SD * sd), CLIP_SD * sd)
            weight = max(1.0 / (age + 1.0), 1.0 / MEMORY)
            moments[2 * s] = mean + weight * innovation
            moments[2 * s + 1] = (1.0 - weight) * (variance + weight * innovation * innovation)
        recent = total / known if known > 0 else 1.0
        energy[group] += SMOOTHING * (np.float32(recent) - energy[group])
        score += math.log1p(np.float64(energy[group]))
    return score / GROUPS
