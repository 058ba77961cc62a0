"""The command line, and with it the composition root: here configuration becomes running parts.

Commands lie each in a module of its own name and are loaded when they are used.
"""

import errno
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from pipeline.cli.commands import GroupOfLazyCommands, explain
from pipeline.errors import DriftlineError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_EPILOG = """\
\b
First steps:
  driftline demo                      see it at work on a real stream and on a fleet of 200
  driftline replay machine.csv        score your own history; the columns are found out
  driftline replay --help             everything that a replay can do
"""


@click.group(
    cls=GroupOfLazyCommands,
    modules={
        "replay": "Score recorded streams as if they happened now.",
        "report": "Compare what two replays have left.",
        "warm": "Put a history through the detector, and keep what it leaves for new streams to begin with.",
        "serve": "Score the records of Kafka topics as they come.",
        "top": "Show live how the service is: throughput, lag, lanes, partitions and newest anomalies.",
        "tail": "Follow anomalies as they are committed.",
        "check": "See whether everything is there that `driftline serve` needs.",
        "produce": "Send recorded or made-up points to a topic, to try things out.",
        "evaluate": "Measure the detector on labelled streams.",
        "tune": "Search the settings that suit your own history, and see on held-out history whether they do.",
        "demo": "Replay a real stream and a fleet of streams with known faults.",
        "train": "Fit a network to your own history: a bundle in a folder, or in the registry.",
        "pretrain": "Train a network on synthetic streams and write it as a bundle.",
        "gate": "Judge a bundle against the champion, and promote it only if it is better.",
        "models": "Manage the registry of bundles.",
        "feedback": "Say what alarms and stretches of time really are.",
        "config": "Print the configuration in effect as TOML, or an example of one.",
        "version": "Print the versions of Driftline and of its shipped bundle.",
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=_EPILOG,
)
def driftline() -> None:
    """Notices when a stream of numbers stops behaving as it always has.

    One network forecasts every stream; what it misses is ranked against the stream's own past. It comes trained, so a
    stream is judged after a short warm-up, with one number to set: how many false alarms are tolerable.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and end the process: status 0 when fine, 2 for what the user can put right, 130 after Ctrl-C."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Exit status of a command; a bug is left to raise."""
    try:
        status: Any = driftline.main(arguments, prog_name="driftline", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message())
        return 0
    except click.ClickException as exc:
        _complain(explain(exc))
        return 2
    except DriftlineError as exc:
        _complain(str(exc))
        return exc.exit_status
    except click.Abort:
        _complain("interrupted")
        return 130
    except OSError as exc:
        if exc.errno not in _NO_ROOM:
            raise
        _complain(f"found no room to write ({exc.strerror}); expected some: see to the disk that the output goes to")
        return 1
    return status if isinstance(status, int) else 0


def _complain(message: str) -> None:
    click.echo(f"driftline: error: {' '.join(message.split())}", err=True)
