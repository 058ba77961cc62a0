"""Reads `anomalies.jsonl`: the events of each episode, folded into one row."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.errors import InputError
from pipeline.records import Severity


class _Stream(msgspec.Struct):
    name: str
    novelty: float | None = None


class _Event(msgspec.Struct):
    """One line; whatever else it holds is of no concern here."""

    event: str
    episode: str
    kind: str
    key: str
    field: str
    time: datetime
    severity: Literal["none", "low", "medium", "high", "critical"]
    observed: float | None = None
    expected: float | None = None
    score: float | None = None
    peak_score: float | None = None
    contributions: dict[str, float | None] | None = None
    streams: list[_Stream] | None = None
    opened_at: datetime | None = None


@dataclasses.dataclass(slots=True)
class Episode:
    """One episode as far as it is known.

    Attributes:
        closed_ms: event time of its end; None while it is open.
        severity: the highest `Severity` it reached.
        observed: value at the highest score that an event reported; so are `expected`, `shares` and `streams`.
        shares: field and its share of the score, largest first.
        streams: names of the derived streams that were most novel, strongest first.
    """

    key: str
    field: str
    kind: str
    opened_ms: float
    closed_ms: float | None = None
    severity: int = 0
    peak_score: float | None = None
    observed: float | None = None
    expected: float | None = None
    shares: list[tuple[str, float]] = dataclasses.field(default_factory=list)
    streams: list[str] = dataclasses.field(default_factory=list)

    @property
    def rank(self) -> tuple[int, float]:
        """Sorts the worst last."""
        return self.severity, self.peak_score or 0.0


def read_episodes(path: Path) -> list[Episode]:
    """The episodes of one file, in the order in which they opened.

    Raises:
        InputError: the file or one of its lines cannot be read.
    """
    episodes: dict[str, Episode] = {}
    for event in _events(path):
        if event.episode not in episodes:
            opened_ms = milliseconds(event.opened_at or event.time)
            episodes[event.episode] = Episode(event.key, event.field, event.kind, opened_ms)
        _fold(event, episodes[event.episode])
    return sorted(episodes.values(), key=lambda episode: episode.opened_ms)


def milliseconds(time: datetime) -> float:
    """Milliseconds since 1970-01-01 UTC; a time without a zone is UTC."""
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000


def _events(path: Path) -> Iterator[_Event]:
    decoder: msgspec.json.Decoder[_Event] = msgspec.json.Decoder(_Event)
    try:
        with path.open("rb") as lines:
            for row, line in enumerate(lines, 1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as exc:
                    raise InputError(str(path), row=row, found=str(exc), expected="an event of an episode") from exc
    except OSError as exc:
        raise InputError(str(path), found=exc.strerror or str(exc), expected="a readable anomalies.jsonl") from exc


def _fold(event: _Event, episode: Episode) -> None:
    if event.event == "closed":
        episode.closed_ms = milliseconds(event.time)
    elif (event.score or 0.0) >= (episode.peak_score or 0.0):
        episode.observed, episode.expected = event.observed, event.expected
        shares = [(name, share or 0.0) for name, share in (event.contributions or {}).items()]
        episode.shares = sorted(shares, key=lambda named: -named[1])
        episode.streams = [stream.name for stream in event.streams or []]
    if event.kind != "point":
        episode.kind = event.kind
    if event.event == "level_shift":
        episode.kind = "level_shift"
    episode.severity = max(episode.severity, int(Severity[event.severity.upper()]))
    scores = [score for score in (episode.peak_score, event.peak_score, event.score) if score is not None]
    episode.peak_score = max(scores, default=None)
