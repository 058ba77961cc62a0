"""Files of lanes against the configuration in use, and what is told of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.lib.format import dtype_to_descr

from pipeline.adapters.lanes_file import SUFFIX, LanesFile, open_lanes
from pipeline.config import Config
from pipeline.config.kinds import LSTM
from pipeline.engine import PartitionEngine
from pipeline.episodes import iso_time
from pipeline.errors import ConfigError, UserError


def is_lanes_file(source: str) -> bool:
    """Whether a file of lanes is meant, and no history."""
    return source.endswith(SUFFIX)


def past_of(lanes: LanesFile) -> str:
    """What keys begin with, as identities name it."""
    return f"lanes {lanes.id}"


def lanes_of(config: Config, bundle: str, fields: tuple[str, ...]) -> LanesFile | None:
    """The file of lanes that the service is configured with; None for none.

    Raises:
        ConfigError: a history, or several files.
        UserError: as `open_fitting`.
    """
    named = config.state.warm_from
    if named is None:
        return None
    if len(named) > 1 or not is_lanes_file(named[0]):
        raise ConfigError(
            f"[state] warm_from: found {', '.join(named)}; expected one file of lanes, the same for all members at all "
            f"times: make it with `driftline warm {' '.join(named)} --out NAME{SUFFIX}` and name that"
        )
    return open_fitting(Path(named[0]), config, bundle, fields)


def fit_of(config: Config, fields: tuple[str, ...]) -> dict[str, Any]:
    """What has to be the same where lanes are made and where they go on, but for the bundle; part of `Making`."""
    plain = config.plain()
    names = ("kind", "profile", "joint") if config.detector.kind == LSTM else ("kind", "options")
    detector = {name: plain["detector"][name] for name in names}
    if len(fields) == 1:
        detector.pop("joint", None)  # a key with one field has no joint lane either way
    return {"detector": detector, "windows": plain["windows"], "fields": fields}


def row_of(engine: PartitionEngine) -> str:
    """What a lane's row is made of, as text."""
    return repr(dtype_to_descr(engine.lanes.row_type))


def open_fitting(path: Path, config: Config, bundle: str, fields: tuple[str, ...]) -> LanesFile:
    """A file of lanes that go on under the configuration in use.

    Another network than theirs rebuilds what they carry, see `detectors.rebuilding`; another baseline cannot.

    Args:
        bundle: id of the bundle in use, or kind of the baseline.
        fields: names of the values of a record.

    Raises:
        UserError: there is none, or its lanes were made otherwise; all differences are named.
    """
    found, fit = open_lanes(path), fit_of(config, fields)
    bundle = found.run.bundle if config.detector.kind == LSTM else bundle
    was = _told(found.run.bundle, found.making.detector, found.making.windows, found.making.fields)
    now = _told(bundle, fit["detector"], fit["windows"], fields)
    differing = [name for name in was | now if was.get(name) != now.get(name)]
    if differing:
        told_was, told_now = (", ".join(f"{name} {told.get(name, '-')}" for name in differing) for told in (was, now))
        raise UserError(
            f"{path}: found lanes of {told_was}; expected {told_now}: make the file anew with `driftline warm` and the "
            "configuration in use"
        )
    return found


def require_row(found: LanesFile, engine: PartitionEngine) -> None:
    """Refuse lanes that are laid out otherwise, as those of another version of Driftline may be.

    Raises:
        UserError: they are.
    """
    if found.making.row != row_of(engine):
        raise UserError(
            f"{found.path}: found lanes laid out as by another version; expected the layout of this one, "
            f"{engine.lanes.bytes_per_lane} bytes each: make the file anew with `driftline warm`"
        )


def summary_of(found: LanesFile) -> dict[str, Any]:
    """What a summary tells of a file of lanes."""
    making = found.making
    times = {"first_time": making.first_us, "last_time": making.last_us, "before": making.end_us}
    return {
        "history": found.run.source,
        "id": found.id,
        "keys": making.keys,
        "lanes": making.lanes,
        "records": {"consumed": making.counts["consumed"], **making.counts["records"]},
        "left_out": making.left_out,
        "problems": making.counts["problems"],
        **{name: None if at is None else iso_time(at) for name, at in times.items()},
    }


def _told(bundle: str, detector: dict[str, Any], windows: dict[str, Any], fields: Sequence[str]) -> dict[str, str]:
    return {
        "bundle": bundle,
        **{name: str(value) for name, value in detector.items()},
        **{f"windows.{name}": str(value) for name, value in windows.items()},
        "fields": ", ".join(fields),
    }
