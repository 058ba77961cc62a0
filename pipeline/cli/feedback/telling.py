"""Feedback as people read it."""

from typing import Any

from pipeline.episodes import iso_time
from pipeline.feedback import OPEN_US, Feedback, Ranges
from pipeline.records import JOINT
from pipeline.suppression import Marker


def streams(said: Feedback) -> str:
    """Which keys."""
    return said.key if said.key is not None else f"all like {said.keys}" if said.keys is not None else "all"


def field(said: Feedback) -> str:
    """Which lane of them."""
    return "every" if said.field is None else "all together" if said.field == JOINT else said.field


def end(said: Feedback) -> str:
    """When it ends."""
    return "open" if said.to_us == OPEN_US else iso_time(said.to_us)


def tell(said: Feedback) -> str:
    """In a line."""
    until = "until further notice" if said.to_us == OPEN_US else f"to {iso_time(said.to_us)}"
    where = f"streams: {streams(said)}; field: {field(said)}"
    return f"{said.kind} from {iso_time(said.from_us)} {until}; {where}"


def told_of_feedback(ranges: Ranges, marker: Marker) -> dict[str, Any]:
    """What a summary tells of it, and of what it did."""
    return {
        "digest": ranges.digest(),
        "records": ranges.counts(),
        "suppressed_events": {kind: marker.suppressed[kind] for kind in ("false_alarm", "maintenance")},
        "dropped": marker.drop,
        "outlasted_episodes": marker.outlasted,
    }
