"""How much of a replay a page shows, so that it opens quickly however long the replay was."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a page holds; within them nothing is left out.

    Attributes:
        lanes: lanes listed and plotted, the worst ones.
        episodes: episodes listed and plotted, the worst ones.
        ordinary_points: points kept outside episodes, at least 600 a lane with the other bounds as they are.
        whole_points: unflagged points kept in and around episodes.
        flagged_points: flagged points kept; more are flagged only where the threshold is of no use.
    """

    lanes: int = 1_000
    episodes: int = 10_000
    ordinary_points: int = 600_000
    whole_points: int = 100_000
    flagged_points: int = 100_000
