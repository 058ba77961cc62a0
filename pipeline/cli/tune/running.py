"""From a history to tuned settings: the split, the trials, what is held out, and what is left on disk."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.adapters.claims import claim_directory
from pipeline.adapters.outputs.directory import lock
from pipeline.cli.evaluate.running import number_of
from pipeline.cli.evaluate.worker import start_worker
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.tune.describing import describe_result, describe_search
from pipeline.cli.tune.engines import TunedEngines, load_all_kernels, searched
from pipeline.cli.tune.history import History
from pipeline.cli.tune.outputs import MARK, forget_search, require_config_unedited, write_outputs
from pipeline.config import LoadedConfig, config_hash
from pipeline.errors import ConfigError, DriftlineError, InputError
from pipeline.tuning.disturb import disturb_all
from pipeline.tuning.goal import LABELLED, Goal, Objective, describe, lane_days, value_of
from pipeline.tuning.history import fingerprint
from pipeline.tuning.judging import compare
from pipeline.tuning.measures import PartMeasures
from pipeline.tuning.search import Study, Tried, best_of, next_point
from pipeline.tuning.space import Point, Setting, settings_of
from pipeline.tuning.split import By, Split, split_history
from pipeline.tuning.trials import Part, Runner, running

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


class _StoppedError(Exception):
    """A trial was given up because a stop was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What a search is put together from."""

    wanted: Wanted
    goal: Goal
    settings: tuple[Setting, ...]
    configured: Point
    tuning: Part
    held_out: Part


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
        load_all_kernels(engines, plan.settings, plan.configured, screen, kernels)
        runs = max(len(plan.tuning.runs), len(plan.held_out.runs))
        runner = held.enter_context(running(engines, loaded.config.replay.micro_batch, min(jobs, runs), start_worker))
        stop = held.enter_context(StopRequest("within this trial"))
        try:
            trials = _search(plan, study, runner, screen, stop)
            described = _judge(plan, history, split, trials, loaded, runner, screen, stop)
        except _StoppedError:
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


def _plan(history: History, split: Split, loaded: LoadedConfig, wanted: Wanted) -> _Plan:
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
    return _Plan(wanted, Goal(objective, wanted.budget), settings, configured, parts[_TUNING], parts[_HELD_OUT])


def _search(plan: _Plan, study: Study, runner: Runner, screen: Screen, stop: StopRequest) -> list[Tried]:
    """All trials, those of former runs first."""
    trials = study.trials()
    wanted, begun, each = plan.wanted, time.monotonic(), plan.tuning.points
    if trials:
        screen.step(f"going on behind {number_of(len(trials), 'trial')}")
    with screen.bar("trying settings", "points", max(wanted.trials, len(trials)) * each) as move:
        here = 0
        while len(trials) < wanted.trials and not _is_over(begun, wanted.time_limit_s, trials):
            told = f"trial {len(trials) + 1}, best {best_of(trials).value:.3f}" if trials else "as configured"
            done = len(trials) * each
            move(told, done, here)

            def observe(points: int, told: str = told) -> None:
                nonlocal done, here
                done, here = done + points, here + points
                move(told, done, here)

            point = next_point(trials, plan.settings, plan.configured, wanted.seed)
            changed = settings_of(plan.settings, point, plan.configured)
            measures = _measure(runner, plan.tuning, changed, observe, stop)
            goal = _goal(plan.goal, trials[0].figures if trials else describe(measures, plan.goal))
            try:
                value = value_of(measures, goal)
            except ValueError as exc:
                raise ConfigError(
                    f"--objective {goal.objective}: found no labelled anomaly behind the warm-up in the part to tune "
                    "on; expected some: give more history, or none but --objective faults"
                ) from exc
            tried = Tried(len(trials), point, value, describe(measures, goal))
            study.add(tried, plan.settings)
            if trials and value > best_of(trials).value:
                screen.step(f"trial {tried.number + 1} of {wanted.trials}: {goal.objective} {value:.3f}, {changed}")
            trials.append(tried)
    return trials


def _is_over(begun: float, limit_s: float | None, trials: Sequence[Tried]) -> bool:
    """One trial there must be: what is configured."""
    return limit_s is not None and bool(trials) and time.monotonic() - begun >= limit_s


def _measure(
    runner: Runner, part: Part, changed: Mapping[str, Any], observe: Callable[[int], None], stop: StopRequest
) -> PartMeasures:
    def observe_or_stop(points: int) -> None:
        if stop():
            raise _StoppedError
        observe(points)

    try:
        return runner.measure(part, changed, observe_or_stop)
    except DriftlineError as exc:
        if stop():  # Ctrl-C reaches the scoring processes as well
            raise _StoppedError from exc
        raise


def _goal(goal: Goal, configured: Mapping[str, Any]) -> Goal:
    """The goal; where faults are sought and no budget is given, with the rate of alarms of the settings configured.

    That is one alarm in the time measured where there was none.
    """
    if goal.objective != "faults" or goal.budget is not None:
        return goal
    return replace(goal, budget=max(configured["per_lane_and_day"], 1.0 / configured["lane_days"]))


def _judge(
    plan: _Plan,
    history: History,
    split: Split,
    trials: Sequence[Tried],
    loaded: LoadedConfig,
    runner: Runner,
    screen: Screen,
    stop: StopRequest,
) -> dict[str, Any]:
    """The held-out part with the best settings and with those configured, and which are to be used."""
    best = best_of(trials)
    changed = settings_of(plan.settings, best.point, plan.configured)
    screen.step("judging by the held-out part")
    with screen.bar("held out", "points", 2 * plan.held_out.points) as move:
        done = 0

        def observe(points: int) -> None:
            nonlocal done
            done += points
            move("held out", done, done)

        configured = _measure(runner, plan.held_out, {}, observe, stop)
        tuned = _measure(runner, plan.held_out, changed, observe, stop) if changed else configured
    goal = plan.goal
    if lane_days(configured) > 0:
        goal = _goal(plan.goal, describe(configured, plan.goal))
    comparison = compare(tuned, configured, goal, seed=plan.wanted.seed)
    return {
        **describe_search(history, split, plan.settings, plan.configured, loaded, plan.wanted.seed),
        **describe_result(
            plan.goal, _goal(plan.goal, trials[0].figures), goal, trials, best, changed, plan.settings, plan.configured
        ),
        "faults_put_in": {"tuning": _faults(plan.tuning), "held_out": _faults(plan.held_out)},
        "held_out": {"configured": describe(configured, goal), "tuned": describe(tuned, goal)},
        "comparison": {
            "configured": comparison.configured,
            "tuned": comparison.tuned,
            "difference_90": comparison.interval,
            "may_be_chance": comparison.may_be_chance,
            "exceeds_budget": comparison.exceeds,
        },
        "use": "tuned" if comparison.is_better else "configured",
    }


def _faults(part: Part) -> int:
    return sum(len(copy.faults) for copy in part.disturbed)
