"""A search as plain values, for `tuning.json`."""

from collections.abc import Sequence
from typing import Any

from pipeline.cli.detecting import choose_detector
from pipeline.cli.tune.history import History
from pipeline.cli.version import driftline_version
from pipeline.config import LoadedConfig, config_hash
from pipeline.tuning.goal import Goal
from pipeline.tuning.search import Tried
from pipeline.tuning.space import Point, Setting, settings_of
from pipeline.tuning.split import Split

FORMAT = 1


def describe_search(
    history: History, split: Split, settings: Sequence[Setting], configured: Point, loaded: LoadedConfig, seed: int
) -> dict[str, Any]:
    """What was searched, and on what."""
    return {
        "format": FORMAT,
        "driftline": driftline_version(),
        "bundle": choose_detector(loaded.config).bundle,
        "config_hash": config_hash(loaded.config),
        "seed": seed,
        "history": {
            "source": history.source,
            "read": history.told,
            "files": len(history.recordings),
            "streams": sum(len(recording.keys) for recording in history.recordings),
            "points": sum(recording.points for recording in history.recordings),
        },
        "split": {
            "by": split.by,
            "tuning": [key for recording in split.tuning for key in recording.keys],
            "held_out": [key for recording in split.held_out for key in recording.keys],
            "left_out": list(split.left_out),
        },
        "searched": {
            setting.key: {"configured": configured[setting.name], "within": setting.described()} for setting in settings
        },
    }


def describe_result(
    asked: Goal,
    tuning: Goal,
    held_out: Goal,
    trials: Sequence[Tried],
    best: Tried,
    changed: dict[str, Any],
    settings: Sequence[Setting],
    configured: Point,
) -> dict[str, Any]:
    """What the trials came to.

    Args:
        asked, tuning, held_out: the goal as asked for, and with the budget of each part.
        trials: in order; the first is what is configured.
        best: of them.
        changed: by the best.
        settings: searched.
        configured: of these.
    """
    return {
        "objective": asked.objective,
        "budget": {"asked": asked.budget, "tuning": tuning.budget, "held_out": held_out.budget},
        "trials": [
            {
                "number": trial.number,
                "changed": settings_of(settings, trial.point, configured),
                "value": trial.value,
                "measures": dict(trial.figures),
            }
            for trial in trials
        ],
        "best": {"number": best.number, "value": best.value, "changed": changed},
        "tuning": {"configured": dict(trials[0].figures), "tuned": dict(best.figures)},
    }
