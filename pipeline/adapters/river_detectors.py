"""river's anomaly detectors as detectors of the engine: a model of river's for every lane, ranked by `TailRank`.

What a model remembers are Python objects outside the lane's row, which holds only its number: they are in no budget
and are not saved.
"""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import anomaly, base, preprocessing
from river.__version__ import __version__

from detectors.detector import Walk
from detectors.kernel import Verdicts
from detectors.layout import Slab
from detectors.tail_rank import TailRank, ranked_rates
from detectors.thresholds import Rates
from pipeline.errors import ConfigError, DriftlineError, nearest

FEATURE, PREVIOUS = "value", "previous"
"""Names of the features: of the value, and for supervised detectors, whose target the value is, of the one before."""
SEED = 1
"""Of a model whose seed is left open, so that the same records give the same scores."""
_KINDS = (base.AnomalyDetector, base.SupervisedAnomalyDetector)


@dataclass(slots=True)
class _Lane:
    """What is remembered of a lane beside its row."""

    model: Any
    previous: float | None = None
    has_spoken: bool = False


class RiverDetector:
    """An anomaly detector of river; fulfils `pipeline.lane_detector.LaneDetector`.

    Each point is scored first and learned then. Scores of 0 before the first other one are how river's detectors say
    that they are warming, and count as nothing said.

    Args:
        name: class path.
        template: cloned for every lane.
        ranking: makes verdicts of its scores.
    """

    def __init__(self, name: str, template: Any, ranking: TailRank) -> None:
        self._name = name
        self._template = template
        self._ranking = ranking
        self._lanes: list[_Lane] = []  # by number, from 1

    @property
    def name(self) -> str:
        """Class path."""
        return self._name

    @property
    def lane_dtype(self) -> np.dtype[Any]:
        """See `LaneDetector`."""
        return self._ranking.lane_dtype(("model", "i8"))

    @property
    def warm_up(self) -> int:
        """See `LaneDetector`."""
        return self._ranking.decision.warm_up

    @property
    def streams(self) -> Sequence[str]:
        """There is one: the score of river."""
        return ("score",)

    def rates(self, verdicts: Verdicts) -> Rates:
        """See `ranked_rates`."""
        return ranked_rates(verdicts)

    @property
    def is_restorable(self) -> bool:
        """Models are in no row."""
        return False

    @property
    def scores_joint_lanes(self) -> bool:
        """They are lanes like any other."""
        return True

    def for_joint_lanes(self) -> "RiverDetector":
        """Itself."""
        return self

    def for_partition(self, fields: Sequence[str], width: int) -> "RiverDetector":  # noqa: ARG002
        """See `LaneDetector`."""
        return RiverDetector(self._name, self._template, self._ranking)

    def begin(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        time_us: NDArray[np.int64],
        values: NDArray[np.float64],
        positions: NDArray[np.int64],
        records: NDArray[np.int64] | None = None,  # noqa: ARG002
    ) -> Walk:
        """See `LaneDetector`; running the walk raises DriftlineError where river raises anything."""
        verdicts, raw = self._ranking.allocate(len(rows))

        def walk() -> int:
            self._score(slab["model"], rows, values, raw)
            return self._ranking.judge(slab, rows, time_us, values, positions, raw, verdicts)

        return Walk(verdicts, walk)

    def _score(
        self, numbers: NDArray[np.int64], rows: NDArray[np.int64], values: NDArray[np.float64], raw: NDArray[np.float64]
    ) -> None:
        for n, (row, value) in enumerate(zip(rows.tolist(), values.tolist(), strict=True)):
            number = int(numbers[row])
            if not number:
                self._lanes.append(_Lane(self._template.clone()))
                number = numbers[row] = len(self._lanes)
            lane = self._lanes[number - 1]
            try:
                score = float(_score_and_learn(lane, value))
            except Exception as exc:  # each of river's classes raises its own
                raise DriftlineError(f"{self._name}: river raised {exc!r} for the value {value!r}") from exc
            lane.has_spoken = lane.has_spoken or score != 0
            if lane.has_spoken:
                raw[n] = score


