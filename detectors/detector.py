"""The detector: a network, a profile and a decision rule, made ready to score points of many lanes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detectors.arranging import SCORED_HORIZONS, arrange, arrange_jointly
from detectors.episodes import Decision
from detectors.evidence import EVIDENCE
from detectors.features import INPUTS
from detectors.groups import Joint
from detectors.kernel import Verdicts, make_work, walk
from detectors.layout import Plan, Slab, lane_dtype, make_plan, view_lanes
from detectors.network import Network
from detectors.profiles import Profile
from detectors.recurrence import Weights
from detectors.scoring import Streams, make_streams
from detectors.segments import Segment, make_segment
from detectors.thresholds import Rates, ThresholdTable, unknown_rates


class Walk:
    """The kernel's way over points: `run` it once, on any thread; then ask for the verdicts."""

    def __init__(self, verdicts: Verdicts, walk: Callable[[], int]) -> None:
        self._verdicts = verdicts
        self._walk = walk
        self._events = 0

    def run(self) -> None:
        """Walk; the interpreter's lock is left to others meanwhile."""
        self._events = self._walk()

    def verdicts(self) -> Verdicts:
        """What the kernel said."""
        return self._verdicts._replace(
            event_point=self._verdicts.event_point[: self._events],
            event_opened_us=self._verdicts.event_opened_us[: self._events],
            event_peak=self._verdicts.event_peak[: self._events],
            event_points=self._verdicts.event_points[: self._events],
            event_novelty=self._verdicts.event_novelty[: self._events].copy(),
            event_evidence=self._verdicts.event_evidence[: self._events].copy(),
            event_levels=self._verdicts.event_levels[: self._events].copy(),
            event_window=self._verdicts.event_window[: self._events].copy(),
        )


def allocate_verdicts(n: int, streams: int, window: int) -> Verdicts:
    """Verdicts of `n` points, not filled; with `streams` novelties and `window` values for each event."""
    return Verdicts(
        score=np.empty(n, np.float32),
        threshold=np.empty(n, np.float32),
        expected=np.empty(n),
        lower=np.empty(n),
        upper=np.empty(n),
        surprise=np.empty(n, np.float32),
        level=np.full(n, np.nan, np.float32),
        segment=np.full(n, np.nan, np.float32),
        points=np.empty(n, np.int32),
        gap=np.empty(n, np.bool_),
        log_scale=np.empty(n, np.float32),
        freedom=np.empty(n, np.float32),
        flagged=np.empty(n, np.bool_),
        event=np.empty(n, np.int8),
        episode=np.empty(n, np.int64),
        event_point=np.empty(n, np.int64),
        event_opened_us=np.empty(n, np.int64),
        event_peak=np.empty(n, np.float32),
        event_points=np.empty(n, np.int32),
        event_novelty=np.empty((n, streams), np.float32),
        event_evidence=np.zeros((n, streams), EVIDENCE),
        event_levels=np.empty((n, 2)),
        event_window=np.empty((n, window)),
    )


