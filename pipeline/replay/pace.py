"""The pace of a replay: as fast as it goes, or so many times as fast as the records came."""

from collections.abc import Callable

from pipeline.records import Batch

NAP_S = 0.1


class Pace:
    """Holds records back until their event time is due, counted from the first record of each partition."""

    def __init__(
        self, speed: float | None, clock: Callable[[], float], sleep: Callable[[float], None], stop: Callable[[], bool]
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._stop = stop
        self._origin: tuple[float, int] | None = None

    def wait_for(self, batch: Batch) -> None:
        """Return when the newest record of the batch is due, or the run is to stop."""
        if self._speed is None or not len(batch):
            return
        newest = int(batch.time_us.max())
        if self._origin is None or newest < self._origin[1]:
            self._origin = (self._clock(), newest)
        due = self._origin[0] + (newest - self._origin[1]) / 1e6 / self._speed
        while (left := due - self._clock()) > 0 and not self._stop():
            self._sleep(min(left, NAP_S))
