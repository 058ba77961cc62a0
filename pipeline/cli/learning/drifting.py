"""Drift as a process of the service tells it: watched by partition, kept in the registry from beside the loop."""

import queue
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pipeline.adapters.bundles.training_log import TrainingLog, new_name
from pipeline.config import Config
from pipeline.errors import DriftlineError
from pipeline.learning.drift import Drift, DriftRule, PartitionDrift
from pipeline.learning.records import Signal
from pipeline.records import Place
from pipeline.residuals import Residuals
from pipeline.service.plan import Log

ACTOR = "driftline serve"
BLOCKS = 48
"""Of the least interval between trainings, that residuals are put together over."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Signals:
    """Keeps signals in a registry from a thread of its own; one that cannot be kept is tried again until it is.

    Args:
        records: used by the thread alone.
        interval_s: seconds between two tries.
    """

    def __init__(self, records: TrainingLog, log: Log, *, interval_s: float) -> None:
        self._records = records
        self._log = log
        self._interval_s = interval_s
        self._waiting: queue.SimpleQueue[Signal | None] = queue.SimpleQueue()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)

    def start(self) -> None:
        """Keep what comes from now on."""
        self._thread.start()

    def tell(self, signal: Signal) -> None:
        """Have a signal kept; answers at once."""
        self._waiting.put(signal)

    def close(self) -> None:
        """Keep no more; one that cannot be kept just now is given up, and told."""
        self._end.set()
        self._waiting.put(None)
        self._thread.join(self._interval_s)

    def _run(self) -> None:
        while (signal := self._waiting.get()) is not None:
            is_told = False
            while not self._kept(signal, is_told=is_told):
                is_told = True
                if self._end.wait(self._interval_s):
                    self._log.error("drift_untold", signal=signal.name, reason=signal.reason)
                    break

    def _kept(self, signal: Signal, *, is_told: bool) -> bool:
        try:
            self._records.tell(signal)
        except DriftlineError as exc:
            if not is_told:
                self._log.warning("registry_trouble", error=str(exc), detail="the drift is told when it is back")
            return False
        return True


@dataclass(slots=True)
class DriftWatch:
    """Watches the partitions that this process holds.

    Args:
        rule: of every partition.
        bundle: short id of the one that scores at first.
        tell: takes a signal; answers at once.

    Attributes:
        rises: by partition, the newest residuals against the usual ones, as a factor; of those where that is known.
    """

    rule: DriftRule
    bundle: str
    tell: Callable[[Signal], None]
    log: Log
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _watched: dict[Place, PartitionDrift] = field(default_factory=dict)
    _bundles: dict[Place, str] = field(default_factory=dict)

    @property
    def rises(self) -> Mapping[Place, float]:
        """See above."""
        found = {place: one.rise for place, one in self._watched.items()}
        return {place: rise for place, rise in found.items() if rise is not None}

    def scored(self, place: Place, residuals: Residuals, watermark_us: int) -> bool:
        """Points of a partition were scored; whether that was the moment at which drift was told."""
        watched = self._watched.setdefault(place, PartitionDrift(self.rule))
        drift = watched.add(residuals, watermark_us)
        if drift is None:
            return False
        self.tell(self._signal(place, drift, watermark_us))
        return True

    def swapped(self, place: Place, bundle: str) -> None:
        """A partition has gone over to another bundle: what is usual with it has to be learned."""
        self.bundle = self._bundles[place] = bundle
        if place in self._watched:
            self._watched[place].reset()

    def dropped(self, places: Collection[Place]) -> None:
        """Partitions are not held any more."""
        for place in places:
            self._watched.pop(place, None)
            self._bundles.pop(place, None)

    def _signal(self, place: Place, drift: Drift, watermark_us: int) -> Signal:
        at = self.clock()
        reason = (
            f"residuals of {place.topic}/{place.partition} rose from {drift.before:.3g} to {drift.behind:.3g} standard "
            f"deviations (quantile {drift.quantile:g})"
        )
        signal = Signal(
            name=new_name(at, "drift"), kind="drift", at=at, by=ACTOR, reason=reason,
            bundle=self._bundles.get(place, self.bundle), topic=place.topic, partition=place.partition,
            event_time=_EPOCH + timedelta(microseconds=watermark_us),
            since=_EPOCH + timedelta(microseconds=drift.since_us), quantile=drift.quantile, before=drift.before,
            behind=drift.behind,
        )  # fmt: skip
        self.log.warning("drift", place=f"{place.topic}/{place.partition}", reason=reason, signal=signal.name)
        return signal


def watch_drift(config: Config, url: str, bundle: str, log: Log) -> tuple[DriftWatch, Callable[[], None]]:
    """A watch that keeps its signals in the registry at a URL, and a function that ends it."""
    signals = Signals(TrainingLog(url), log, interval_s=config.models.check_interval.total_seconds())
    signals.start()
    rule = DriftRule(block_us=config.retrain.least_interval // BLOCKS // timedelta(microseconds=1))
    return DriftWatch(rule, bundle, signals.tell, log), signals.close
