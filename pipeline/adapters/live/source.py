"""What the API asks: one process of the service, or several that are shown as one."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.adapters.live.model import AnomalyDetail, AnomalyList, KeyHistory, KeyList, Overview
from pipeline.adapters.live.networks import ModelHistory

MOST_ANOMALIES = 1000
"""Events kept, and given at most."""
MOST_POINTS = 5000
"""Points of a lane given at most."""
SEVERITIES = ("none", "low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for.

    Attributes:
        key, field: of this lane alone; '' for any.
        severity: at least.
        event: opened, worsened or closed alone; '' for any.
        limit: most of them.
    """

    key: str = ""
    field: str = ""
    severity: str = "none"
    event: str = ""
    limit: int = 50


class LiveSource(Protocol):
    """Knows how the service is; asked by many threads."""

    def overview(self) -> Overview:
        """How it is now."""

    def anomalies(self, wanted: Wanted) -> AnomalyList:
        """Newest events, newest first."""

    def anomaly(self, identifier: str) -> AnomalyDetail | None:
        """The event of an id; None where it is not among the newest."""

    def keys(self, query: str, limit: int) -> KeyList:
        """Keys that hold a text; with '' those heard of most lately."""

    def history(self, key: str, field: str, limit: int) -> KeyHistory:
        """Recent points of a lane of a key; with '' as field, of its first lane."""


class ModelSource(Protocol):
    """Knows what happened to bundles; answers at once with what it knows."""

    def history(self, bundle: str) -> ModelHistory:
        """What the registry tells.

        Args:
            bundle: that scores.
        """
