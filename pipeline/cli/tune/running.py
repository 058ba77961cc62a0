"""From a history to tuned settings: the split, the trials, what is held out, and what is left on disk."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.adapters.claims import claim_directory
from pipeline.adapters.outputs.directory import lock
from pipeline.cli.evaluate.worker import start_worker
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.tune.engines import Kernels, TunedEngines, searched
from pipeline.cli.tune.history import History
from pipeline.cli.tune.outputs import MARK, forget_search, require_config_unedited, write_outputs
from pipeline.cli.tune.searching import GivenUpError, Plan, judge, search
from pipeline.config import LoadedConfig, config_hash
from pipeline.errors import ConfigError, InputError
from pipeline.tuning.disturb import disturb_all
from pipeline.tuning.goal import LABELLED, Goal, Objective
from pipeline.tuning.history import fingerprint
from pipeline.tuning.search import Study
from pipeline.tuning.space import Setting
from pipeline.tuning.split import By, Split, split_history
from pipeline.tuning.trials import Part, running

_TUNING, _HELD_OUT = 0, 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search as it was asked for.

    Attributes:
        out: directory of the search.
        search: settings to search; none for the usual ones.
        fixed: keys of the configuration that are held.
        objective: what settings are chosen by; None takes what suits the history.
        budget: most false alarms per lane and day; None for none, or with faults for that of the settings configured.
        trials: how many settings are tried, those of former runs included.
        time_limit_s: after which no trial is begun; None for no limit.
        seed: of all draws.
        by: what is divided; None chooses.
        share: that is held out.
        overwrite: whether a search in the directory is begun afresh.
        force: whether a configuration that was edited there is replaced.
    """

    out: Path
    search: tuple[Setting, ...] = ()
    fixed: frozenset[str] = frozenset()
    objective: Objective | None = None
    budget: float | None = None
    trials: int = 60
    time_limit_s: float | None = None
    seed: int = 7
    by: By | None = None
    share: float = 0.4
    overwrite: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search came to.

    Attributes:
        described: the values of `tuning.json`; empty where it was stopped.
        trials_done: those of former runs included.
        stopped: exit status of the signal that interrupted it; 0 for none.
    """

    described: dict[str, Any]
    trials_done: int
    stopped: int


def tune(history: History, loaded: LoadedConfig, wanted: Wanted, jobs: int, screen: Screen, *, kernels: Path) -> Tuned:
    """Search, judge by what is held out, and leave the outputs behind.

    Args:
        history: to search on.
        loaded: the configuration to begin with and to compare with.
        wanted: the search.
        jobs: scoring processes at most; their number changes nothing that is found.
        screen: shows how it goes on.
        kernels: directory of the compiled kernels; its name tells engines apart.

    Raises:
        UserError: a history, setting or directory that cannot be used.
    """
    split = _split(history, loaded, wanted)
    plan = _plan(history, split, loaded, wanted)
    identity = {
        "history": fingerprint(history.recordings),
        "configuration": f"{config_hash(loaded.config)}, bundle {loaded.config.detector.bundle}",
        "objective": [plan.goal.objective, plan.goal.budget],
        "search space": [[one.name, one.described(), one.step] for one in plan.settings],
        "split": [split.by, wanted.share],
        "seed": wanted.seed,
        "version of the engine": kernels.name,
    }
    claim_directory(wanted.out, MARK, "a search", overwrite=True)
    with ExitStack() as held:
        held.callback(os.close, lock(wanted.out, "search"))
        if not wanted.force:
            require_config_unedited(wanted.out)
        if wanted.overwrite:
            forget_search(wanted.out)
        study = Study(wanted.out, identity)
        engines = TunedEngines(loaded.config)
        ready = Kernels(engines, kernels)
        ready.prepare({}, screen)
        runs = max(len(plan.tuning.runs), len(plan.held_out.runs))
        runner = held.enter_context(running(engines, loaded.config.replay.micro_batch, min(jobs, runs), start_worker))
        stop = held.enter_context(StopRequest("within this trial"))
        try:
            trials = search(plan, study, runner, ready, screen, stop)
            described = judge(plan, history, split, trials, loaded, runner, screen, stop)
        except GivenUpError:
            return Tuned({}, len(study.trials()), stop.status)
        write_outputs(wanted.out, described, loaded)
    return Tuned(described, len(trials), 0)


def _split(history: History, loaded: LoadedConfig, wanted: Wanted) -> Split:
    warm_up = loaded.config.episodes.warm_up
    try:
        return split_history(history.recordings, warm_up, wanted.share, wanted.seed, wanted.by)
    except ValueError as exc:
        raise InputError(history.source, found=str(exc).removeprefix("found ").partition(";")[0],
                         expected=str(exc).partition("expected ")[2]) from exc  # fmt: skip


def _plan(history: History, split: Split, loaded: LoadedConfig, wanted: Wanted) -> Plan:
    objective = wanted.objective or ("f1" if history.is_labelled else "faults")
    if objective in LABELLED and not history.is_labelled:
        raise ConfigError(
            f"--objective {objective}: found a history without labels; expected --labels FILE or --labelled, or the "
            "objective faults, which needs none"
        )
    settings, configured = searched(wanted.search, wanted.fixed, loaded.config, split.tuning)
    parts = [
        Part(recordings, () if objective in LABELLED else disturb_all(recordings, [wanted.seed, part]))
        for part, recordings in ((_TUNING, split.tuning), (_HELD_OUT, split.held_out))
    ]
    if objective == "faults" and not all(part.disturbed for part in parts):
        raise InputError(
            history.source,
            found="too few records behind the warm-up, or none that change, to put a fault in",
            expected="some hundred records of a stream in both parts: give more history, or --labels",
        )
    return Plan(
        wanted.seed, wanted.trials, wanted.time_limit_s, Goal(objective, wanted.budget), settings, configured, *parts
    )
