"""Reads `anomalies.jsonl`: the events of each episode, folded into one row."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from pipeline.errors import InputError
from pipeline.explanations import tell_rank
from pipeline.records import Severity


class _Stream(msgspec.Struct):
    """What is absent was not told by the version that wrote it."""

    name: str
    novelty: float | None = None
    side: Literal["above", "below"] | None = None
    value: float | None = None
    seen: int | None = None
    among: int | None = None
    exact: bool = True


class Said(msgspec.Struct, frozen=True):
    """What somebody has said of a time: its kind, and the note that was left with it."""

    kind: Literal["false_alarm", "maintenance"]
    note: str = ""


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
    reason: str | None = None
    suppressed: Said | None = None
    outlasted: Said | None = None


class Stream(NamedTuple):
    """A derived stream that spoke: its novelty, its value, and its rank in words, '' where it was not told."""

    name: str
    novelty: float | None
    value: float | None
    rank: str


@dataclasses.dataclass(slots=True)
class Episode:
    """One episode as far as it is known.

    Attributes:
        closed_ms: event time of its end; None while it is open.
        severity: the highest `Severity` it reached.
        observed: value at the highest score that an event reported; so are `expected`, `shares`, `streams`, `reason`.
        shares: field and its share of the score, largest first.
        streams: the derived streams that were most novel, strongest first.
        reason: why it was reported, '' where that was not told; of a silence that is over, why its end was.
        end: why it was closed, of a level shift alone.
        suppressed: by what nobody need be told of it, where none of its events was to be told.
        outlasted: by what it was suppressed before it was told.
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
    streams: list[Stream] = dataclasses.field(default_factory=list)
    reason: str = ""
    end: str = ""
    suppressed: Said | None = None
    outlasted: Said | None = None

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Sorts the worst last, and what is suppressed before all others."""
        return self.suppressed is None, self.severity, self.peak_score or 0.0


def read_episodes(path: Path) -> list[Episode]:
    """The episodes of one file, in the order in which they opened.

    Raises:
        InputError: the file or one of its lines cannot be read.
    """
    episodes: dict[str, Episode] = {}
    for event in _events(path):
        if event.episode not in episodes:
            opened_ms = milliseconds(event.opened_at or event.time)
            episodes[event.episode] = Episode(
                event.key, event.field, event.kind, opened_ms, suppressed=event.suppressed
            )
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


def _told(stream: _Stream) -> Stream:
    rank = ""
    if stream.side is not None and stream.seen is not None and stream.among is not None:
        rank = tell_rank(stream.side, stream.seen, stream.among, stream.exact)
    return Stream(stream.name, stream.novelty, stream.value, rank)


def _fold(event: _Event, episode: Episode) -> None:
    episode.suppressed = event.suppressed if episode.suppressed else None  # one that was told once stays told
    episode.outlasted = episode.outlasted or event.outlasted
    if event.event == "closed":
        episode.closed_ms = milliseconds(event.time)
    elif (event.score or 0.0) >= (episode.peak_score or 0.0):
        episode.observed, episode.expected = event.observed, event.expected
        shares = [(name, share or 0.0) for name, share in (event.contributions or {}).items()]
        episode.shares = sorted(shares, key=lambda named: -named[1])
        episode.streams = [_told(stream) for stream in event.streams or []]
        episode.reason = event.reason or ""
    if event.event == "closed" and event.kind == "silence":
        episode.reason = event.reason or ""
    elif event.event == "closed" and event.kind == "level_shift":
        episode.end = event.reason or ""
    if event.kind != "point":
        episode.kind = event.kind
    if event.event == "level_shift":
        episode.kind = "level_shift"
    episode.severity = max(episode.severity, int(Severity[event.severity.upper()]))
    scores = [score for score in (episode.peak_score, event.peak_score, event.score) if score is not None]
    episode.peak_score = max(scores, default=None)
