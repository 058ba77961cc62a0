"""The joint lane of a key: what its fields are together, scored as one more lane of the key.

    steps of the fields --detector--> their verdicts --relate--> points of the joint lane --detector--> its verdicts

The rows of a key in the slab are those of its fields, then that of its joint lane. Fields know nothing of it: their
verdicts are the same without.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.joint import JointPoints, allocate_joint_points, relate, view_relations
from detectors.kernel import Verdicts
from detectors.layout import Slab
from pipeline.lane_detector import LaneDetector, LaneWalk
from pipeline.windows import Steps

_OF_EVENTS = {name for name in Verdicts._fields if name.startswith("event_")}


@dataclass(frozen=True, slots=True)
class Scored:
    """What was said of the steps of a batch.

    Attributes:
        steps: with those of joint lanes, behind the steps of the record that they come from.
        verdicts: of each step.
        shares: (m, fields) of each field in what is odd together, for each point with an episode event; NaN where that
            is of a field.
    """

    steps: Steps
    verdicts: Verdicts
    shares: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Walks:
    """A way over steps: `run` it once, on any thread; then ask what was `scored`."""

    run: Callable[[], None]
    scored: Callable[[], Scored]


def walk_fields(detector: LaneDetector, slab: Slab, steps: Steps, width: int) -> Walks:
    """A walk over the steps of fields alone.

    Args:
        detector: scores them.
        slab: the rows in use.
        steps: in order.
        width: fields of a key.
    """
    walk = _begin(detector, slab, steps)

    def scored() -> Scored:
        verdicts = walk.verdicts()
        return Scored(steps, verdicts, np.full((len(verdicts.event_point), width), np.nan, np.float32))

    return Walks(walk.run, scored)


def walk_with_joint(
    detector: LaneDetector, of_joint: LaneDetector, slab: Slab, steps: Steps, width: int, *, in_groups: bool = False
) -> Walks:
    """A walk over the steps of fields, and over what they give to the joint lanes of their keys.

    Args:
        detector, of_joint: score the fields and what they give.
        slab: the rows in use.
        steps: of fields, in order.
        width: rows of a key: its fields, then the joint lane.
        in_groups: whether the steps of one record, key and time are side by side already.
    """
    walk = _begin(detector, slab, steps)
    found: list[Scored] = []

    def run() -> None:
        walk.run()
        verdicts = walk.verdicts()
        points = allocate_joint_points(len(steps), width - 1)
        count = relate(
            view_relations(slab), width, _order(steps, width, in_groups=in_groups), steps.lane, steps.time_us,
            steps.record, steps.position, verdicts.level, verdicts.episode >= 0, points,
        )  # fmt: skip
        joint = _steps_of(points, count, steps, width)
        over_joint = _begin(of_joint, slab, joint)
        over_joint.run()
        found.append(_merge(steps, verdicts, joint, over_joint.verdicts(), points.shares[:count]))

    return Walks(run, lambda: found[0])


def _begin(detector: LaneDetector, slab: Slab, steps: Steps) -> LaneWalk:
    return detector.begin(slab, steps.lane, steps.time_us, steps.value, steps.position, steps.record)


def _order(steps: Steps, width: int, *, in_groups: bool) -> NDArray[np.int64]:
    """The steps with those that belong together side by side; within a record by key, and within a key by time."""
    if in_groups:
        return np.arange(len(steps))
    return np.lexsort((steps.time_us, steps.lane // width, steps.record))


def _steps_of(points: JointPoints, count: int, steps: Steps, width: int) -> Steps:
    """The points of joint lanes as steps."""
    last = points.step[:count]
    return Steps(
        lane=steps.lane[last] // width * width + (width - 1),
        time_us=steps.time_us[last],
        value=points.value[:count].copy(),
        position=points.position[:count].copy(),
        record=steps.record[last],
    )


def _merge(steps: Steps, verdicts: Verdicts, joint: Steps, of_joint: Verdicts, shares: NDArray[np.float32]) -> Scored:
    """Both in the order of their records, joint lanes behind the fields."""
    order = np.argsort(np.concatenate([steps.record, joint.record]), kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    at = np.concatenate([place[verdicts.event_point], place[len(steps) + of_joint.event_point]])
    by_event = np.argsort(at)
    columns = {
        name: np.concatenate([getattr(verdicts, name), getattr(of_joint, name)])[
            by_event if name in _OF_EVENTS else order
        ]
        for name in Verdicts._fields
    }
    columns["event_point"] = at[by_event]
    of_fields = np.full((len(verdicts.event_point), shares.shape[1]), np.nan, np.float32)
    return Scored(
        Steps(
            **{name: np.concatenate([getattr(steps, name), getattr(joint, name)])[order] for name in Steps.__slots__}
        ),
        Verdicts(**columns),
        np.concatenate([of_fields, shares[of_joint.event_point]])[by_event],
    )
