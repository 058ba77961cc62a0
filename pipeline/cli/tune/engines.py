"""Engines with tuned settings, and what can be searched of a configuration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.cli.evaluate.running import ConfiguredEngines, fields_of
from pipeline.cli.kernel_loading import load_kernels
from pipeline.cli.opening import open_bundle
from pipeline.cli.screen import Screen
from pipeline.config import Config
from pipeline.config.kinds import LSTM
from pipeline.errors import ConfigError
from pipeline.evaluation.scoring import Engines
from pipeline.tuning.history import Recording
from pipeline.tuning.space import (
    AS_CONFIGURED,
    KNOWN,
    USUAL,
    Point,
    Setting,
    widened,
    window_choices,
)
from pipeline.tuning.trials import Settings


@dataclass(frozen=True, slots=True)
class TunedEngines:
    """Engines as a replay makes them; fulfils `pipeline.tuning.trials.EnginesFor`.

    Attributes:
        base: the configuration that settings are changed in.
    """

    base: Config

    def __call__(self, settings: Settings) -> Engines:
        """See `EnginesFor`."""
        return ConfiguredEngines(changed_config(self.base, settings))


def changed_config(base: Config, settings: Settings) -> Config:
    """The configuration with some keys changed, checked like any other.

    Raises:
        ConfigError: a value out of range, or values that do not go together.
    """
    tables: dict[str, dict[str, Any]] = {}
    for dotted, value in settings.items():
        section, key = dotted.split(".")
        tables.setdefault(section, {})[key] = value
    try:
        sections = {
            name: type(getattr(base, name)).model_validate({**getattr(base, name).model_dump(mode="json"), **table})
            for name, table in tables.items()
        }
    except ValidationError as exc:
        raise ConfigError(f"{dict(settings)}: {exc.errors()[0]['msg']}") from exc
    return base.model_copy(update=sections)


def searched(
    asked: Sequence[Setting], fixed: frozenset[str], config: Config, tuning: Sequence[Recording]
) -> tuple[tuple[Setting, ...], Point]:
    """The settings to search, their bounds around what is configured, and what that is.

    Args:
        asked: for by the user; none for the usual ones.
        fixed: keys that are held.
        config: what is configured.
        tuning: the part to tune on, whose density tells which windows are worth a try.

    Raises:
        ConfigError: nothing is left to search.
    """
    usual = [one for one in KNOWN if one.name in USUAL and one.key not in fixed and not _windows_held(one, fixed)]
    settings = [*(asked or usual)]
    if config.detector.kind != LSTM:
        if any(one.name == "profile" for one in asked):
            raise ConfigError(
                f"--search: found profile with the detector {config.detector.kind}; expected it with {LSTM}"
            )
        settings = [one for one in settings if one.name != "profile"]
    else:
        known = open_bundle(config).manifest.calibration
        settings = [
            replace(one, choices=tuple(choice for choice in one.choices if choice in known))
            if one.name == "profile"
            else one
            for one in settings
        ]
    hop = config.windows.hop
    hop_s = hop / timedelta(seconds=1) if isinstance(hop, timedelta) else None
    settings = [
        replace(one, choices=window_choices(tuning, hop_s)) if one.name == "windows" else one for one in settings
    ]
    settings = [one for one in settings if one.name != "windows" or len(one.choices) > 1]
    if not settings:
        raise ConfigError("--search, --fix: found nothing that is left to search; expected at least one setting")
    plain = config.plain()
    configured: dict[str, Any] = {
        one.name: AS_CONFIGURED if one.name == "windows" else plain[one.key.split(".")[0]][one.key.split(".")[1]]
        for one in settings
    }
    return widened(settings, configured), configured


def _windows_held(setting: Setting, fixed: frozenset[str]) -> bool:
    return setting.name == "windows" and any(key.startswith("windows.") for key in fixed)


class Kernels:
    """Has the kernel of each profile and kind of windows there before several processes ask for it at once.

    Args:
        engines: whose kernels.
        directory: of the compiled kernels.
    """

    def __init__(self, engines: TunedEngines, directory: Path) -> None:
        self._engines = engines
        self._directory = directory
        self._ready: set[tuple[Any, Any]] = set()

    def prepare(self, changed: Settings, screen: Screen) -> None:
        """Load or compile what these settings need, where no others have needed it.

        Args:
            changed: settings.
            screen: tells that it takes long; a quiet one while a bar is shown.

        Raises:
            UserError: a configuration or bundle that cannot be used.
        """
        needed = changed.get("detector.profile"), changed.get("windows.kind")
        if needed in self._ready:
            return
        with self._engines(changed)("", fields_of(self._engines.base)) as engine:
            load_kernels(engine, screen, self._directory)
        self._ready.add(needed)
