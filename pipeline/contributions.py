"""What the fields of a key have to do with an episode event: the share of each, and of joint lanes the values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.episodes import name_shares, share_evidence
from pipeline.joint import Scored
from pipeline.windows import Steps


def contributions(scored: Scored, fields: Sequence[str], width: int) -> list[dict[str, float]]:
    """Of each event, the shares of the fields of its key in the evidence of its record, or of joint lanes.

    Args:
        fields: their names.
        width: lanes of a key.
    """
    steps, verdicts = scored.steps, scored.verdicts
    points: list[int] = verdicts.event_point.tolist()
    if len(fields) == 1:
        return [share_evidence(verdicts.score[point : point + 1], fields) for point in points]
    shares = []
    for event, point in enumerate(points):
        if _is_joint(steps, point, fields, width):
            shares.append(name_shares(scored.shares[event], fields))
            continue
        scores = np.zeros(width, np.float32)
        beside = _beside(steps, point, width)
        scores[steps.lane[beside] % width] = verdicts.score[beside]
        shares.append(share_evidence(scores[: len(fields)], fields))
    return shares


def values_together(scored: Scored, fields: Sequence[str], width: int) -> list[dict[str, float] | None]:
    """Of each event of a joint lane, the values of the fields of its key; None for an event of a field.

    Args:
        fields, width: see `contributions`.
    """
    steps = scored.steps
    values: list[dict[str, float] | None] = []
    for point in scored.verdicts.event_point.tolist():
        if not _is_joint(steps, point, fields, width):
            values.append(None)
            continue
        beside = _beside(steps, point, width)
        names = (steps.lane[beside] % width).tolist()
        values.append(
            {
                fields[field]: value
                for field, value in zip(names, steps.value[beside].tolist(), strict=True)
                if field < len(fields)
            }
        )
    return values


def _is_joint(steps: Steps, point: int, fields: Sequence[str], width: int) -> bool:
    return bool(steps.lane[point] % width >= len(fields))


def _beside(steps: Steps, point: int, width: int) -> NDArray[np.int64]:
    """The steps of the record, key and time of one step, itself among them."""
    start, stop = np.searchsorted(steps.record, [steps.record[point], steps.record[point] + 1])
    same_key = steps.lane[start:stop] // width == steps.lane[point] // width
    same_time = steps.time_us[start:stop] == steps.time_us[point]
    beside: NDArray[np.int64] = np.arange(start, stop)[same_key & same_time]
    return beside
