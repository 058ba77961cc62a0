"""The trials of a search, and how its best settings do on what was held out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.cli.evaluate.running import number_of
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.tune.describing import describe_result, describe_search
from pipeline.cli.tune.engines import Kernels
from pipeline.cli.tune.history import History
from pipeline.config import LoadedConfig
from pipeline.errors import ConfigError, DriftlineError
from pipeline.tuning.goal import Goal, describe, lane_days, value_of
from pipeline.tuning.judging import compare
from pipeline.tuning.measures import PartMeasures
from pipeline.tuning.search import Study, Tried, best_of, next_point
from pipeline.tuning.space import Point, Setting, settings_of
from pipeline.tuning.split import Split
from pipeline.tuning.trials import Part, Runner


class GivenUpError(Exception):
    """A trial was given up because a stop was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a search is put together from."""

    seed: int
    trials: int
    time_limit_s: float | None
    goal: Goal
    settings: tuple[Setting, ...]
    configured: Point
    tuning: Part
    held_out: Part


def search(plan: Plan, study: Study, runner: Runner, ready: Kernels, screen: Screen, stop: StopRequest) -> list[Tried]:
    """All trials, those of former runs first.

    Raises:
        ConfigError: nothing can be judged by the objective.
        GivenUpError: a stop was asked for.
    """
    trials = study.trials()
    begun, each = time.monotonic(), plan.tuning.points
    if trials:
        screen.step(f"going on behind {number_of(len(trials), 'trial')}")
    with screen.bar("trying settings", "points", max(plan.trials, len(trials)) * each) as move:
        here = 0
        while len(trials) < plan.trials and not _is_over(begun, plan.time_limit_s, trials):
            told = f"trial {len(trials) + 1}, best {best_of(trials).value:.3f}" if trials else "as configured"
            done = len(trials) * each
            move(told, done, here)

            def observe(points: int, told: str = told) -> None:
                nonlocal done, here
                done, here = done + points, here + points
                move(told, done, here)

            point = next_point(trials, plan.settings, plan.configured, plan.seed)
            changed = settings_of(plan.settings, point, plan.configured)
            ready.prepare(changed, Screen(quiet=True))
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
                screen.step(f"trial {tried.number + 1} of {plan.trials}: {goal.objective} {value:.3f}, {changed}")
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
            raise GivenUpError
        observe(points)

    try:
        return runner.measure(part, changed, observe_or_stop)
    except DriftlineError as exc:
        if stop():  # Ctrl-C reaches the scoring processes as well
            raise GivenUpError from exc
        raise


def _goal(goal: Goal, configured: Mapping[str, Any]) -> Goal:
    """The goal; where faults are sought and no budget is given, with the rate of alarms of the settings configured.

    That is one alarm in the time measured where there was none.
    """
    if goal.objective != "faults" or goal.budget is not None:
        return goal
    return replace(goal, budget=max(configured["per_lane_and_day"], 1.0 / configured["lane_days"]))


def judge(
    plan: Plan,
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
    comparison = compare(tuned, configured, goal, seed=plan.seed)
    return {
        **describe_search(history, split, plan.settings, plan.configured, loaded, plan.seed),
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
