"""Events that nobody need be told of: marked by what people have said of their time, after they were judged.

Scores, verdicts and state know nothing of feedback; only what is told of episodes does. An episode is suppressed as a
whole while all of its flagged points lie in ranges of maintenance or of false alarms, its end included, wherever that
lies. The first flagged point beyond them is told, as an event `worsened` that says what it has outlasted, unless it is
one anyway: a fault that began in maintenance and goes on behind it is not lost. A silence is told when it has lasted on
for as long as it took to be noticed.

What is held back is remembered from one micro-batch to the next, and where batches end changes nothing.
"""

from pipeline.suppression.batch import Marked, suppressions
from pipeline.suppression.marking import Marker

__all__ = ["Marked", "Marker", "suppressions"]
