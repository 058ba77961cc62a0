"""Run the benchmarks, print a table and keep the figures as JSON; exit status 1 when one falls short."""

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    ablation,
    calibration,
    cold_start,
    decoding,
    engine,
    fields,
    joint,
    latency,
    live,
    metrics,
    poisoned,
    prior,
    segments,
    service,
    structures,
    swap,
    training,
)
from tests.processes import program

OUT = Path("build/benchmarks.json")
_WIDTH = 200
"""Characters of a line where the output is no terminal; enough for the widest table."""


def main() -> int:
    """Run those named on the command line, or all."""
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        print(f"found {', '.join(sorted(unknown))}; expected some of {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    figures = {name: BENCHMARKS[name].run() for name in names}
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    for name in names:
        console.print(*TABLES[name](figures[name]))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"python": platform.python_version(), **figures}, indent=2) + "\n")
    console.print(f"kept in {OUT}")
    short = [line for name in names for line in BENCHMARKS[name].shortfalls(figures[name])]
    for line in short:
        console.print(f"falls short: {line}")
    return 1 if short else 0


def _engine_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table(title="Points per second, one process; medians of interleaved rounds")
    table.add_column("side")
    table.add_column("points/s", justify="right")
    table.add_column("engine (balanced) is", justify="right")
    table.add_column("expected", justify="right")
    for side, rate in figures["points_per_s"].items():
        ratio, least = figures["engine_balanced_ratio_to"].get(side), figures["at_least"].get(side)
        table.add_row(side, f"{rate:,}", f"{ratio:.1f}x" if ratio else "", f">= {least:.0f}x" if least else "")
    sizes = Table(title="Bytes of state per lane")
    sizes.add_column("profile")
    sizes.add_column("bytes", justify="right")
    sizes.add_column("expected", justify="right")
    for profile, size in figures["bytes_per_lane"].items():
        most = figures["at_most_bytes"].get(profile)
        sizes.add_row(profile, f"{size:,}", f"<= {most:,}" if most else "")
    return [table, sizes]


def _decoding_tables(figures: dict[str, Any]) -> list[Table]:
    formats = Table("side", "points/s", "JSON objects times", "expected", title="Points decoded per second")
    for row in decoding.rows(figures):
        formats.add_row(*row)
    return [formats]


def _service_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table("side", "messages/s", "ratio", "expected", title="Messages per second, from a real broker")
    for side, rate in figures["messages_per_s"].items():
        mine = side != "bare loop"
        table.add_row(side, f"{rate:,}", f"{figures['ratio']:.2f}" if mine else "",
                      f">= {figures['at_least']}" if mine else "")  # fmt: skip
    return [table]


def _ablation_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table("variant", "standard", "low FP", "low FN", "held out", title="Numenta Anomaly Benchmark, balanced")
    for row in ablation.rows(figures):
        table.add_row(*row)
    return [table]


def _calibration_tables(figures: dict[str, Any]) -> list[Table]:
    columns = [f"{profile}, {source}" for profile, sources in figures["observed"].items() for source in sources]
    title = (
        f"False alarms per 1,000 points (how many: 95 % interval), and whether within a factor of {figures['within']}"
    )
    table = Table("asked for", *columns, title=title)
    for row in calibration.rows(figures):
        table.add_row(*row)
    daily = Table("asked for", *figures["per_day"], title="The same per lane and day, by sampling interval, balanced")
    for row in calibration.daily_rows(figures):
        daily.add_row(*row)
    return [table, daily]


def _segments_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table("detector", *figures["vus_pr"], title="VUS-PR, mean over the streams")
    for row in segments.rows(figures):
        table.add_row(*row)
    return [table]


def _cold_start_tables(figures: dict[str, Any]) -> list[Table]:
    columns = ("history", "fault at", *cold_start.FAULTS, "all", "false / 1,000")
    table = Table(*columns, title="Faults found, by points that a stream begins with and point at which they begin")
    for row in cold_start.rows(figures):
        table.add_row(*row)
    return [table]


def _fields_tables(figures: dict[str, Any]) -> list[Table]:
    measures = list(next(iter(figures["anomalies"].values())))
    found = Table("anomalies", *measures, title="Fields alone, and with the joint lane; false alarms per 1,000 records")
    for row in fields.rows(figures):
        found.add_row(*row)
    title = "False alarms per 1,000 points where nothing is wrong: of fields, of joint lanes (and how many those were)"
    fault_free = Table("asked for", *figures["fault_free"], title=title)
    for row in fields.fault_free_rows(figures):
        fault_free.add_row(*row)
    return [found, fault_free]


