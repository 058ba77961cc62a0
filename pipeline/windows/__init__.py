"""Sliding windows: which points of a lane the network takes next, by count or by event time; pure."""

from pipeline.windows.assign import Assignment, PartitionClock, assign
from pipeline.windows.points import Points, Steps, place_empty, points_of, steps_before
from pipeline.windows.spec import Aggregate, CountWindows, TimeWindows, WindowSpec, bytes_per_lane, lane_fields

__all__ = [
    "Aggregate",
    "Assignment",
    "CountWindows",
    "PartitionClock",
    "Points",
    "Steps",
    "TimeWindows",
    "WindowSpec",
    "assign",
    "bytes_per_lane",
    "lane_fields",
    "place_empty",
    "points_of",
    "steps_before",
]
