"""Alarms of two runs, paired by lane and time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.adapters.report.episodes import Episode

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An episode that both runs opened, or one of them alone; the other is None."""

    a: Episode | None
    b: Episode | None

    @property
    def either(self) -> Episode:
        """That of the first run, where it has it.

        Raises:
            ValueError: neither has it.
        """
        episode = self.a or self.b
        if episode is None:
            raise ValueError("found an alarm of neither run; expected it of one at least")
        return episode

    @property
    def lane(self) -> Name:
        """Key and field."""
        return self.either.key, self.either.field

    @property
    def is_same(self) -> bool:
        """Whether both runs say the same of it: when, how long, what, how severe, with what score."""
        if self.a is None or self.b is None:
            return False
        return _said(self.a) == _said(self.b)


def pair_alarms(a: Iterable[Episode], b: Iterable[Episode], tolerance_ms: Callable[[Name], float]) -> list[Alarm]:
    """As many pairs of the same lane as there can be, none farther apart than the tolerance, and what is left over.

    Args:
        a, b: in any order.
        tolerance_ms: most time between the openings of a pair, by lane.

    Returns:
        In order of time.
    """
    ours, theirs = _by_lane(a), _by_lane(b)
    alarms = [
        alarm
        for lane in ours.keys() | theirs.keys()
        for alarm in _paired(ours.get(lane, []), theirs.get(lane, []), tolerance_ms(lane))
    ]
    return sorted(alarms, key=lambda alarm: (alarm.either.opened_ms, *alarm.lane, alarm.a is None))


def _paired(a: Sequence[Episode], b: Sequence[Episode], tolerance_ms: float) -> list[Alarm]:
    """Both in order of time. The earliest that can be paired is, which leaves the most for those after it."""
    alarms, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        apart = b[j].opened_ms - a[i].opened_ms
        if abs(apart) <= tolerance_ms:
            alarms.append(Alarm(a[i], b[j]))
            i, j = i + 1, j + 1
        elif apart > 0:
            alarms.append(Alarm(a[i], None))
            i += 1
        else:
            alarms.append(Alarm(None, b[j]))
            j += 1
    return alarms + [Alarm(one, None) for one in a[i:]] + [Alarm(None, one) for one in b[j:]]


def _by_lane(episodes: Iterable[Episode]) -> dict[Name, list[Episode]]:
    found: dict[Name, list[Episode]] = {}
    for episode in sorted(episodes, key=lambda episode: episode.opened_ms):
        found.setdefault((episode.key, episode.field), []).append(episode)
    return found


def _said(episode: Episode) -> tuple[object, ...]:
    return episode.opened_ms, episode.closed_ms, episode.kind, episode.severity, episode.peak_score
