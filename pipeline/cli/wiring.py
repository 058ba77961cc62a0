"""From a configuration to running parts: the detector, engines and their place on disk."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from detectors import normalise
from detectors.detector import Detector
from detectors.profiles import PROFILES, Profile
from detectors.thresholds import ThresholdTable, make_decision
from pipeline.adapters.bundles import Bundle
from pipeline.adapters.spill import SqliteSpill
from pipeline.config import Config
from pipeline.config.kinds import LSTM
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.errors import BundleError, ConfigError
from pipeline.interfaces import Spill
from pipeline.lane_detector import LaneDetector
from pipeline.records import KeyedRows
from pipeline.silence import SilenceRule
from pipeline.windows import CountWindows, TimeWindows, WindowSpec

_MICROSECOND = timedelta(microseconds=1)


def window_spec(config: Config) -> WindowSpec:
    """The windows that `config` asks for.

    Raises:
        ConfigError: sizes that do not go together.
    """
    chosen = config.windows
    try:
        if isinstance(chosen.size, timedelta) and isinstance(chosen.hop, timedelta):
            return TimeWindows(
                size_us=chosen.size // _MICROSECOND,
                hop_us=chosen.hop // _MICROSECOND,
                allowed_lateness_us=chosen.allowed_lateness // _MICROSECOND,
                aggregate=chosen.aggregate,
            )
        if isinstance(chosen.size, int) and isinstance(chosen.hop, int):
            return CountWindows(chosen.size, chosen.hop)
    except ValueError as exc:
        raise ConfigError(f"[windows] {exc}") from exc
    raise TypeError(f"found {chosen}; expected both sizes of one kind")


def keep_window(profile: Profile, windows: WindowSpec) -> Profile:
    """The profile, keeping as many of the newest steps of a lane as a window is long, where it keeps fewer anyway."""
    return replace(profile, window=max(profile.window, _steps_of(windows)))


def kept_window(least: int, config: Config) -> int:
    """Newest steps of a lane that are kept: as many as a window is long, and no fewer than `least`."""
    return max(least, _steps_of(window_spec(config)))


def _steps_of(windows: WindowSpec) -> int:
    return windows.size if isinstance(windows, CountWindows) else windows.size_us // windows.hop_us


def decision_rules(config: Config) -> dict[str, float]:
    """The rules of `Decision` that can be configured."""
    episodes = config.episodes
    return {
        "warm_up": episodes.warm_up, "rest": episodes.rest, "margin": episodes.margin, "quiet": episodes.quiet,
    }  # fmt: skip


def make_detector(config: Config, bundle: Bundle) -> Detector:
    """The detector of a profile and a bundle, with the thresholds that the risk asks for.

    Raises:
        BundleError: no calibration for the profile, a network of another make, or a joint one with windows that do not
            go with it.
    """
    _require_normaliser(bundle)
    profile = config.detector.profile
    tables = bundle.manifest.calibration
    if profile not in tables:
        raise BundleError(
            f"bundle {bundle.short_id}: found no calibration for the profile {profile!r}; "
            f"expected one of {', '.join(sorted(tables)) or 'none'}"
        )
    try:
        windows = window_spec(config)
        if bundle.network.is_joint and isinstance(windows, CountWindows) and windows.hop > 1:
            raise BundleError(
                f"bundle {bundle.short_id}: found a joint network with [windows] hop = {windows.hop} records; expected "
                "1, or windows by event time: fields that miss a value would no longer step together"
            )
        joint_table = (bundle.manifest.joint_calibration or {}).get(profile)
        joint_lanes = None if joint_table is None else _detector_of(joint_table, config, bundle)
        return replace(_detector_of(tables[profile], config, bundle), joint_lanes=joint_lanes)
    except (TypeError, ValueError) as exc:
        raise BundleError(f"bundle {bundle.short_id}, profile {profile!r}: {exc}") from exc


def _detector_of(calibration: dict[str, Any], config: Config, bundle: Bundle) -> Detector:
    """The detector whose thresholds are read off a table of the bundle; raises `TypeError` or `ValueError` if none."""
    table, asked = ThresholdTable(**calibration), config.detector
    decision = make_decision(table, asked.risk, risk_per_day=asked.risk_per_day, **decision_rules(config))
    return Detector(bundle.network, keep_window(PROFILES[asked.profile], window_spec(config)), decision, table)


def require_fields(bundle: Bundle, fields: Sequence[str]) -> None:
    """Refuse a joint network that was fitted for other fields than a record has.

    Raises:
        BundleError: it was.
    """
    fitted = bundle.network.fields
    if fitted and sorted(fitted) != sorted(fields):
        raise BundleError(
            f"bundle {bundle.short_id}: found a joint network of {', '.join(fitted)}; expected one of "
            f"{', '.join(fields)}, as records have them, or one that streams share"
        )


def _require_normaliser(bundle: Bundle) -> None:
    """Refuse a network whose inputs were made with another normaliser than ours: it would see what it never saw."""
    theirs, ours = bundle.manifest.normaliser, normalise.CONSTANTS
    if theirs is not None and theirs != ours:
        differing = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
        raise BundleError(
            f"bundle {bundle.short_id}: found it trained with another normaliser ({', '.join(differing)}); expected "
            f"{', '.join(f'{name}={ours.get(name)}' for name in differing)}: train it anew with this version"
        )


@contextmanager
def engine_maker(
    config: Config,
    detector: LaneDetector,
    bundle: str,
    source: str,
    fields: tuple[str, ...],
    directory: Path,
    points_per_message: int = 1,
    past: KeyedRows | None = None,
) -> Iterator[Callable[[str], PartitionEngine]]:
    """Within the block, makes a fresh engine for the partition of a name; the one made before is then done with.

    Args:
        config: what the engines are made after.
        detector: shared by all.
        bundle: id of the bundle, or kind of the baseline, named in every anomaly.
        source: named in every anomaly.
        fields: names of the values of a record.
        directory: where the state of evicted keys waits.
        points_per_message: see `Origin`.
        past: rows that keys begin with.

    Raises:
        ConfigError: the budget has no room for one key, there are too many fields, or windows that do not go with the
            profile.
    """
    with ExitStack() as held:

        def make(partition: str) -> PartitionEngine:
            held.close()
            spill = held.enter_context(SqliteSpill(directory))
            origin = Origin(source, partition, bundle, points_per_message)
            return make_engine(config, detector, origin, fields, spill, past)

        yield make


def make_engine(
    config: Config,
    detector: LaneDetector,
    origin: Origin,
    fields: tuple[str, ...],
    spill: Spill,
    past: KeyedRows | None = None,
) -> PartitionEngine:
    """A fresh engine, whose keys begin with the rows of `past` where it has any.

    Raises:
        ConfigError: the budget has no room for one key, or windows that do not go with the profile.
    """
    engine_config = EngineConfig(
        windows=window_spec(config),
        silence=SilenceRule(intervals=config.silence.intervals, heard_points=config.episodes.warm_up),
        max_state_bytes=config.state.budget,
        joint=config.detector.joint and config.detector.kind == LSTM,
    )
    try:
        return PartitionEngine(detector, engine_config, fields, origin, spill, past)
    except ValueError as exc:
        raise ConfigError(f"[state], [windows] or [source]: {exc}") from exc