@dataclass(frozen=True, slots=True)
class Detector:
    """Scores points of lanes held in a slab.

    Attributes:
        network: the forecaster, shared by all lanes or joint for the fields of a key.
        profile: what a lane remembers.
        decision: how scores become verdicts.
        table: what the decision's thresholds were read off, by which scores are told as rates; None: they are not.
        fields: for a joint network, its fields in the order in which they are a key's neighbouring rows; its own order
            where empty.
        width: for a joint network, the rows of a key, of which its fields' are the first; as many as fields where 0.
        joint_lanes: the one that scores joint lanes, where their thresholds are others; None: they are as any lane's.

    Raises:
        ValueError: a network of other inputs, horizons or fields.
    """

    network: Network
    profile: Profile
    decision: Decision
    table: ThresholdTable | None = None
    fields: tuple[str, ...] = ()
    width: int = 0
    joint_lanes: "Detector | None" = None
    plan: Plan = field(init=False)
    _weights: Weights = field(init=False, repr=False)
    _streams: Streams = field(init=False, repr=False)
    _segment: Segment = field(init=False, repr=False)
    _joint: Joint | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        network = self.network
        if network.inputs != INPUTS and not network.is_joint:
            raise ValueError(f"found a network of {network.inputs} inputs; expected {INPUTS}")
        object.__setattr__(self, "fields", tuple(self.fields) or network.fields)
        if sorted(self.fields) != sorted(network.fields):
            raise ValueError(
                f"found the fields {', '.join(self.fields)}; expected those that the joint network was fitted for: "
                f"{', '.join(network.fields)}"
            )
        object.__setattr__(self, "width", self.width or max(len(self.fields), 1))
        missing = set(SCORED_HORIZONS) - set(self.network.horizons)
        if missing:
            raise ValueError(f"found horizons {self.network.horizons}; expected {SCORED_HORIZONS} among them")
        sizes = network.layers, network.hidden
        object.__setattr__(self, "plan", make_plan(self.profile, *sizes, network.structure, network.inputs))
        object.__setattr__(self, "_weights", arrange(network))
        object.__setattr__(self, "_joint", arrange_jointly(network, self.fields, self.width))
        object.__setattr__(self, "_streams", make_streams(self.profile))
        object.__setattr__(self, "_segment", make_segment(self.profile))

    @property
    def name(self) -> str:
        """Of the profile."""
        return self.profile.name

    @property
    def warm_up(self) -> int:
        """Points of a lane before it may be flagged."""
        return self.decision.warm_up

    @property
    def streams(self) -> Sequence[str]:
        """Derived streams that are scored."""
        return self.profile.streams

    @property
    def is_restorable(self) -> bool:
        """The rows of a slab are all that is remembered of its lanes."""
        return True

    @property
    def scores_joint_lanes(self) -> bool:
        """A joint network forecasts its fields alone."""
        return not self.network.is_joint

    def for_joint_lanes(self) -> "Detector":
        """Itself, or one like it with thresholds of their own."""
        return self.joint_lanes or self

    def for_partition(self, fields: Sequence[str], width: int) -> Self:
        """Itself, nothing being remembered but in rows; with a joint network, one that knows which rows a key has."""
        return replace(self, fields=tuple(fields), width=width) if self.network.is_joint else self

    def rates(self, verdicts: Verdicts) -> Rates:
        """How often a fault-free lane as old opens an episode with such a score as the highest at each event (m,)."""
        if self.table is None:
            return unknown_rates(len(verdicts.event_point))
        return self.table.rates(verdicts.points[verdicts.event_point], verdicts.event_peak)

    @property
    def lane_dtype(self) -> np.dtype[Any]:
        """The arrays that a slab needs for this detector."""
        network = self.network
        return lane_dtype(self.profile, network.layers, network.hidden, self.width, network.structure, network.inputs)

    def score(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        time_us: NDArray[np.int64],
        values: NDArray[np.float64],
        positions: NDArray[np.int64],
    ) -> Verdicts:
        """Verdicts of points (n,); see `begin`."""
        walking = self.begin(slab, rows, time_us, values, positions)
        walking.run()
        return walking.verdicts()

    def begin(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        time_us: NDArray[np.int64],
        values: NDArray[np.float64],
        positions: NDArray[np.int64],
        records: NDArray[np.int64] | None = None,
    ) -> Walk:
        """A walk over points (n,) in order, which updates the lanes' rows of `slab` in place.

        With a joint network the rows of a key are neighbours in the order of `fields`. The points of a key that have
        one time and were released by one record step together; they follow one another in the order of their rows,
        within one call.

        Args:
            slab: state of the lanes, see `detectors.layout`.
            rows: lane of each point.
            time_us: event time of each point in microseconds, rising within a lane.
            values: finite values.
            positions: position of the record each point came from.
            records: tells apart the records that released the points; None where their positions do.
        """
        verdicts = allocate_verdicts(len(rows), len(self._streams.places), self.profile.window)
        lanes, joint = view_lanes(slab), self._joint
        hidden = lanes.hidden
        if joint is not None:
            hidden = hidden.reshape(len(hidden) // self.width, -1)  # a view: slabs have no holes
        work = make_work(lanes, self.plan, self._streams, joint)
        released_by = positions if records is None else records
        return Walk(
            verdicts,
            lambda: walk(
                lanes, hidden, self.plan, self._streams, self._segment, self._weights, joint, self.decision, rows,
                time_us, values, positions, released_by, work, verdicts,
            ),
        )  # fmt: skip