def _joint_tables(figures: dict[str, Any]) -> list[Table]:
    made = []
    for title, columns, rows in joint.tables(figures):
        made.append(Table(*columns, title=title))
        for row in rows:
            made[-1].add_row(*row)
    return made


def _training_tables(figures: dict[str, Any]) -> list[Table]:
    columns = (
        "device", "batch", "GB", "windows/s", "time-steps/s", "copies, GB/s", "share", "products, GFLOP/s", "share",
    )  # fmt: skip
    beside = "" if figures["gpu"] else "; no CUDA device is here to compare"
    table = Table(*columns, title=f"Training on excerpts of 512 and 256 steps, 64 cells{beside}")
    for row in training.rows(figures):
        table.add_row(*row)
    making = Table("series of 1,125 points to pre-train on, one core", "series/s")
    for row in training.making_rows(figures):
        making.add_row(*row)
    return [table, making]


def _prior_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table("measure", "found", "expected", title="The shipped prior, pre-trained anew")
    for row in prior.rows(figures):
        table.add_row(*row)
    return [table]


def _poisoned_tables(figures: dict[str, Any]) -> list[Table]:
    columns = ("network", "alarms per 1,000", "score of the risk", "recall")
    table = Table(*columns, title=f"{figures['incidents']} incidents behind a history of incidents")
    for row in poisoned.rows(figures):
        table.add_row(*row)
    return [table]


def _live_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table("live page", "messages/s", "processor, us a message, by round", title="What the live page costs")
    for side, rate in figures["messages_per_s"].items():
        table.add_row(side, f"{rate:,}", ", ".join(map(str, figures["us_per_message"][side])))
    told = f"{figures['share']:.1%} of a processor, expected at most {figures['at_most']:.0%}"
    table.add_row("the page", "", told)
    return [table]


def _metrics_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table("measure", "found", "expected", title="What metrics cost")
    for row in metrics.rows(figures):
        table.add_row(*row)
    return [table]


def _structures_tables(figures: dict[str, Any]) -> list[Table]:
    budget = figures["budget"]
    columns = ("network", "loss", "NAB standard", "VUS-PR, event", "VUS-PR, segment", "points/s")
    title = (
        f"Structures, balanced, after {budget['steps']} steps on series of {budget['length']} points, "
        f"seeds {', '.join(map(str, budget['seeds']))}"
    )
    table = Table(*columns, "bytes per lane", title=title)
    for row in structures.rows(figures):
        table.add_row(*row)
    return [table]


def _latency_tables(figures: dict[str, Any]) -> list[Table]:
    columns = ("pair", "p50, ms", "p99, ms", "p50 while training", "p99", "ratio of p99")
    spread, alone = figures["spread"], figures["spread_without"]
    table = Table(
        *columns, title="From a message to its committed verdict",
        caption=f"ratios {spread[0]:.2f} to {spread[1]:.2f}, expected {figures['at_most']} at most; of neighbours "
        f"without training {alone[0]:.2f} to {alone[1]:.2f}; {figures['trainings']} trainings",
    )  # fmt: skip
    for row in latency.rows(figures):
        table.add_row(*row)
    return [table]


def _swap_tables(figures: dict[str, Any]) -> list[Table]:
    table = Table(
        "micro-batch", "ms", "microseconds a lane", title=f"Of {figures['lanes']:,} points, each of another lane",
        caption=f"the first behind a swap takes {figures['ratio']:.0f} times as long, once a lane",
    )  # fmt: skip
    for row in swap.rows(figures):
        table.add_row(*row)
    return [table]


BENCHMARKS: dict[str, Any] = {
    "engine": engine, "decoding": decoding, "service": service, "ablation": ablation, "segments": segments,
    "calibration": calibration, "cold_start": cold_start, "fields": fields, "joint": joint,
    "training": training, "prior": prior, "poisoned": poisoned, "live": live, "metrics": metrics,
    "structures": structures,
    "latency": latency, "swap": swap,
}  # fmt: skip
TABLES: dict[str, Callable[[dict[str, Any]], list[Table]]] = {
    "engine": _engine_tables,
    "decoding": _decoding_tables,
    "service": _service_tables,
    "ablation": _ablation_tables,
    "segments": _segments_tables,
    "calibration": _calibration_tables,
    "cold_start": _cold_start_tables,
    "fields": _fields_tables,
    "joint": _joint_tables,
    "training": _training_tables,
    "prior": _prior_tables,
    "poisoned": _poisoned_tables,
    "live": _live_tables,
    "metrics": _metrics_tables,
    "structures": _structures_tables,
    "latency": _latency_tables,
    "swap": _swap_tables,
}


if __name__ == "__main__":
    with program():
        sys.exit(main())
