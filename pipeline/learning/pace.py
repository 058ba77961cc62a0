"""When something will be done, by the pace at which it has gone so far."""

from collections.abc import Callable

LEAST_S = 1.0
"""Of progress that has been seen, before which nothing is said."""


class Pace:
    """How fast one thing goes on, from when it is first looked at; what was done before says nothing of the pace.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[float, float] | None = None

    def left_s(self, done: float) -> float | None:
        """Seconds that the rest takes; None where it is too early to tell.

        Args:
            done: share that is done, 0 to 1; less than before begins anew.
        """
        now = self._clock()
        if self._first is None or done < self._first[1]:
            self._first = now, done
        began, before = self._first
        if now - began < LEAST_S or done <= before:
            return None
        return (now - began) * (1 - done) / (done - before)
