"""What the same time a day and a week ago tells of a point and of the one to come; compiled."""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.lookback import DAY_US, WEEK_US, leave_slot, look_up, slot_at
from detectors.normalise import LARGEST_RUN, asinh
from detectors.streams import SEASONAL_DIFFERENCE, WEEKLY_DIFFERENCE


@compiled
def _observe_day(lane, rings, plan, framed, time_us, scale, derived, inputs):
    """Look back one day: inputs 2 to 4 and the seasonal difference; then take this point into its slot."""
    interval = np.int64(lane.interval_us)
    middle = time_us + interval // 2
    slots = plan.day_slots
    slot = slot_at(middle, slots, DAY_US)
    if lane.day_count > 0 and lane.day_slot != slot:
        mean = lane.day_sum / np.float32(lane.day_count)
        lane.day_replaced = leave_slot(
            rings, plan.day, slots, DAY_US, lane.day_slot, mean, lane.last_time_us, interval, slot
        )
        lane.day_sum, lane.day_count = np.float32(0.0), 0
    left = (slot - 1) % slots
    now, have_now = look_up(rings, plan.day, slots, DAY_US, middle, left, lane.day_replaced)
    coming, have_coming = look_up(rings, plan.day, slots, DAY_US, middle + interval, left, lane.day_replaced)
    lane.day_slot = slot
    if lane.day_count < LARGEST_RUN:
        lane.day_sum += np.float32(framed)
        lane.day_count += 1
    if interval * 2 > DAY_US:
        return
    offset = lane.frame_mean - lane.mean
    frame = np.float64(lane.frame_scale)
    if have_now:
        derived[SEASONAL_DIFFERENCE] = framed - now
    if have_coming:
        ahead = asinh((offset + frame * coming) / scale)
        inputs[2] = ahead
        if have_now:
            inputs[3] = ahead - asinh((offset + frame * now) / scale)
        inputs[4] = 1.0


@compiled
def _observe_week(lane, rings, plan, framed, time_us, scale, derived, inputs):
    """Look back one week: inputs 5 and 6 and the weekly difference; then take this point into its slot."""
    interval = np.int64(lane.interval_us)
    middle = time_us + interval // 2
    slots = plan.week_slots
    slot = slot_at(middle, slots, WEEK_US)
    if lane.week_count > 0 and lane.week_slot != slot:
        mean = lane.week_sum / np.float32(lane.week_count)
        lane.week_replaced = leave_slot(
            rings, plan.week, slots, WEEK_US, lane.week_slot, mean, lane.last_time_us, interval, slot
        )
        lane.week_sum, lane.week_count = np.float32(0.0), 0
    left = (slot - 1) % slots
    now, have_now = look_up(rings, plan.week, slots, WEEK_US, middle, left, lane.week_replaced)
    coming, have_coming = look_up(rings, plan.week, slots, WEEK_US, middle + interval, left, lane.week_replaced)
    lane.week_slot = slot
    if lane.week_count < LARGEST_RUN:
        lane.week_sum += np.float32(framed)
        lane.week_count += 1
    if interval * 2 > WEEK_US:
        return
    if have_now:
        derived[WEEKLY_DIFFERENCE] = framed - now
    if have_coming:
        inputs[5] = asinh((lane.frame_mean - lane.mean + np.float64(lane.frame_scale) * coming) / scale)
        inputs[6] = 1.0


@compiled
def look_back(lane, rings, plan, framed, time_us, scale, derived, inputs):
    """Look back a day and a week, once there is a frame and an interval to do so by."""
    if lane.frame_scale > 0 and lane.interval_us > 0:
        if plan.day >= 0:
            _observe_day(lane, rings, plan, framed, time_us, scale, derived, inputs)
        if plan.week >= 0:
            _observe_week(lane, rings, plan, framed, time_us, scale, derived, inputs)


@compiled
def tell_clock(time_us, inputs):
    """Fill the inputs that tell a point's time, in UTC: sine and cosine of the time of day, and the weekend flag."""
    phase = 2.0 * math.pi * (time_us % DAY_US) / DAY_US
    inputs[7] = math.sin(phase)
    inputs[8] = math.cos(phase)
    inputs[9] = 1.0 if (time_us // DAY_US + 3) % 7 >= 5 else 0.0
