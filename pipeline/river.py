"""Driftline's detector as one of river's anomaly detectors: `from pipeline.river import Driftline`.

It scores what the engine would: a stream given to it point by point gets the bits that a replay of it gets.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from river import base

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.config import DEFAULT_RISK, environment
from pipeline.errors import nearest
from pipeline.kernel_cache import use_cache_for_these_sources, user_cache_dir

if TYPE_CHECKING:
    from detectors.detector import Detector
    from detectors.layout import Slab

Feature = base.typing.FeatureName

_FIRST_LANES = 1
_OLD_POINTS = 1_000_000


class _Points(NamedTuple):
    """What a record comes to: the features that are taken, in its order, their values, and their time."""

    features: tuple[Feature, ...]
    values: tuple[float, ...]
    time_us: int


class Driftline(base.AnomalyDetector):
    """The shared LSTM forecaster with novelty in each stream's own past, as `driftline replay` runs it.

    Each feature is a stream (a lane) of its own. The score of a record is the L8 norm of its lanes' scores: close to
    the highest, more when several agree; of a single feature it is that lane's score. A lane scores 0 until it is warm.
    A feature that is absent, None or not finite is a missing value of its lane; new ones begin a lane.

    `score_one` changes nothing. It walks copies of the lanes' rows, a few KB each; a `learn_one` of the same record
    behind it adopts them, so that both together cost one walk. Points of a clear incident are not learned, see `risk`,
    so that the next one like it is as novel. The first call loads the scoring kernel, on a new machine half a minute.

    Args:
        profile: what a lane remembers: 'accurate', 'balanced' or 'dense'.
        bundle: weights and thresholds: 'shipped', or the folder of a bundle.
        risk: expected false alarms per 1,000 points of a lane. It sets `threshold`, and thereby what counts as a clear
            incident.
        risk_per_day: the same per lane and day, by the distance of the records in time; in place of `risk`, if given.
        warm_up: points before a lane is scored.
        time: feature that holds the event time, in seconds since 1970 or as a datetime (without a zone: UTC); it is
            no lane. A record that is not later than the newest of a lane is late there: not scored and not learned.
            None: records are equally far apart.
        interval_s: seconds between records where `time` is None. What lies a day and a week back is found by it.

    Raises:
        ValueError: anything of these out of range; on use, a value or time that is no number, or a record without
            its time.
        BundleError: no such bundle, or one that is damaged.

    Example:
        Alarms of a stream that comes with river, hour by hour:

        >>> from pipeline.river import Driftline
        >>> from river import anomaly, datasets
        >>> detector = Driftline(interval_s=3600)
        >>> judge = anomaly.ThresholdFilter(detector, detector.threshold)
        >>> alarms = 0
        >>> for _, flow in datasets.WaterFlow():
        ...     alarms += judge.classify(detector.score_one({"flow": flow}))
        ...     detector.learn_one({"flow": flow})
    """

    def __init__(
        self,
        profile: str = "balanced",
        bundle: str = "shipped",
        risk: float = DEFAULT_RISK,
        warm_up: int = 150,
        time: str | None = None,
        interval_s: float = 300.0,
        risk_per_day: float | None = None,
    ) -> None:
        if not 0 < interval_s < math.inf:
            raise ValueError(f"found interval_s={interval_s!r}; expected a positive number of seconds")
        self.profile = profile
        self.bundle = bundle
        self.risk = risk
        self.warm_up = warm_up
        self.time = time
        self.interval_s = interval_s
        self.risk_per_day = risk_per_day
        self._detector, self._bundle_id = _open_detector(profile, bundle, risk, risk_per_day, warm_up)
        self._lanes: dict[Feature, int] = {}
        self._learned = 0
        self._slab = _allocate(self._detector, _FIRST_LANES)
        self._ahead = _allocate(self._detector, _FIRST_LANES)  # rows as they will be behind `_ahead_of`
        self._ahead_of: _Points | None = None
        self._ahead_score = 0.0

    @property
    def threshold(self) -> float:
        """Score from which the point of an old lane is an alarm at this risk; a young lane needs a higher one.

        With a risk per day it is that of the lane with the most points, at its interval so far.
        """
        from detectors.episodes import threshold_of

        scalars = self._slab["scalars"]
        learnt_us = scalars["interval_us"][scalars["points"].argmax()]
        return float(threshold_of(self._detector.decision, _OLD_POINTS, learnt_us or np.float32(self.interval_s * 1e6)))

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """How unlike its own past a record, numbers by feature, is; 0 while its lanes are warming."""
        self._look_ahead(self._points_of(x))
        return self._ahead_score

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Take a record, numbers by feature, into its lanes."""
        points = self._points_of(x)
        self._look_ahead(points)
        for feature in points.features:
            self._lanes.setdefault(feature, len(self._lanes))
        if len(self._lanes) > len(self._slab["scalars"]):
            self._grow()
        rows = [self._lanes[feature] for feature in points.features]
        for name, array in self._slab.items():
            array[rows] = self._ahead[name][: len(rows)]
        self._learned += 1
        self._ahead_of = None

    def _points_of(self, x: Mapping[Any, Any]) -> _Points:
        """The points of a record that its lanes accept."""
        time_us = (self._learned + 1) * round(self.interval_s * 1e6) if self.time is None else self._time_of(x)
        newest = self._slab["scalars"]["last_time_us"]
        features, values = [], []
        for feature, value in x.items():
            if feature == self.time or value is None:
                continue
            number = _number(feature, value)
            row = self._lanes.get(feature)
            if math.isfinite(number) and (row is None or newest[row] < time_us):
                features.append(feature)
                values.append(number)
        return _Points(tuple(features), tuple(values), time_us)

    def _time_of(self, x: Mapping[Any, Any]) -> int:
        """Event time of a record in microseconds."""
        if self.time not in x:
            raise ValueError(f"found a record without {self.time!r}; expected the event time in it")
        value = x[self.time]
        if isinstance(value, datetime):
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return round(moment.timestamp() * 1e6)
        seconds = _number(self.time, value)
        if not math.isfinite(seconds):
            raise ValueError(f"found {self.time!r}={value!r}; expected seconds since 1970, or a datetime")
        return round(seconds * 1e6)

    def _look_ahead(self, points: _Points) -> None:
        """Walk copies of the lanes over a record's points, unless that is done already."""
        if points == self._ahead_of:
            return
        count = len(points.features)
        if count > len(self._ahead["scalars"]):
            self._ahead = _allocate(self._detector, count)
        rows = np.array([self._lanes.get(feature, -1) for feature in points.features], np.int64)
        fresh = rows < 0
        ahead = {name: array[:count] for name, array in self._ahead.items()}
        for name, array in self._slab.items():
            ahead[name][...] = array[rows]
            ahead[name][fresh] = np.zeros((), array.dtype)
        verdicts = self._detector.score(
            ahead,
            np.arange(count),
            np.full(count, points.time_us),
            np.array(points.values),
            np.full(count, self._learned + 1),
        )
        scores = verdicts.score[~np.isnan(verdicts.score)].tolist()
        self._ahead_of, self._ahead_score = points, _combine(scores)

    def _grow(self) -> None:
        larger = _allocate(self._detector, max(len(self._lanes), 2 * len(self._slab["scalars"])))
        for name, array in self._slab.items():
            larger[name][: len(array)] = array
        self._slab = larger

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and lanes; the bundle is opened anew, and what `score_one` keeps is left out."""
        state = self.__dict__.copy()
        for name in ("_detector", "_ahead", "_ahead_of", "_ahead_score"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become what was saved.

        Raises:
            ValueError: the bundle of that name is another one by now.
        """
        self.__dict__.update(state)
        self._detector, found = _open_detector(self.profile, self.bundle, self.risk, self.risk_per_day, self.warm_up)
        if found != self._bundle_id:
            raise ValueError(f"bundle {self.bundle!r}: found {found[:16]}; expected {self._bundle_id[:16]}, as saved")
        self._ahead = _allocate(self._detector, _FIRST_LANES)
        self._ahead_of, self._ahead_score = None, 0.0


