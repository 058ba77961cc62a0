"""The rows of a key in the slab: of which lanes they are, and what a row is made of."""

from typing import Any

import numpy as np

from detectors.joint import joint_arrays
from pipeline.lane_detector import LaneDetector
from pipeline.records import JOINT
from pipeline.silence import LANE_FIELDS
from pipeline.windows import WindowSpec, lane_fields

MOST_FIELDS = 127
"""Of a record; verdicts name a field by eight bits."""


def lanes_of_key(fields: tuple[str, ...], *, joint: bool) -> tuple[str, ...]:
    """Names of the lanes that a key has rows for: its fields, and its joint lane where `joint` and it has several.

    Raises:
        ValueError: too many fields, or one with the name of the joint lane.
    """
    if len(fields) > MOST_FIELDS:
        raise ValueError(f"found {len(fields)} fields of a record; expected at most {MOST_FIELDS}")
    if JOINT in fields:
        raise ValueError(f"found a field {JOINT!r}; expected another name: it stands for all fields of a key together")
    return (*fields, JOINT) if joint and len(fields) > 1 else fields


def row_type(detector: LaneDetector, windows: WindowSpec, fields: int, lanes: int) -> np.dtype[Any]:
    """One record with all that a lane remembers: for the detector, its joint lane, the windows and the silence.

    Args:
        detector: of the partition.
        windows: which windows its points go through.
        fields: of a record.
        lanes: of a key.
    """
    added = [*(joint_arrays(fields) if lanes > fields else []), *lane_fields(windows), *LANE_FIELDS]
    # field by field, since `descr` forgets the alignment, and another type would be compiled for again
    lane = detector.lane_dtype
    return np.dtype([*((name, lane[name]) for name in lane.names or ()), *added])
