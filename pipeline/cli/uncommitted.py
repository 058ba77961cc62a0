"""What came of messages between two commits, to be counted once it is committed, and dropped where it is not."""

from collections import Counter
from dataclasses import dataclass, field

from pipeline.accounting import Counts
from pipeline.adapters.latency import Arrivals
from pipeline.engine import Outcome
from pipeline.records import Anomaly
from pipeline.residuals import Residuals, no_residuals


@dataclass(slots=True)
class Uncommitted:
    """Sums over the chunks that were processed since the commit before.

    Attributes:
        arrivals: of their messages.
        counts, residuals, anomalies: of their records, as the engine gave them.
        dead_letters: messages by their first fault.
        suppressed: events that nobody need be told of, by what was said of their time.
        outlasted: episodes that have outlasted what suppressed them.
    """

    arrivals: list[Arrivals] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    residuals: Residuals = field(default_factory=no_residuals)
    anomalies: list[Anomaly] = field(default_factory=list)
    dead_letters: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    outlasted: int = 0

    def add(self, outcome: Outcome, arrivals: Arrivals) -> None:
        """What came of a chunk."""
        self.arrivals.append(arrivals)
        self.counts += outcome.counts
        self.residuals = self.residuals.plus(outcome.residuals)
        self.anomalies += outcome.anomalies

    @property
    def messages(self) -> int:
        """How many there are."""
        return sum(int(one.weight.sum()) for one in self.arrivals)
