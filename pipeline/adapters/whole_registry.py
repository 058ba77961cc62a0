"""A registry of metrics that shows a change of several of them as a whole, or not at all."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Metric


class WholeRegistry(CollectorRegistry):
    """Looked at by scrapes on threads of their own, while another thread changes what is shown.

    prometheus-client guards each sample by itself: a scrape in the middle of a change would show some metrics from
    before it and others from behind it, and sums that should agree would not.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changing = threading.Lock()

    def change(self) -> AbstractContextManager[object]:
        """Within the block no scrape looks; it should be short, and does not nest."""
        return self._changing

    def collect(self) -> Iterator[Metric]:
        """All metrics, with no change in between."""
        with self._changing:
            found = list(super().collect())
        yield from found
