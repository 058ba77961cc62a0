"""What is searched: settings with their bounds, as numbers and names that a sampler draws."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, nearest
from pipeline.tuning.history import Recording

Point = Mapping[str, Any]
"""A value by name of each setting searched."""

PROFILES = ("accurate", "balanced", "dense")
AS_CONFIGURED = "as configured"
WINDOW_HOPS = 40
"""Hops in a window: as many steps as the usual window has points, so that a lane's memory stays what it is."""
LEAST_STEPS = 1500
"""Of a usual stream in the tuning part, that windows must leave."""
_FACTORS = (2, 4, 12)
_ROUND_S = {
    "1s": 1, "2s": 2, "5s": 5, "10s": 10, "15s": 15, "20s": 20, "30s": 30,
    "1min": 60, "2min": 120, "5min": 300, "10min": 600, "15min": 900, "20min": 1200, "30min": 1800,
    "1h": 3600, "2h": 7200, "4h": 14_400, "6h": 21_600,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that is searched.

    Attributes:
        name: for short, as options take it.
        key: of the configuration, dotted.
        low, high: bounds of a number, both within.
        is_whole: whether the number is whole.
        step: from one number to the next; None for any.
        choices: what a setting without numbers may be; empty for a number.
    """

    name: str
    key: str
    low: float = 0.0
    high: float = 0.0
    is_whole: bool = False
    step: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def is_log(self) -> bool:
        """Whether numbers are drawn evenly by their logarithm."""
        return not self.choices and self.step is None and self.low > 0

    def described(self) -> str:
        """Bounds or choices, as options take them."""
        return ",".join(self.choices) or f"{self.low:g}..{self.high:g}"


KNOWN = (
    Setting("risk", "detector.risk", 0.02, 4.0),
    Setting("profile", "detector.profile", choices=PROFILES),
    Setting("windows", "windows.hop", choices=(AS_CONFIGURED,)),
    Setting("rest", "episodes.rest", 10, 1000, is_whole=True),
    Setting("margin", "episodes.margin", 0.05, 1.5, step=0.05),
    Setting("quiet", "episodes.quiet", 5, 150, is_whole=True),
)
NAMES = tuple(setting.name for setting in KNOWN)
USUAL = ("risk", "profile", "windows", "rest", "margin")
"""Searched unless told otherwise. What `quiet` decides is when an episode ends, and hardly which are told."""


def key_of(name: str) -> str:
    """Key of the configuration for a short name; a dotted key is one already."""
    return next((setting.key for setting in KNOWN if setting.name == name), name)


def parse_search(texts: Iterable[str]) -> tuple[Setting, ...]:
    """The settings that options ask for: names 'risk,rest', bounds 'risk=0.1..2' or choices 'profile=dense,balanced'.

    Raises:
        ConfigError: an unknown setting, bounds that are none, or a setting twice.
    """
    settings: list[Setting] = []
    for text in texts:
        name, equals, bounds = text.partition("=")
        if equals:
            settings.append(_bounded(_known(name.strip(), text), bounds.strip(), text))
        else:
            settings += [_known(one.strip(), text) for one in text.split(",") if one.strip()]
    names = [setting.name for setting in settings]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--search: found {name!r} twice; expected each setting once")
    return tuple(settings)


def _known(name: str, text: str) -> Setting:
    for setting in KNOWN:
        if name in {setting.name, setting.key}:
            return setting
    raise ConfigError(f"--search {text}: found {name!r}; expected some of {', '.join(NAMES)}{nearest(name, NAMES)}")


def _bounded(setting: Setting, bounds: str, text: str) -> Setting:
    if setting.name == "windows":
        raise ConfigError(f"--search {text}: found bounds for windows; expected none: they follow from the history")
    if setting.choices:
        chosen = tuple(one.strip() for one in bounds.split(","))
        for one in chosen:
            if one not in setting.choices:
                known = ", ".join(setting.choices)
                raise ConfigError(f"--search {text}: found {one!r}; expected some of {known}{nearest(one, PROFILES)}")
        return replace(setting, choices=chosen)
    low, dots, high = bounds.partition("..")
    try:
        numbers = float(low), float(high)
    except ValueError:
        numbers = (math.nan, math.nan)
    whole = not setting.is_whole or all(number == round(number) for number in numbers if math.isfinite(number))
    if not (dots and whole and 0 <= numbers[0] < numbers[1] < math.inf):
        kind = "whole numbers" if setting.is_whole else "numbers"
        raise ConfigError(
            f"--search {text}: found {bounds!r}; expected two {kind}, the lower first, such as "
            f"{setting.low:g}..{setting.high:g}"
        )
    return replace(setting, low=numbers[0], high=numbers[1], step=None)


def window_choices(recordings: Sequence[Recording], configured_hop_s: float | None) -> tuple[str, ...]:
    """Hops of windows by event time that are worth a try: what is configured, and longer ones where data are dense.

    Args:
        recordings: the tuning part.
        configured_hop_s: of windows by event time, if these are configured; None for windows by count.
    """
    intervals_s, spans_s = [], []
    for recording in recordings:
        for key in range(len(recording.keys)):
            time_us = np.unique(recording.time_us[recording.rows_of(key)])
            if len(time_us) > 1:
                intervals_s.append(float(np.median(np.diff(time_us))) / 1e6)
                spans_s.append(float(time_us[-1] - time_us[0]) / 1e6)
    if not intervals_s:
        return (AS_CONFIGURED,)
    unit, span = configured_hop_s or float(np.median(intervals_s)), float(np.median(spans_s))
    hops = {next((name for name, hop_s in _ROUND_S.items() if hop_s >= factor * unit), None) for factor in _FACTORS}
    kept = [name for name, hop_s in _ROUND_S.items() if name in hops and hop_s > unit and span / hop_s >= LEAST_STEPS]
    return (AS_CONFIGURED, *kept)


def widened(settings: Sequence[Setting], configured: Point) -> tuple[Setting, ...]:
    """The settings, their bounds and choices widened so that what is configured lies within."""
    wider = []
    for setting in settings:
        value = configured[setting.name]
        if setting.choices:
            choices = setting.choices if value in setting.choices else (value, *setting.choices)
            wider.append(replace(setting, choices=choices))
        else:
            low, high = min(setting.low, value), max(setting.high, value)
            steps = (value - low) / setting.step if setting.step else 0.0
            on_grid = setting.step is None or abs(steps - round(steps)) < 1e-9
            wider.append(replace(setting, low=low, high=high, step=setting.step if on_grid else None))
    return tuple(wider)


def settings_of(settings: Sequence[Setting], point: Point, configured: Point) -> dict[str, Any]:
    """What of the configuration a point changes, by dotted key; a window comes with its kind and size."""
    changed: dict[str, Any] = {}
    for setting in settings:
        value = _rounded(setting, point[setting.name])
        if value == configured[setting.name]:
            continue
        if setting.name == "windows":
            size = f"{WINDOW_HOPS * _ROUND_S[value]}s"
            changed |= {"windows.kind": "time", "windows.size": size, "windows.hop": value}
        else:
            changed[setting.key] = value
    return changed


def _rounded(setting: Setting, value: Any) -> Any:
    """Three digits are enough for a number that is to be read."""
    if setting.choices:
        return value
    return round(value) if setting.is_whole else float(f"{value:.3g}")
