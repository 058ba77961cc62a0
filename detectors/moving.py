"""Means and spreads over the newest points of a lane, from rings of fixed length; compiled."""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.minifloat import load, store


@compiled
def _sum_deviations(ring, first, count, centre, power):
    """Sum of (value - centre) ** power, power 1 or 2, over `count` elements; four strands in a fixed order."""
    a = b = c = d = 0.0
    whole = count - count % 4
    for i in range(first, first + whole, 4):
        p = np.float64(load(ring[i])) - centre
        q = np.float64(load(ring[i + 1])) - centre
        r = np.float64(load(ring[i + 2])) - centre
        s = np.float64(load(ring[i + 3])) - centre
        if power == 2:
            p, q, r, s = p * p, q * q, r * r, s * s
        a, b, c, d = a + p, b + q, c + r, d + s
    for i in range(first + whole, first + count):
        p = np.float64(load(ring[i])) - centre
        a += p * p if power == 2 else p
    return (a + b) + (c + d)


@compiled
def push_mean(rings, offset, length, points, value):
    """Put `value` into a moving-mean ring and give the mean of the newest `length` values."""
    rings[offset + points % length] = store(rings, value)
    count = min(points + 1, length)
    return _sum_deviations(rings, offset, count, 0.0, 1) / count


@compiled
def window_moments(window, points, length):
    """(mean, standard deviation) of the newest `length` of the `points` values put into the window so far."""
    size = len(window)
    count = min(points, length)
    first = (points - count) % size
    straight = min(count, size - first)
    wrapped = count - straight
    mean = (_sum_deviations(window, first, straight, 0.0, 1) + _sum_deviations(window, 0, wrapped, 0.0, 1)) / count
    squares = _sum_deviations(window, first, straight, mean, 2) + _sum_deviations(window, 0, wrapped, mean, 2)
    return mean, math.sqrt(squares / count)
