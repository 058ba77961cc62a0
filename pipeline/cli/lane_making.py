"""A history made a file of lanes: what `driftline warm` runs."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.adapters.lanes_file import SUFFIX, LanesFile
from pipeline.cli.detecting import choose_detector
from pipeline.cli.histories import make_lanes, open_history
from pipeline.cli.kernel_loading import load_kernels
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.wiring import engine_maker
from pipeline.config import Config
from pipeline.episodes import iso_time
from pipeline.errors import ConfigError, InputError, StoppedError
from pipeline.wording import whole


def run_warm(
    sources: Sequence[str],
    out: Path,
    config: Config,
    screen: Screen,
    *,
    kernels: Path,
    from_us: int | None,
    to_us: int | None,
    overwrite: bool,
) -> LanesFile:
    """The file of lanes that a history has left.

    Args:
        sources: the history, as the user named it.
        out: file to be written.
        kernels: directory of the compiled kernels.
        from_us, to_us: range of event time, the latter exclusive; None for no bound.
        overwrite: whether a file that is there is replaced.

    Raises:
        UserError: the history cannot be read, nothing of it can be used, or the file not be written.
        StoppedError: it was stopped on the way.
    """
    pa.enable_signal_handlers(False)  # noqa: FBT003  pyarrow's signature
    _require_out(out, overwrite=overwrite)
    chosen = choose_detector(config)
    if not chosen.detector.is_restorable:
        raise ConfigError(
            f"[detector] kind: found {config.detector.kind}; expected one whose state is kept in lanes, which that of "
            "models of river is not"
        )
    history = open_history(sources, config, screen, from_us=from_us, end_us=to_us)
    scratch = Path(tempfile.gettempdir())
    with engine_maker(config, chosen.detector, chosen.bundle, history.name, history.fields, scratch) as make:
        load_kernels(make(""), screen, kernels)
    stop = StopRequest()
    with stop:
        lanes = make_lanes(history, out, config, chosen, screen, stop)
    if lanes is None:
        raise StoppedError(f"stopped on the way through the history; {out} was not written", stop.status)
    if not lanes.making.keys:
        out.unlink(missing_ok=True)
        raise InputError(history.told, found="no records that can be used", expected="some: look at --from and --to")
    return lanes


def _require_out(out: Path, *, overwrite: bool) -> None:
    if out.suffix != SUFFIX:
        raise ConfigError(f"--out: found {out}; expected a name that ends in {SUFFIX}")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: found a file; expected none: choose another name, or replace it with --overwrite")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: found no folder {out.parent}; expected one that exists")


def told_of(lanes: LanesFile) -> list[tuple[str, str]]:
    """What there is to know of a file of lanes, as names and values."""
    making = lanes.making
    records = {name: count for name, count in making.counts["records"].items() if count}
    fates = " + ".join(f"{whole(count)} {name.replace('_', '-')}" for name, count in records.items())
    first, last = (iso_time(at) if at is not None else "-" for at in (making.first_us, making.last_us))
    kind = making.detector["kind"]
    size = lanes.path.stat().st_size
    rows = [
        ("History", lanes.run.source),
        ("Time", f"{first} to {last}"),
        ("Fields", ", ".join(making.fields)),
        ("Records", f"{whole(making.counts['consumed'])} = {fates}"),
        ("Streams", f"{whole(making.lanes)} of {whole(making.keys)} keys"),
        ("Detector", f"{kind}, {making.detector.get('profile', making.detector.get('options'))}, {lanes.run.bundle}"),
        (
            str(lanes.path),
            f"{math.ceil(size / 1000):,} kB, lanes {lanes.id}: give it to serve or replay by --warm-from",
        ),
    ]
    if making.left_out:
        rows.insert(4, ("Left out", f"{whole(making.left_out)} records behind the end"))
    return rows
