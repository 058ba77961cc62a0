"""What two bundles said of the same points, summed up as it comes: by lane, and by stretch of time.

Every sum has the champion's entry first and the challenger's second.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.detection import Detection, LaneAlerts, judge, summarise
from detectors.evaluation.forecasts import log_loss, probability
from pipeline.engine import Outcome
from pipeline.feedback import NOTHING_SAID, Ranges
from pipeline.records import JOINT, Anomaly, Disposition, VerdictTable
from pipeline.residuals import LARGEST

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Spans = Mapping[str, Sequence[tuple[int, int]]]
STRETCHES = 96
"""Stretches of time that a slice is told by."""
PROBABILITY_BINS = 20
WORST_LOSS = 1000.0
"""Nats, of a forecast that is no distribution at all."""
_FIRST_LANES = 64


class Tally:
    """Sums over a slice of event time.

    Args:
        start_us, end_us: of the slice, both within.
        spans: labelled anomalies by key, sorted, that do not overlap; None where nothing is known.
        feedback: alarms in maintenance count nowhere but in `left_out`, and those in false alarms find no anomaly.

    Attributes:
        lanes: number of each, by key and field.
        points: (lanes,) scored; of joint lanes, by the champion.
        judged: (lanes,) of these, with a forecast that can be judged; none of joint lanes.
        loss: (2, lanes) summed over judged points, in nats.
        alarms: (2, lanes) episodes opened, silences left out.
        time_judged, time_loss, time_alarms: the same by stretch; time_covered: judged points within the band.
        probabilities: (2, PROBABILITY_BINS) judged points by the probability that the forecast gave to values below.
        covered: (2,) judged points within the 95 % band.
        residual: (2,) summed over judged points, absolute, in normalised units, each at most `LARGEST`.
        false_alarms: (2,) alarms within no labelled anomaly; all, where nothing is known.
        left_out: (2,) alarms in maintenance.
    """

    def __init__(self, start_us: int, end_us: int, spans: Spans | None = None, feedback: Ranges = NOTHING_SAID) -> None:
        self.start_us, self.end_us = start_us, end_us
        self.lanes: dict[tuple[str, str], int] = {}
        self.points = np.zeros(_FIRST_LANES, np.int64)
        self.judged = np.zeros(_FIRST_LANES, np.int64)
        self.loss = np.zeros((2, _FIRST_LANES))
        self.alarms = np.zeros((2, _FIRST_LANES), np.int64)
        self.first_us = np.full(_FIRST_LANES, np.iinfo(np.int64).max)
        self.last_us = np.full(_FIRST_LANES, -1)
        self.time_judged = np.zeros(STRETCHES, np.int64)
        self.time_loss = np.zeros((2, STRETCHES))
        self.time_covered = np.zeros((2, STRETCHES), np.int64)
        self.time_alarms = np.zeros((2, STRETCHES), np.int64)
        self.probabilities = np.zeros((2, PROBABILITY_BINS), np.int64)
        self.covered = np.zeros(2, np.int64)
        self.false_alarms = np.zeros(2, np.int64)
        self.left_out = np.zeros(2, np.int64)
        self.residual = np.zeros(2)
        self.feedback = feedback
        self._spans = spans
        self._alerts: list[defaultdict[str, list[int]]] = [defaultdict(list), defaultdict(list)]

    @property
    def is_labelled(self) -> bool:
        """Whether it is known when which lanes were anomalous."""
        return self._spans is not None

    @property
    def lane_days(self) -> float:
        """Time covered, summed over lanes."""
        used = self.last_us >= 0
        return float((self.last_us[used] - self.first_us[used]).sum()) / 86_400e6

    def add(self, champion: Outcome, challenger: Outcome) -> None:
        """Take what both said of the same records.

        Raises:
            ValueError: they spoke of different points.
        """
        # each may have taken the records in parts of its own
        ours, theirs = (_joined(outcome.verdicts) for outcome in (champion, challenger))
        self._add_points(ours, theirs)
        for side, outcome in enumerate((champion, challenger)):
            for anomaly in outcome.anomalies:
                self._add_event(side, anomaly)

    def detection(self, side: int) -> Detection:
        """Alerts of a side against labelled anomalies."""
        return summarise(
            [
                judge(LaneAlerts(key, self.start_us, self.end_us, np.array(self._alerts[side][key], np.int64), spans))
                for key, spans in sorted((self._spans or {}).items())
            ]
        )

    def _add_points(self, ours: VerdictTable, theirs: VerdictTable) -> None:
        scored = np.flatnonzero(ours.disposition == Disposition.SCORED)
        lane = self._lanes_of(ours, scored)
        count = len(self.lanes)
        self.points[:count] += np.bincount(lane, minlength=count)
        np.minimum.at(self.first_us, lane, ours.time_us[scored])
        np.maximum.at(self.last_us, lane, ours.time_us[scored])
        rows = _paired(ours, theirs)
        lane = self._lanes_of(ours, rows[0])
        stretch = self._stretches_of(ours.time_us[rows[0]])
        self.judged[:count] += np.bincount(lane, minlength=count)
        self.time_judged += np.bincount(stretch, minlength=STRETCHES)
        for side, table in enumerate((ours, theirs)):
            self._add_forecasts(side, table, rows[side], lane, stretch)

    def _add_forecasts(self, side: int, table: VerdictTable, rows: Ints, lane: Ints, stretch: Ints) -> None:
        count = len(self.lanes)
        surprise, log_scale, freedom = table.surprise[rows], table.log_scale[rows], table.freedom[rows]
        # a network that has no forecast where the other one has is wrong, and not to be left out
        loss = np.nan_to_num(log_loss(surprise, log_scale, freedom), nan=WORST_LOSS, posinf=WORST_LOSS)
        residual = np.nan_to_num(np.abs(surprise) * np.exp(log_scale.astype(np.float64)), nan=LARGEST)
        below = np.nan_to_num(probability(surprise, freedom))
        bins = np.minimum((below * PROBABILITY_BINS).astype(np.int64), PROBABILITY_BINS - 1)
        within = (table.value[rows] >= table.lower[rows]) & (table.value[rows] <= table.upper[rows])
        self.loss[side, :count] += np.bincount(lane, loss, minlength=count)
        self.time_loss[side] += np.bincount(stretch, loss, minlength=STRETCHES)
        self.time_covered[side] += np.bincount(stretch[within], minlength=STRETCHES)
        self.probabilities[side] += np.bincount(bins, minlength=PROBABILITY_BINS)
        self.residual[side] += np.minimum(residual, LARGEST).sum()
        self.covered[side] += np.count_nonzero(within)

    def _add_event(self, side: int, anomaly: Anomaly) -> None:
        if anomaly.event == "closed" or anomaly.kind == "silence":
            return
        time_us = int(np.datetime64(anomaly.time.removesuffix("Z"), "us").astype(np.int64))
        said = self.feedback.find(anomaly.key, anomaly.field, time_us)
        is_opened = anomaly.event == "opened"
        if said is not None and said.kind == "maintenance":
            self.left_out[side] += is_opened
            return
        is_false = said is not None and said.kind == "false_alarm"
        if self._spans is not None and anomaly.key in self._spans and not is_false:
            self._alerts[side][anomaly.key].append(time_us)
        if is_opened:
            self.alarms[side, self._number(anomaly.key, anomaly.field)] += 1
            self.time_alarms[side, self._stretches_of(np.array([time_us]))[0]] += 1
            spans = (self._spans or {}).get(anomaly.key, ())
            self.false_alarms[side] += is_false or not any(start <= time_us <= end for start, end in spans)

    def _stretches_of(self, time_us: Ints) -> Ints:
        """Stretch of each time; what windows tell late of a time before the slice is of the first."""
        share = (time_us - self.start_us) / (self.end_us - self.start_us + 1)
        stretches: Ints = np.clip((share * STRETCHES).astype(np.int64), 0, STRETCHES - 1)
        return stretches

    def _lanes_of(self, table: VerdictTable, rows: Ints) -> Ints:
        width = len(table.field_names)
        codes, place = np.unique(table.key[rows].astype(np.int64) * width + table.field[rows], return_inverse=True)
        numbers = [
            self._number(table.key_names[code // width], table.field_names[code % width]) for code in codes.tolist()
        ]
        return np.array(numbers, np.int64)[place]

    def _number(self, key: str, field: str) -> int:
        number = self.lanes.setdefault((key, field), len(self.lanes))
        if number == len(self.points):
            for name in ("points", "judged", "loss", "alarms", "first_us", "last_us"):
                array = getattr(self, name)
                fill = {"first_us": np.iinfo(np.int64).max, "last_us": -1}.get(name, 0)
                setattr(self, name, np.concatenate([array, np.full_like(array, fill)], axis=-1))
        return number


def _paired(ours: VerdictTable, theirs: VerdictTable) -> tuple[Ints, Ints]:
    """Rows of either table, of the same points, that were scored and have a forecast of one of the two at least.

    Joint lanes are left out: what their points are depends on which fields have an episode, and so on who scores.

    Raises:
        ValueError: the tables are of different points.
    """
    pair = (_of_fields(ours), _of_fields(theirs))
    for name in ("position", "time_us", "field"):
        one, other = getattr(ours, name)[pair[0]], getattr(theirs, name)[pair[1]]
        if not np.array_equal(one, other):
            raise ValueError("found verdicts of the two bundles on different points; expected the same")
    known = np.zeros(len(pair[0]), np.bool_)
    for table, rows in zip((ours, theirs), pair, strict=True):
        known |= np.isfinite(table.surprise[rows]) & np.isfinite(table.log_scale[rows])
    known &= ours.disposition[pair[0]] == Disposition.SCORED
    return pair[0][known], pair[1][known]


def _of_fields(table: VerdictTable) -> Ints:
    """Rows of points that came in a record."""
    if JOINT not in table.field_names:
        return np.arange(len(table))
    return np.flatnonzero(table.field != table.field_names.index(JOINT))


def _joined(tables: Sequence[VerdictTable]) -> VerdictTable:
    """Tables behind one another, over the keys of all."""
    if len(tables) == 1:
        return tables[0]
    names: dict[str, int] = {}
    keys = []
    for table in tables:
        codes = np.array([names.setdefault(name, len(names)) for name in table.key_names], np.int32)
        keys.append(codes[table.key])
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name in VerdictTable.__slots__
        if name not in {"key_names", "field_names", "key"}
    }
    return VerdictTable(key_names=list(names), field_names=tables[0].field_names, key=np.concatenate(keys), **columns)