def _number(feature: Feature, value: Any) -> float:
    if not isinstance(value, (str, bytes)):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise ValueError(f"found {feature!r}={value!r}; expected a number")


def _combine(scores: list[float]) -> float:
    """L8 norm, to the bit the same in any order, and of a single score that score."""
    highest = max(scores, default=0.0)
    if highest <= 0:
        return 0.0
    return highest * math.sqrt(math.sqrt(math.sqrt(math.fsum((score / highest) ** 8 for score in scores))))


@lru_cache(maxsize=16)
def _open_detector(
    profile: str, bundle: str, risk: float, risk_per_day: float | None, warm_up: int
) -> "tuple[Detector, str]":
    """(detector, id of its bundle); shared by all estimators of the same parameters, since it has no state."""
    use_cache_for_these_sources(user_cache_dir(environment()))  # before any compiled function is imported
    from detectors.detector import Detector
    from detectors.profiles import PROFILES
    from detectors.thresholds import ThresholdTable, make_decision

    if profile not in PROFILES:
        expected = f"expected one of {', '.join(PROFILES)}{nearest(profile, PROFILES)}"
        raise ValueError(f"found profile={profile!r}; {expected}")
    if warm_up < 1:
        raise ValueError(f"found warm_up={warm_up!r}; expected one point or more")
    opened = load_bundle(shipped_bundle_path() if bundle == "shipped" else Path(bundle))
    tables = opened.manifest.calibration
    if profile not in tables:
        raise ValueError(f"bundle {opened.short_id}: found no calibration for {profile!r}, only for {sorted(tables)}")
    if opened.network.is_joint:
        fields = ", ".join(opened.network.fields)
        raise ValueError(f"bundle {opened.short_id}: found a joint network of {fields}; expected one that lanes share")
    asked = {"risk": risk} if risk_per_day is None else {"risk_per_day": risk_per_day}
    decision = make_decision(ThresholdTable(**tables[profile]), **asked, warm_up=warm_up)
    return Detector(opened.network, PROFILES[profile], decision), opened.manifest.id


def _allocate(detector: "Detector", lanes: int) -> "Slab":
    from detectors.layout import allocate

    return allocate(detector.lane_dtype, lanes)
