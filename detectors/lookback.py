"""Look-back by the clock: the lane's own value one period (a day, a week) ago, from slots of the period.

Each slot holds the mean of the points that fell into it when it was last visited, in frame units. A point stands for
the time from itself to one sampling interval later, so streams coarser than a slot fill all the slots they stand for.
Slots follow event time: gaps and irregular sampling leave older values in place and move nothing.
"""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.minifloat import load, store

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US
_NEARLY_ZERO = np.float32(2.0**-19)


@compiled
def fill_slot(ring, index, value):
    """Put `value` into a slot; an empty slot is a zero, so a zero is stored as nearly zero."""
    ring[index] = store(ring, value if abs(value) >= _NEARLY_ZERO else _NEARLY_ZERO)


@compiled
def slot_at(time_us, slots, period_us):
    """Slot of the period that a time lies in."""
    return (time_us % period_us) * slots // period_us


@compiled
def leave_slot(ring, offset, slots, period_us, slot, mean, since_us, interval_us, entered):
    """Write the mean of the slot being left, and of every slot its last point stood for.

    Returns:
        What the slot held before, which is still its value of one period ago for a point just behind it; NaN when the
        slot entered is not the next one.
    """
    replaced = load(ring[offset + slot])
    fill_slot(ring, offset + slot, mean)
    width = period_us / slots
    if interval_us > width:
        begin = (since_us % period_us) / width
        first = np.int64(math.ceil(begin - 0.5))
        last = np.int64(math.ceil(begin + interval_us / width - 0.5))
        for i in range(first, min(last, first + slots)):
            fill_slot(ring, offset + i % slots, mean)
    return replaced if (slot + 1) % slots == entered else np.float32(np.nan)


@compiled
def look_up(ring, offset, slots, period_us, time_us, left_slot, left_value):
    """(value, found) one period before a time, linear between the centres of the two slots around it.

    Args:
        time_us: middle of the interval that the point in question stands for.
        left_slot: the slot written last.
        left_value: what it held before, see `leave_slot`; NaN when it does not matter.
    """
    place = (time_us % period_us) * slots / period_us - 0.5
    low = math.floor(place)
    i = np.int64(low) % slots
    j = (i + 1) % slots
    before, after = load(ring[offset + i]), load(ring[offset + j])
    if i == left_slot and not math.isnan(left_value):
        before = left_value
    if before != 0 and after != 0:
        return np.float64(before) + (np.float64(after) - np.float64(before)) * (place - low), True
    if before != 0:
        return np.float64(before), True
    return np.float64(after), after != 0
