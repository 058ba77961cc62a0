"""What two summaries say differently, in groups."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

GROUPS = {
    "configuration": ("detector", "profile", "risk", "risk_per_day", "fields", "config_hash", "warm_from", "swaps"),
    "bundle": ("bundle",),
    "counts": (
        "completed", "first_time", "last_time", "records", "points", "problems", "gaps", "lanes", "episodes", "events",
        "flagged_points", "evictions", "returns",
    ),
    "evaluation": ("evaluation",),
    "run": ("driftline", "source", "partitions", "bytes_per_lane", "state_bytes", "run_time_s", "records_per_s",
            "points_per_s"),
}  # fmt: skip
"""Entries of a summary by what they are about. Those of `run` may differ between runs that say the same."""


class Difference(NamedTuple):
    """An entry that differs, by its dotted path; None where a summary has none."""

    entry: str
    a: Any
    b: Any


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Difference]]:
    """By group, the entries in which two summaries differ; empty for a group in which none does."""
    return {
        group: [one for name in names for one in _differing(name, a.get(name), b.get(name))]
        for group, names in GROUPS.items()
    }


def _differing(path: str, a: Any, b: Any) -> Iterator[Difference]:
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        ours, theirs = (one if isinstance(one, Mapping) else {} for one in (a, b))
        for name in dict.fromkeys([*ours, *theirs]):
            yield from _differing(f"{path}.{name}", ours.get(name), theirs.get(name))
    elif a != b:
        yield Difference(path, a, b)
