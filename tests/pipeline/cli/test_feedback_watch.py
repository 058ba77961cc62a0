"""Following feedback from beside the service, with topics that are not there, go away and hold rubbish."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.cli.feedback_watch import FeedbackWatch
from pipeline.codec.feedback import encode_feedback
from pipeline.errors import FeedError
from pipeline.feedback import Feedback, Ranges
from tests.pipeline.service.fakes import Notes


@dataclass(frozen=True)
class Message:
    """As kafka-python has it."""

    key: bytes | None
    value: bytes | None
    topic: str = "feedback"
    partition: int = 0
    offset: int = 0


def _said(name: str) -> Message:
    return Message(name.encode(), encode_feedback(Feedback(id=name, kind="maintenance", from_us=0)))


@dataclass
class Topic:
    """Messages, and whether brokers answer; gives readers."""

    messages: list[Message] = field(default_factory=list)
    is_up: bool = True
    readers: int = 0

    def open(self) -> "Reading":
        """A reader from the beginning on."""
        self._require()
        self.readers += 1
        return Reading(self)

    def _require(self) -> None:
        if not self.is_up:
            raise FeedError("found no broker; expected one")


@dataclass
class Reading:
    """Fulfils `pipeline.cli.feedback_watch.Reader`."""

    topic: Topic
    at: int = 0

    def to_end(self, stop: Callable[[], bool]) -> Iterator[Sequence[Any]]:  # noqa: ARG002  the protocol's signature
        """What is there."""
        yield self.poll(0)

    def poll(self, timeout_s: float) -> Sequence[Any]:  # noqa: ARG002  as above
        """What has come since."""
        self.topic._require()
        time.sleep(0.01)
        start, self.at = self.at, len(self.topic.messages)
        return self.topic.messages[start : self.at]

    def close(self) -> None:
        """Nothing."""


@dataclass
class Told:
    """Fulfils `FeedbackTold`."""

    said: list[tuple[int, int]] = field(default_factory=list)

    def known(self, ranges: Ranges, unusable: int) -> None:
        """Remembers."""
        self.said.append((len(ranges), unusable))


@dataclass
class Bench:
    """A topic that is followed."""

    topic: Topic = field(default_factory=Topic)
    notes: Notes = field(default_factory=Notes)
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        self.watch = FeedbackWatch("feedback", self.topic.open, self.notes, self.told, again_s=0.01)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until it holds."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.notes.events
            time.sleep(0.005)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """One whose thread ends with the test."""
    made = Bench()
    yield made
    made.watch.close()


def test_all_is_known_when_it_has_started_and_more_soon_after(bench: Bench) -> None:
    """What was said before, what is said later, and what is withdrawn."""
    bench.topic.messages += [_said("a"), _said("b")]
    bench.watch.start()
    assert [one.id for one in bench.watch.ranges()] == ["a", "b"]
    bench.topic.messages += [_said("c"), Message(b"a", None)]
    bench.wait_for(lambda: [one.id for one in bench.watch.ranges()] == ["b", "c"])
    assert bench.told.said[-1] == (2, 0)


def test_a_topic_that_cannot_be_read_at_first_is_an_error(bench: Bench) -> None:
    """The service does not start without knowing what was said."""
    bench.topic.is_up = False
    with pytest.raises(FeedError, match="found no broker"):
        bench.watch.start()


def test_brokers_that_go_away_are_told_of_once(bench: Bench) -> None:
    """What is known stays, and what was said meanwhile is known when they are back; so is a topic made anew."""
    bench.topic.messages.append(_said("a"))
    bench.watch.start()
    bench.topic.is_up = False
    bench.wait_for(lambda: "feedback_trouble" in bench.notes.names())
    time.sleep(0.1)
    assert [one.id for one in bench.watch.ranges()] == ["a"]
    bench.topic.messages = [_said("z")]
    bench.topic.is_up = True
    bench.wait_for(lambda: [one.id for one in bench.watch.ranges()] == ["z"])
    assert bench.notes.names().count("feedback_trouble") == 1
    assert bench.topic.readers >= 2


def test_rubbish_is_told_once_and_left_out(bench: Bench) -> None:
    """Where it lies and why, though the topic is read again."""
    bench.topic.messages += [_said("a"), Message(b"b", b"{", offset=7), Message(None, b"{}", offset=8)]
    bench.watch.start()
    assert [one.id for one in bench.watch.ranges()] == ["a"]
    assert bench.told.said == [(1, 2)]
    bench.topic.is_up = False
    bench.wait_for(lambda: "feedback_trouble" in bench.notes.names())
    bench.topic.is_up = True
    bench.wait_for(lambda: len(bench.told.said) >= 2)
    errors = [fields["error"] for name, fields in bench.notes.events if name == "feedback_unusable"]
    assert len(errors) == 2
    assert errors[0].startswith("feedback/0, offset 7: found no feedback")
