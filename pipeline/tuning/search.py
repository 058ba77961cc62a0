"""The search itself: trials that are kept as they are done, and what to try next. Alone in knowing optuna.

What is tried next depends on the seed and on the trials done, and on nothing else; only whole trials are kept, each in
one transaction. So a search that was killed goes on as if it had not been.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, MissingExtraError
from pipeline.tuning.space import Point, Setting

try:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError
except ModuleNotFoundError as exc:
    if exc.name not in {"optuna", "sqlalchemy"}:
        raise
    raise MissingExtraError("found no optuna; expected it for tuning: pip install 'driftline[tune]'") from exc

FILE = "study.db"
NAME = "driftline-tune"
STARTUP = 10
"""Trials that are drawn at random before any is drawn in the light of others (Bergstra et al. 2011 do the same)."""
RISKS_FIRST = (0.3, 3.0)
"""Of the risk configured, tried right behind what is configured: the risk decides more than all else."""
_IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial that is done.

    Attributes:
        number: from 0.
        point: what was tried.
        value: what it is chosen by.
        figures: its measures, as plain values.
    """

    number: int
    point: Point
    value: float
    figures: Mapping[str, Any]


def best_of(trials: Sequence[Tried]) -> Tried:
    """The best trial; of several the first, so that what is configured is only left for something better."""
    return max(trials, key=lambda trial: (trial.value, -trial.number))


class Study:
    """The trials of one search, kept in a file that optuna and its dashboard can read.

    Args:
        directory: where the file is, or will be.
        identity: everything that a trial's value depends on, by what it is called when it differs.

    Raises:
        ConfigError: a file that is no study, or one of another search.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path = directory / FILE
        try:
            self._kept = optuna.create_study(
                storage=f"sqlite:///{self.path.absolute()}", study_name=NAME, load_if_exists=True, direction="maximize"
            )
            known = self._kept.user_attrs.get(_IDENTITY)
            if known is None:
                self._kept.set_user_attr(_IDENTITY, dict(identity))
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, AssertionError) as exc:
            raise ConfigError(
                f"{self.path}: found no study that can be read ({str(exc).splitlines()[0]}); expected one of "
                "`driftline tune`: choose another directory by --out, or start afresh with --overwrite"
            ) from exc
        if known is not None and known != dict(identity):
            differing = [name for name in identity if known.get(name) != identity[name]]
            raise ConfigError(
                f"{directory}: found a search with another {' and another '.join(differing) or 'identity'}; expected "
                "the same to go on with: choose another directory by --out, or start afresh with --overwrite"
            )

    def trials(self) -> list[Tried]:
        """Those done, in order."""
        return [
            Tried(trial.number, trial.params, trial.value, trial.user_attrs["figures"])
            for trial in self._kept.get_trials(deepcopy=False)
            if trial.value is not None
        ]

    def add(self, tried: Tried, settings: Sequence[Setting]) -> None:
        """Keep a trial, whole or not at all."""
        self._kept.add_trial(_frozen(tried, settings))


def next_point(trials: Sequence[Tried], settings: Sequence[Setting], configured: Point, seed: int) -> Point:
    """What to try behind these trials: first what is configured, then other risks, then what optuna's TPE draws.

    The tree-structured Parzen estimator models settings of good and of other trials by two densities and draws where
    their ratio is high (Bergstra et al. 2011).
    """
    first = _first_points(settings, configured)
    if len(trials) < len(first):
        return first[len(trials)]
    drawn_by = int(np.random.SeedSequence([seed, len(trials)]).generate_state(1)[0])
    sampler = optuna.samplers.TPESampler(seed=drawn_by, n_startup_trials=STARTUP, constant_liar=False)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.add_trials([_frozen(tried, settings) for tried in trials])
    return study.ask({setting.name: _distribution(setting) for setting in settings}).params


def _first_points(settings: Sequence[Setting], configured: Point) -> list[Point]:
    points: list[Point] = [dict(configured)]
    risk = next((setting for setting in settings if setting.name == "risk"), None)
    if risk is not None:
        risks = (configured["risk"] * factor for factor in RISKS_FIRST)
        points += [dict(configured) | {"risk": one} for one in risks if risk.low <= one <= risk.high]
    return points


def _frozen(tried: Tried, settings: Sequence[Setting]) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        params=dict(tried.point),
        distributions={setting.name: _distribution(setting) for setting in settings},
        value=tried.value,
        user_attrs={"figures": dict(tried.figures)},
    )


def _distribution(setting: Setting) -> optuna.distributions.BaseDistribution:
    if setting.choices:
        return optuna.distributions.CategoricalDistribution(setting.choices)
    if setting.is_whole:
        return optuna.distributions.IntDistribution(round(setting.low), round(setting.high), log=setting.is_log)
    return optuna.distributions.FloatDistribution(setting.low, setting.high, log=setting.is_log, step=setting.step)
