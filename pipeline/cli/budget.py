"""What alarms the configured risk allows, were there no fault at all."""

from dataclasses import dataclass

from detectors.thresholds import RISK_POINTS
from pipeline.accounting import Counts
from pipeline.config import Config

_DAY_US = 86_400e6


@dataclass(frozen=True, slots=True)
class AlarmBudget:
    """Alarms that chance makes.

    Attributes:
        per_point: for each point scored.
        per_lane_day: for each lane that is judged, and day of event time.
    """

    per_point: float
    per_lane_day: float

    @classmethod
    def of(cls, config: Config, fields: int) -> "AlarmBudget":
        """As configured, for records of so many fields."""
        detector = config.detector
        # joint lanes raise alarms too, and have no points of their own
        lanes_per_field = (fields + 1) / fields if detector.joint and fields > 1 else 1.0
        return cls((detector.risk or 0.0) / RISK_POINTS * lanes_per_field, detector.risk_per_day or 0.0)

    def of_points(self, counts: Counts) -> float:
        """On the points of a batch."""
        return self.per_point * counts.points["scored"]

    def of_time(self, lanes: int, elapsed_us: int) -> float:
        """On lanes that were judged for a while of event time."""
        return self.per_lane_day * lanes * max(elapsed_us, 0) / _DAY_US
