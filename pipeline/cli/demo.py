"""`driftline demo`."""

import shlex
from pathlib import Path

import click

from pipeline.cli.commands import Command, option

_EXAMPLES = """\
\b
Examples:
  driftline demo
  driftline demo --lanes 1000 --out /tmp/demo
"""


@click.command("demo", cls=Command, epilog=_EXAMPLES)
@option(
    "--out",
    group="Options",
    type=click.Path(path_type=Path),
    default=Path("driftline-demo"),
    metavar="DIR",
    help="Directory of its own, written over each time.  [default: ./driftline-demo]",
)
@option(
    "--lanes",
    group="Options",
    type=click.IntRange(16, 100_000),
    default=200,
    metavar="N",
    help="Streams of the fleet, 16 or more.  [default: 200]",
)
def command(out: Path, lanes: int) -> int:
    """Replay a real stream and a fleet of streams with known faults.

    Both go through the engine by the very code of `driftline replay`. Nothing is downloaded.
    """
    from pipeline.cli.kernels import use_kernel_cache

    kernels = use_kernel_cache()

    from pipeline.cli.printing import print_replay
    from pipeline.cli.replay_parts import Request
    from pipeline.cli.screen import Screen, make_console
    from pipeline.cli.session import REPORT, replay_files
    from pipeline.cli.tables import left, print_pairs, print_table, right
    from pipeline.config import Config
    from pipeline.demo import claim, found_by_fault, write_fleet, write_water_flow
    from pipeline.wording import duration

    claim(out)
    console, screen = make_console(), Screen()

    console.rule("A real stream: the flow through a water main, hourly over two months", align="left")
    flow = out / "water-flow"
    request = Request(str(write_water_flow(flow)), flow / "replay", existing="overwrite")
    replayed = replay_files(request, Config(), screen, kernels=kernels)
    print_replay(console, replayed, request.out)
    if replayed.stopped:
        return replayed.stopped

    console.rule(f"A fleet: {lanes} made-up streams, half of them with one fault", align="left")
    fleet = out / "fleet"
    with screen.working("making the fleet"):
        records, labels_file, labels = write_fleet(fleet, lanes)
    request = Request(str(records), fleet / "replay", labels=labels_file, existing="overwrite")
    replayed = replay_files(request, Config(), screen, kernels=kernels)
    print_replay(console, replayed, request.out)
    if replayed.stopped:
        return replayed.stopped
    print_table(
        console,
        "Faults found, by kind",
        (left("fault"), right("faults"), right("found"), right("median delay")),
        (
            (
                row.fault.replace("_", " "),
                str(row.labelled),
                str(row.found),
                "-" if row.median_delay_s is None else duration(row.median_delay_s),
            )
            for row in found_by_fault(request.out, labels)
        ),
    )
    shown = shlex.quote(str(records))
    print_pairs(
        console,
        [
            ("Open", f"{flow / 'replay' / REPORT} and {fleet / 'replay' / REPORT}, in any browser"),
            ("Try next", f"driftline replay {shown} --risk 0.2 --labels {shlex.quote(str(labels_file))}"),
            ("", "driftline replay YOUR-FILE.csv"),
            ("", "driftline replay --help"),
        ],
    )
    return 0
