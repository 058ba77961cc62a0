"""From a history to the series that a network is fitted to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.examples import SETTLING_POINTS
from detectors.recurring import draw_repeats, find_stretch, newest_of, prolong
from detectors.series import Series, Track, first_held_back, is_dead, joint_series, lane_series, least_steps
from pipeline.errors import ShortHistoryError
from pipeline.training.history import History

PROLONGED, MANY = 3, 300
"""Histories in which what is new has gone on, beside each series; one beside each where there are more than so many."""


@dataclass(frozen=True, slots=True)
class GatherConfig:
    """What is to be learned; see `pipeline.training.fit.FitConfig`.

    Attributes:
        horizons: steps ahead that are forecast.
        fields: names of the fields of a joint network; none for a shared one.
        context, length: steps of an excerpt.
        by_pane: whether windows are by event time.
        learn_from_us: event time from which on there is something to learn; None for all.
        seed: at least 0, of histories in which what is new has gone on.
    """

    horizons: tuple[int, ...]
    fields: tuple[str, ...]
    context: int
    length: int
    by_pane: bool
    learn_from_us: int | None
    seed: int

    @property
    def excerpt(self) -> int:
        """Steps of one."""
        return self.context + self.length


@dataclass(slots=True)
class Gathered:
    """What there is to learn from.

    Attributes:
        series: by name, each followed by those in which what is new has gone on.
        prolonged: how many of the latter.
        too_short: series that are left out, being too short.
        dead: those that are left out, of which nothing is left to learn that is not masked.
    """

    series: list[Series]
    prolonged: int = 0
    too_short: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """Tracks of which a series is made: of one lane, or of all fields of a key.

    Attributes:
        time_us: (steps,) event times.
    """

    tracks: list[Track]
    time_us: NDArray[np.int64]


def gather(history: History, config: GatherConfig) -> Gathered:
    """The series to learn from.

    Points of episodes are masked, and so are those of lanes that tell one value for a whole excerpt. Where not all is
    to be learned from, there are series beside in which what is new has gone on, see `detectors.recurring`.

    Raises:
        ShortHistoryError: none is long enough, or none of those that are has anything to learn from.
    """
    needed = max(least_steps(config.horizons), config.excerpt * 5 // 4 + 1)
    many = history.keys_kept * (1 if config.fields else len(history.fields)) > MANY
    gathered, longest = Gathered([]), 0
    for source in _sources(history, config):
        steps = len(source.time_us)
        longest = max(longest, steps)
        if steps < needed:
            gathered.too_short += 1
            continue
        begin = _begin(source.time_us, config)
        split = first_held_back(steps, begin)
        series = _series(source.tracks, steps, config, begin, split)
        if not np.isfinite(series.targets[:split]).any():
            gathered.dead += 1
            continue
        gathered.series.append(series)
        if config.learn_from_us is not None:
            prolonged = [*_prolonged(source, split, config, len(gathered.series), 1 if many else PROLONGED)]
            gathered.series += prolonged
            gathered.prolonged += len(prolonged)
    if not gathered.series and not gathered.dead:
        raise ShortHistoryError(
            f"found a history of at most {longest} records a key; expected at least {needed} to learn from"
        )
    if not gathered.series:
        raise ShortHistoryError(
            f"found {gathered.dead} series, of which all points are of incidents or of one value for {config.excerpt} "
            "records; expected some that change: give a longer history"
        )
    return gathered


def _series(tracks: list[Track], steps: int, config: GatherConfig, begin: int, split: int) -> Series:
    """As the front end sees it."""
    if not config.fields:
        return lane_series(tracks[0], config.horizons, begin=begin, split=split)
    return joint_series(tracks, steps, config.horizons, begin=begin, split=split)


def _sources(history: History, config: GatherConfig) -> Iterator[_Source]:
    """Of each series, by name."""
    for _, points in history:
        step = group(points, by_pane=config.by_pane)
        tracks = {name: _track(points, step, place, config.excerpt) for place, name in enumerate(history.fields)}
        if config.fields:
            first = np.searchsorted(step, np.arange(int(step[-1]) + 1))
            yield _Source([tracks[name] for name in config.fields], points["time_us"][first])
            continue
        for track in tracks.values():
            steps = np.arange(len(track.values))
            yield _Source([Track(track.values, track.time_us, steps, track.is_masked)], track.time_us)


def _prolonged(source: _Source, split: int, config: GatherConfig, number: int, count: int) -> Iterator[Series]:
    """The series, had what is new gone on for longer and longer; none where there is too little of it to tell.

    Args:
        split: first step of the series that is held back, in these as well.
        number: of the series, which decides its dice.
        count: how many, or fewer.
    """
    onset = int(np.searchsorted(source.time_us, config.learn_from_us or 0))
    stretch = find_stretch(source.time_us, onset, split, max(config.horizons))
    if stretch is None:
        return
    for times in draw_repeats(np.random.default_rng([config.seed, number]), stretch, count):
        tracks = [prolong(track, stretch, times) for track in source.tracks]
        more = times * stretch.steps
        series = _series(tracks, len(source.time_us) + more, config, stretch.first + more, split + more)
        # where it begins, what comes again breaks off, which no forecast could know
        series.targets[: stretch.first + more + SETTLING_POINTS] = np.nan
        yield newest_of(series, config.context, config.length)


def _begin(time_us: NDArray[np.int64], config: GatherConfig) -> int:
    """First step that is learned from, of the event times of all."""
    if config.learn_from_us is None:
        return 0
    newest = len(time_us) - least_steps(config.horizons)
    return max(min(int(np.searchsorted(time_us, config.learn_from_us)), newest), 0)


def group(points: NDArray[np.void], *, by_pane: bool) -> NDArray[np.int64]:
    """Step of the key that each of its points (n,) is of: points of one record, or of one pane, step together.

    It is the rule by which `detectors.groups` groups them.
    """
    together = np.diff(points["time_us" if by_pane else "position"]) == 0
    steps: NDArray[np.int64] = np.concatenate([[0], np.cumsum(~together)]).astype(np.int64)
    return steps


def _track(points: NDArray[np.void], step: NDArray[np.int64], place: int, excerpt: int) -> Track:
    """The points of the field at a place; a lane that has one value for a whole excerpt is masked there."""
    mine = points["field"] == place
    values, time_us, in_episode = (points[name][mine] for name in ("value", "time_us", "in_episode"))
    return Track(values, time_us, step[mine], in_episode | is_dead(values, excerpt))
