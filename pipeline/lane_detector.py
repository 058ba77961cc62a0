"""What the engine needs of a detector, as a protocol: the LSTM fulfils it, and so do those to compare it with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # compiled functions are imported once it is known where they are kept
    from detectors.kernel import Verdicts
    from detectors.layout import Slab
    from detectors.thresholds import Rates


class LaneWalk(Protocol):
    """A detector's way over points: `run` it once, on any thread; then ask for the verdicts."""

    def run(self) -> None:
        """Walk."""

    def verdicts(self) -> "Verdicts":
        """What was said of each point."""


class LaneDetector(Protocol):
    """What scores the points of lanes, one row of a slab each.

    A row of zeros is a lane that has seen nothing. `scalars` of a row are `detectors.layout.SCALARS`, of which the
    detector keeps `points`, the points seen, and the lane's episode.
    """

    @property
    def name(self) -> str:
        """As shown to people."""

    @property
    def lane_dtype(self) -> np.dtype[Any]:
        """The arrays that a slab needs, by name, as fields of one row; `scalars` among them."""

    @property
    def warm_up(self) -> int:
        """Points of a lane before it may be flagged."""

    @property
    def streams(self) -> Sequence[str]:
        """Names of the columns of `Verdicts.event_novelty` and `Verdicts.event_evidence`."""

    @property
    def is_restorable(self) -> bool:
        """Whether the rows are all that it remembers of lanes, so that saved ones can be gone on with."""

    def rates(self, verdicts: "Verdicts") -> "Rates":
        """How often a fault-free lane would open an episode with such a score as at each of the events (m,)."""

    @property
    def scores_joint_lanes(self) -> bool:
        """Whether it can score the lane that keys have for all fields together, see `pipeline.joint`."""

    def for_joint_lanes(self) -> "LaneDetector":
        """What scores them: one that keeps rows as this one does, with thresholds of their own if it has such."""

    def for_partition(self, fields: Sequence[str], width: int) -> "LaneDetector":
        """One like it for another slab.

        Args:
            fields: whose rows a key has, in this order and neighbours.
            width: rows of a key; those behind its fields are of its joint lane.

        Raises:
            ValueError: it scores other fields.
        """

    def begin(
        self,
        slab: "Slab",
        rows: NDArray[np.int64],
        time_us: NDArray[np.int64],
        values: NDArray[np.float64],
        positions: NDArray[np.int64],
        records: NDArray[np.int64] | None = None,
    ) -> LaneWalk:
        """A walk over points (n,) in order, which updates the lanes' rows of `slab` in place.

        Args:
            slab: state of the lanes.
            rows: lane of each point.
            time_us: event time of each point in microseconds, rising within a lane.
            values: finite values.
            positions: position of the record each point came from.
            records: tells apart the records that released the points; None where their positions do.
        """