def make_river_detector(path: str, options: Mapping[str, Any], ranking: TailRank) -> RiverDetector:
    """The detector of a class path, with river's scaler in front where river's documentation asks for one.

    Args:
        path: such as 'river.anomaly.HalfSpaceTrees'.
        options: hyper-parameters by river's names. A class path below river stands for an object made without
            arguments, and a table with a `class` for one made with the others of the table.
        ranking: makes verdicts of its scores.

    Raises:
        ConfigError: no such class, none of an anomaly detector, or hyper-parameters that it does not take.
    """
    kind = _find(path)
    if not (inspect.isclass(kind) and issubclass(kind, _KINDS)) or inspect.isabstract(kind):
        raise ConfigError(
            f"[detector] kind: found {path!r}, which is no anomaly detector; expected one such as {', '.join(known())}"
        )
    given = {name: _resolve(value) for name, value in options.items()}
    if "seed" in inspect.signature(kind).parameters:
        given.setdefault("seed", SEED)
    template = _make(path, kind, given)
    if kind is anomaly.HalfSpaceTrees and "limits" not in options:
        template = preprocessing.MinMaxScaler() | template
    elif kind is anomaly.OneClassSVM:
        template = preprocessing.StandardScaler() | template
    probe = _Lane(template.clone())
    try:
        for value in (1.0, 2.0):
            float(_score_and_learn(probe, value))
    except Exception as exc:  # as above
        found = f"found {dict(options)} for {path}"
        raise ConfigError(f"[detector] options: {found}; expected what it works with: river raised {exc!r}") from exc
    return RiverDetector(path, template, ranking)


def known() -> list[str]:
    """Class paths of the anomaly detectors that river offers."""
    kinds = {name: getattr(anomaly, name) for name in anomaly.__all__}
    return sorted(f"river.anomaly.{name}" for name, kind in kinds.items() if issubclass(kind, _KINDS))


def _score_and_learn(lane: _Lane, value: float) -> Any:
    """The score of a value, before it is learned."""
    model = lane.model
    if isinstance(model, base.SupervisedAnomalyDetector):
        x: dict[Any, Any] = {} if lane.previous is None else {PREVIOUS: lane.previous}
        lane.previous = value
        score = model.score_one(x, value)
        model.learn_one(x, value)
        return score
    features: dict[Any, Any] = {FEATURE: value}
    score = model.score_one(features)
    model.learn_one(features)
    return score


def _find(path: str) -> Any:
    """What lies at a class path below river."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigError(
            f"[detector] kind or options: found {path!r}, which river {__version__} has not; expected "
            f"a class path such as {', '.join(known())}{nearest(path, known())}"
        ) from exc


def _resolve(value: Any) -> Any:
    """The value of a hyper-parameter; where it is a class path below river, or a table with one, an object."""
    if isinstance(value, str) and value.startswith("river."):
        return _make(value, _find(value), {})
    if isinstance(value, Mapping) and "class" in value:
        path = str(value["class"])
        if not path.startswith("river."):
            raise ConfigError(f"[detector] options: found the class {path!r}; expected a class path below river")
        return _make(path, _find(path), {name: _resolve(one) for name, one in value.items() if name != "class"})
    return value


def _make(path: str, kind: Any, given: Mapping[str, Any]) -> Any:
    """An object of a class of river."""
    parameters = inspect.signature(kind).parameters
    if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        for name in given:
            if name not in parameters:
                raise ConfigError(
                    f"[detector] options: found {name!r} for {path}; expected "
                    f"{' or '.join(parameters) or 'none'}{nearest(name, parameters)}"
                )
    try:
        return kind(**given)
    except Exception as exc:  # as above
        raise ConfigError(
            f"[detector] options: found {dict(given)} for {path}; expected what it takes: river raised {exc!r}"
        ) from exc
