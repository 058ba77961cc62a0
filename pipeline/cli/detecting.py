"""From a configuration to the detector that it asks for, the LSTM or a baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from detectors.baselines import WINDOW, Persistence, WindowedGaussian
from detectors.profiles import PROFILES
from detectors.tail_rank import TailRank, rank_decision
from pipeline.cli.opening import open_bundle
from pipeline.cli.wiring import decision_rules, kept_window, make_detector
from pipeline.config import Config
from pipeline.config.kinds import LSTM, RIVER
from pipeline.errors import ConfigError, nearest
from pipeline.lane_detector import LaneDetector

_LONGEST_WINDOW = 1_000_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """A detector with what outputs say of it.

    Attributes:
        detector: makes verdicts.
        bundle: what scored, as outputs name it: id of a bundle, or kind of a baseline.
    """

    detector: LaneDetector
    bundle: str


def choose_detector(config: Config) -> Chosen:
    """The detector that a replay is configured to use.

    Raises:
        BundleError: see `make_detector`.
        ConfigError: no such detector of river, or options that a baseline does not have.
    """
    kind, options = config.detector.kind, config.detector.options
    if kind == LSTM:
        bundle = open_bundle(config)
        return Chosen(make_detector(config, bundle), bundle.short_id)
    asked = config.detector
    decision = rank_decision(asked.risk, risk_per_day=asked.risk_per_day, **decision_rules(config))
    ranking = TailRank(decision, kept_window(PROFILES["balanced"].window, config))
    if kind.startswith(RIVER):
        # slow to import, and of use here alone
        from pipeline.adapters.river_detectors import make_river_detector

        return Chosen(make_river_detector(kind, options, ranking), kind)
    if kind == "persistence":
        _require_options(kind, options, ())
        return Chosen(Persistence(ranking), kind)
    _require_options(kind, options, ("window",))
    window = options.get("window", WINDOW)
    if not (isinstance(window, int) and 2 <= window <= _LONGEST_WINDOW):
        raise ConfigError(
            f"[detector] options: found window={window!r}; expected a whole number from 2 to {_LONGEST_WINDOW}"
        )
    return Chosen(WindowedGaussian(ranking, window), kind)


def require_lstm(config: Config) -> None:
    """Refuse a baseline where the service is configured.

    Raises:
        ConfigError: it is one.
    """
    if config.detector.kind != LSTM:
        raise ConfigError(
            f"[detector] kind: found {config.detector.kind!r}; expected {LSTM!r} for the service: baselines are there "
            "to be compared with, by `driftline replay`, of the topic itself if you like"
        )


def _require_options(kind: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            raise ConfigError(
                f"[detector] options: found {name!r} for {kind}; expected {' or '.join(known) or 'none'}"
                f"{nearest(name, known)}"
            )
