"""The campaign: a fleet changes for good while it is served, and the service learns it.

`make drifting`, or `python -m tests.drifting --keys 40 --steps 400`. A service with `retrain.enabled` is fed over a
real broker. Behind the change its trainer is to bring a network that forecasts the new streams better than the one
before would have, at no more alarms than the risk allows. What readers of committed messages find has to be what a
replay of the topic says that is told of the swaps, record for record. Reports of the replay and of the gate stay in
--out.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.service import Names
from tests.drifting import figures
from tests.drifting.campaign import Campaign, Course, in_days, serve
from tests.drifting.figures import Scored
from tests.drifting.fleet import DAY, Fleet
from tests.drifting.oracle import compare, replay
from tests.drifting.streams import INTERVAL_MS, START_MS
from tests.kafka_broker import Broker
from tests.processes import program, scratch

FALLS_BY = 0.3
BUDGET = 0.7 * DAY / 1000
"""Alarms per stream and day: the risk of the configuration, 0.7 per 1,000 points."""


def main() -> int:
    """Exit status: 0 when all that is promised is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--before", type=int, default=5, help="days until the change")
    parser.add_argument("--behind", type=int, default=10, help="days from then on")
    parser.add_argument("--faulty", type=int, default=2, help="days, the last, in which each machine hangs once")
    parser.add_argument("--rise", type=float, default=2.0, help="of the level; the day's amplitude is about 1")
    parser.add_argument("--day-s", type=float, default=120.0, help="seconds that a day takes during trainings")
    parser.add_argument("--steps", type=int, default=400, help="retrain.steps")
    parser.add_argument("--time-limit", default="2min", help="retrain.time_limit")
    parser.add_argument("--history", default="30d", help="retrain.history")
    parser.add_argument("--interval", default="none", help="retrain.interval; none for drift alone")
    parser.add_argument("--least-interval", default="1d", help="retrain.least_interval")
    parser.add_argument("--held-out", default="1d", help="gate.held_out")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("build/drifting"))
    options = parser.parse_args()
    fleet = Fleet(options.keys, options.before, options.behind, options.faulty, options.rise, 2, options.seed)
    retrain: dict[str, Any] = {
        "steps": options.steps, "time_limit": options.time_limit, "history": options.history,
        "least_interval": options.least_interval,
    }  # fmt: skip
    if options.interval != "none":
        retrain["interval"] = options.interval
    console = Console(highlight=False, soft_wrap=True)
    options.out.mkdir(parents=True, exist_ok=True)
    with scratch() as directory, Broker(directory / "broker") as broker:
        names = Names.of("drifting", "fleet")
        campaign = Campaign(fleet, options.day_s, retrain, options.held_out, names)
        course = serve(campaign, broker.bootstrap, directory, tell=console.print)
        return _judge(fleet, course, options.out, console)


def _judge(fleet: Fleet, course: Course, out: Path, console: Console) -> int:
    served = replay(course, out / "served", "--swaps", str(course.log))
    frozen = replay(course, out / "frozen", "--bundle", "shipped")
    shutil.copy(course.log, out)
    for report in sorted((course.registry / "runs").glob("*-gate.*")):
        shutil.copy(report, out)
    console.print(*course.metrics, sep="\n")
    _tell_runs(fleet, course, console)
    mine, prior = figures.read_scored(fleet, served), figures.read_scored(fleet, frozen)
    _tell_days(fleet, mine, prior, console)
    told, differences = compare(course, served)
    failures = [*differences, *_summary(fleet, course, mine, prior, console)]
    console.print(f"committed {told}: {'as' if not differences else 'NOT as'} replayed, record for record")
    console.print(f"reports: {served / 'report.html'}, {frozen / 'report.html'}, {out}/*-gate.html")
    for failure in failures:
        console.print(f"FAILED: {failure}")
    return 1 if failures else 0


def _tell_runs(fleet: Fleet, course: Course, console: Console) -> None:
    columns = ("history until", "learned until", "for", "outcome", "loss before", "loss", "training, s", "all, s")
    table = Table(*columns, title="Trainings; losses by the gate, in nats per point")
    for run in course.runs:
        times = [
            "" if at is None else in_days((at.timestamp() * 1000 - START_MS) / INTERVAL_MS - fleet.change)[:-1]
            for at in (run.until, run.judged_from)
        ]
        losses = ["" if loss is None else f"{loss:.3f}" for loss in (run.champion_loss, run.challenger_loss)]
        seconds = [f"{run.seconds.get('training', 0.0):.0f}", f"{sum(run.seconds.values()):.0f}"]
        table.add_row(*times, run.trigger, run.outcome, *losses, *seconds)
    console.print(table)


def _tell_days(fleet: Fleet, mine: Scored, prior: Scored, console: Console) -> None:
    columns = ("day", "error, frozen", "served", "less by", "alarms a day, frozen", "served")
    table = Table(*columns, title=f"By days from the change: one-step error, alarms per stream (budget {BUDGET:.2f})")
    for day in range(1, fleet.before + fleet.behind):
        where = figures.all_points(fleet, day)
        one, other = (figures.measure(fleet, scored, where) for scored in (prior, mine))
        table.add_row(
            f"{day - fleet.before:+d}", f"{one.error:.3f}", f"{other.error:.3f}", f"{1 - other.error / one.error:.0%}",
            f"{one.alarms:.2f}", f"{other.alarms:.2f}",
        )  # fmt: skip
    console.print(table)


def _summary(fleet: Fleet, course: Course, mine: Scored, prior: Scored, console: Console) -> list[str]:
    """What falls short."""
    failures = []
    offsets: dict[int, list[int]] = {n: [] for n in range(fleet.partitions)}
    for swap in course.swaps:
        offsets[int(swap["place"].rpartition("/")[2])].append(swap["offset"])
    for name, pick in (("first", min), ("last", max)):
        where = figures.behind_swap(fleet, {n: pick(all_of) for n, all_of in offsets.items()})
        one, other = (figures.measure(fleet, scored, where) for scored in (prior, mine))
        begins = where.argmax(axis=0).min() - fleet.change
        console.print(
            f"behind the {name} swap ({in_days(begins)[:-1]}): one-step error {other.error:.3f}, frozen "
            f"{one.error:.3f}, less by {1 - other.error / one.error:.1%}, promised {FALLS_BY:.0%}; in the band of 95 % "
            f"{other.coverage:.1%}, frozen {one.coverage:.1%}; alarms per stream and day {other.alarms:.3f}, "
            f"frozen {one.alarms:.3f}, budget {BUDGET:.3f}"
        )  # fmt: skip
        if 1 - other.error / one.error < FALLS_BY:
            failures.append(f"the error falls by {1 - other.error / one.error:.1%} behind the {name} swap")
        if other.alarms > BUDGET:
            failures.append(f"{other.alarms:.3f} alarms per stream and day behind the {name} swap")
    if fleet.faulty:
        both = [figures.found(fleet, scored) for scored in (mine, prior)]
        console.print(f"machines that hang found: {both[0]} of {fleet.keys}, frozen {both[1]}")
    return failures


if __name__ == "__main__":
    with program():
        sys.exit(main())
