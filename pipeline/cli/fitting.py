"""From the options of `driftline train` to a fitted network; needs torch."""

import time
from collections.abc import Sequence
from typing import Any

from detectors.network import Network
from detectors.training import TrainingConfig
from pipeline.adapters.bundles import Bundle
from pipeline.adapters.training_file import TrainingFile
from pipeline.cli.feedback.places import read_named
from pipeline.cli.passes import Pass
from pipeline.cli.screen import Screen
from pipeline.cli.training_screen import train_on_screen
from pipeline.cli.trainings import HIDDEN, LAYERS, SCRATCH_RATE, TUNING_RATE, structure_of, told_of_network
from pipeline.cli.wiring import window_spec
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.training.fit import FitConfig, Fitted, fit
from pipeline.training.history import History
from pipeline.windows import TimeWindows

CONTEXT = 512
"""Records before each excerpt that bring the network's state to where scoring would have it."""
LEAST_RECORDS = 1000
"""Records of a key that are kept where there are more keys than points may be kept of."""


def watch_history(passing: Pass, parent: Bundle, given: dict[str, Any], screen: Screen) -> History:
    """The history, as the bundle to begin with sees it.

    Raises:
        UserError: a source, bundle or feedback cannot be used, or one field is to be joined.
    """
    fields = passing.fields
    if given["joint"] and len(fields) == 1:
        raise ConfigError(
            f"--joint: found the one field {fields[0]!r}; expected two or more: without --joint a network is fitted "
            "that all streams share"
        )
    feedback = read_named(given["feedback"], passing.config, screen.note)
    kept = History(given["most_points"], LEAST_RECORDS * len(fields), feedback)
    screen.step("reading the history")
    passing.run(parent, kept)
    return kept


def plan_fit(
    config: Config, given: dict[str, Any], fields: Sequence[str], parent: Bundle, limit_s: float | None
) -> tuple[FitConfig, Network | None]:
    """How to fit, and the weights to begin with; None for random ones.

    Args:
        given: options of the command.
        fields: of the history.
        parent: the bundle to begin with.
        limit_s: most time to take; None for no limit.

    Raises:
        ConfigError: options that do not go with one another, or with that bundle.
    """
    start = None if given["scratch"] else parent.network
    if start is not None and start.is_joint != given["joint"]:
        if start.is_joint:
            raise ConfigError(
                f"found a bundle of a joint network of {', '.join(start.fields)} to begin with, and no --joint; "
                "expected one that streams share, or --joint"
            )
        start = None
    if start is not None and (told := told_of_network(given)):
        raise ConfigError(
            f"{', '.join(told)}: found weights to begin with, of {start.layers} x {start.hidden}, {start.structure}; "
            "expected --scratch, to make a network of another size or structure"
        )
    training = TrainingConfig(
        seed=given["seed"],
        layers=start.layers if start else given["layers"] or LAYERS,
        hidden=start.hidden if start else given["hidden"] or HIDDEN,
        horizons=parent.network.horizons,
        fields=(start.fields if start else tuple(fields)) if given["joint"] else (),
        structure=start.structure if start else structure_of(given),
        context=CONTEXT,
        steps=given["steps"],
        peak_rate=given["peak_rate"] or (TUNING_RATE if start else SCRATCH_RATE),
        patience=given["patience"],
        threads=given["threads"],
        device=given["device"],
        precision=given["precision"],
    )
    return (
        FitConfig(
            training,
            batch=given["excerpts"],
            length=given["length"],
            by_pane=isinstance(window_spec(config), TimeWindows),
            time_limit_s=limit_s,
        ),
        start,
    )


def fit_on_screen(
    kept: History, config: FitConfig, start: Network | None, screen: Screen, store: TrainingFile
) -> Fitted:
    """The network fitted, with the progress on the screen; raises as `fit`."""
    return train_on_screen(
        lambda report: fit(kept, config, start, clock=time.monotonic, progress=report, note=screen.note, store=store),
        config.training.steps,
        screen,
    )
