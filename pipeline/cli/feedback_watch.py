"""The feedback topic, followed from beside the service: the loop asks what is known, and never waits for it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.feedback import TopicReader, take_all
from pipeline.codec.feedback import FeedbackLog
from pipeline.config import Config
from pipeline.errors import DriftlineError, FeedError
from pipeline.feedback import NOTHING_SAID, Ranges
from pipeline.service.plan import Log
from pipeline.suppression import Marker

_FIRST_READ_S = 120.0
_POLL_S = 0.5
_REFRESH_POLLS = 600
"""After which the topic is read anew: about five minutes."""


class FeedbackTold(Protocol):
    """Is told how the reading goes, for metrics."""

    def known(self, ranges: Ranges, unusable: int) -> None:
        """What holds now, and of how many messages nothing can be made."""


class Reader(Protocol):
    """Reads the topic from its beginning; see `pipeline.adapters.kafka.feedback.TopicReader`."""

    def to_end(self, stop: Callable[[], bool]) -> Iterator[Sequence[Any]]:
        """What is there."""

    def poll(self, timeout_s: float) -> Sequence[Any]:
        """What has come since."""

    def close(self) -> None:
        """Let go of the connection."""


class FeedbackWatch:
    """Reads the whole topic when it starts, and goes on in a thread of its own.

    Brokers that do not answer later on are told of once; what is known stays.

    Args:
        topic: its name, for messages.
        open_reader: a fresh reader of it, for the watch's own thread.
        again_s: seconds until it is tried again when the brokers do not answer.
    """

    def __init__(
        self, topic: str, open_reader: Callable[[], Reader], log: Log, told: FeedbackTold, *, again_s: float = 5.0
    ) -> None:
        self._open = open_reader
        self._again_s = again_s
        self._topic = topic
        self._log = log
        self._told = told
        self._ranges = NOTHING_SAID
        self._unusable: set[str] = set()
        self._is_read = threading.Event()
        self._failed: DriftlineError | None = None
        self._end = threading.Event()
        self._is_cut_off = False
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)

    def start(self) -> None:
        """Read all that there is, then follow.

        Raises:
            DriftlineError: it cannot be read.
        """
        self._thread.start()
        if not self._is_read.wait(_FIRST_READ_S):
            self.close()
            raise FeedError(
                f"topic {self._topic}: found it not read to its end in {_FIRST_READ_S:.0f} s; expected feedback, which "
                "is little"
            )
        if self._failed is not None:
            raise self._failed

    def ranges(self) -> Ranges:
        """What is known now; answers at once."""
        return self._ranges

    def close(self) -> None:
        """Follow no more."""
        self._end.set()
        self._thread.join(2 * _POLL_S)

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self._follow()
            except DriftlineError as exc:
                if not self._is_read.is_set():
                    self._failed = exc
                    self._is_read.set()
                    return
                if not self._is_cut_off:
                    self._log.warning("feedback_trouble", error=str(exc), detail="what is known stays in force")
                self._is_cut_off = True
                self._end.wait(self._again_s)

    def _follow(self) -> None:
        """Read the topic from its beginning and follow it for a while: it may have been made anew, or have grown."""
        unusable: set[str] = set()
        reader, log = self._open(), FeedbackLog()
        try:
            for messages in reader.to_end(self._end.is_set):
                take_all(log, messages, unusable.add)
            self._take(log, unusable)
            self._is_cut_off = False
            self._is_read.set()
            for _ in range(_REFRESH_POLLS):
                if self._end.is_set():
                    return
                if messages := reader.poll(_POLL_S):
                    take_all(log, messages, unusable.add)
                    self._take(log, unusable)
        finally:
            reader.close()

    def _take(self, log: FeedbackLog, unusable: set[str]) -> None:
        for told in sorted(unusable - self._unusable):
            self._log.warning("feedback_unusable", error=told, detail="the message is left out")
        ranges, self._unusable = log.ranges(), set(unusable)
        self._told.known(ranges, len(unusable))
        if not ranges.says_the_same(self._ranges):
            self._ranges = ranges
            self._log.info("feedback_known", records=ranges.counts(), digest=ranges.digest())


@contextmanager
def following_feedback(
    config: Config, connection: KafkaSettings, log: Log, told: FeedbackTold
) -> Iterator[Callable[[], Marker | None]]:
    """Within the block, makes what marks the events of a partition, where the configuration names a topic.

    Raises:
        DriftlineError: the topic cannot be read.
    """
    chosen = config.feedback
    if chosen.topic is None:
        yield lambda: None
        return
    watch = FeedbackWatch(chosen.topic, partial(TopicReader, connection, chosen.topic), log, told)
    watch.start()
    try:
        yield lambda: Marker(watch.ranges, drop=chosen.suppress == "drop")
    finally:
        watch.close()
