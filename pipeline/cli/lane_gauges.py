"""What the engines of a process remember, told to Prometheus: lanes, bytes, moves to disk and back, event time."""

from collections.abc import Collection
from dataclasses import dataclass

from pipeline.adapters.metrics import EngineMetrics
from pipeline.cli.budget import AlarmBudget
from pipeline.cli.metering import count_lanes
from pipeline.engine import PartitionEngine
from pipeline.records import Phase, Place

_JUDGED = (Phase.PROVISIONAL, Phase.LIVE)


@dataclass(frozen=True, slots=True)
class _Moved:
    """Evictions and returns of an engine that are counted already, and the watermark at which it was last looked at."""

    evictions: int
    returns: int
    watermark_us: int

    @classmethod
    def of(cls, engine: PartitionEngine) -> "_Moved":
        """As it stands."""
        return cls(engine.lanes.evictions, engine.lanes.returns, engine.watermark_us)


class LaneGauges:
    """Looks at the engines of the partitions held.

    Args:
        metrics: take what is seen.
        warm_up: points after which a lane is judged.
        budget: alarms that are to be expected.
    """

    def __init__(self, metrics: EngineMetrics, warm_up: int, budget: AlarmBudget) -> None:
        self._metrics = metrics
        self._warm_up = warm_up
        self._budget = budget
        self._engines: dict[Place, PartitionEngine] = {}
        self._moved: dict[Place, _Moved] = {}

    def meet(self, place: Place, engine: PartitionEngine) -> None:
        """Look at this engine of a partition from now on; what it did before is not counted."""
        if self._engines.get(place) is not engine:
            self._engines[place] = engine
            self._moved[place] = _Moved.of(engine)

    def drop(self, places: Collection[Place]) -> None:
        """Look at those of these partitions no more."""
        for place in places:
            self._engines.pop(place, None)
            self._moved.pop(place, None)

    def show(self) -> None:
        """Tell how they stand, and what has happened in them since the last time."""
        lanes = dict.fromkeys(Phase, 0)
        open_episodes = state_bytes = budget_bytes = watermark_us = 0
        for place, engine in self._engines.items():
            by_phase = count_lanes(engine, self._warm_up)
            for phase, count in by_phase.items():
                lanes[phase] += count
            open_episodes += engine.open_episodes
            state_bytes += engine.lanes.state_bytes
            budget_bytes += engine.lanes.budget_bytes
            watermark_us = max(watermark_us, engine.watermark_us)
            moved, now = self._moved[place], _Moved.of(engine)
            self._metrics.count_moves(evictions=now.evictions - moved.evictions, returns=now.returns - moved.returns)
            elapsed_us = now.watermark_us - moved.watermark_us if moved.watermark_us else 0
            self._metrics.expect_alarms(self._budget.of_time(sum(by_phase[phase] for phase in _JUDGED), elapsed_us))
            self._moved[place] = now
        self._metrics.set_state(
            lanes=lanes,
            open_episodes=open_episodes,
            state_bytes=state_bytes,
            state_budget_bytes=budget_bytes,
            watermark_us=watermark_us,
        )
