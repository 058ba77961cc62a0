"""Whether a member of the service is ready and healthy, told to whoever asks over HTTP."""

from collections.abc import Callable, Collection, Mapping

from pipeline.adapters.http import Health
from pipeline.records import Place

_IDLE_S = 10.0


class Readiness:
    """Keeps `Health` by what the partitions are at.

    A member is ready when all its partitions are live. One without any is ready once it has been in the group for some
    time: what others still hold comes to it in a second round.

    Args:
        health: asked over HTTP.
        is_member: whether this process is in the group just now.
        clock: monotonic seconds.
    """

    def __init__(self, health: Health, is_member: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._health = health
        self._is_member = is_member
        self._clock = clock
        self._had_some = False
        self._idle_since_s: float | None = None

    def beat(self) -> None:
        """The loop went round."""
        self._health.beat()

    def heard(self) -> None:
        """Kafka has answered."""
        self._health.hear()

    def set_status(self, status: Mapping[Place, str]) -> None:
        """What the partitions held are at; see `Observer`."""
        if "restoring" in status.values():  # the state is being read, and Kafka is not asked meanwhile
            self._health.hear()
        waiting = sorted(f"{place.topic}/{place.partition}" for place, one in status.items() if one != "live")
        if waiting:
            self._health.set_unready(f"restoring {', '.join(waiting)}")
        else:
            self._health.set_unready("" if status or self._had_some else self._why_idle())

    def rebalanced(self, kind: str) -> None:
        """Partitions were 'assigned', 'revoked' or 'lost'."""
        # revoked in good order it may be left with none; thrown out it has to join anew
        self._had_some = kind != "lost"
        if kind == "lost":
            self._idle_since_s = None

    def stalled(self, places: Collection[Place]) -> None:
        """Partitions whose lag grows while their position stands still."""
        names = ", ".join(f"{place.topic}/{place.partition}" for place in places)
        self._health.fail(f"no progress on {names} while its lag grows" if names else "")

    def _why_idle(self) -> str:
        """Why a member that was given no partition so far is not ready, or ''."""
        if not self._is_member():
            self._idle_since_s = None
            return "has not joined the group yet"
        now = self._clock()
        self._idle_since_s = now if self._idle_since_s is None else self._idle_since_s
        return "waits for its partitions" if now - self._idle_since_s < _IDLE_S else ""
