"""Events as they are told, the clock moved by hand."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from pipeline.adapters.kafka.connection import KafkaSettings, client_options
from pipeline.adapters.logs import LogSettings, configure_logs

SECRET = "swordfish-42"  # noqa: S105  it is to be looked for


class Terminal(io.StringIO):
    """A stream that people watch."""

    def isatty(self) -> bool:
        """It is."""
        return True


class Told:
    """A log on a stream."""

    def __init__(self, **settings: Any) -> None:
        self.now_s = 1000.0
        self.stream = io.StringIO()
        self.log = configure_logs(LogSettings(**settings), self.stream, lambda: self.now_s)

    def events(self) -> list[dict[str, Any]]:
        """What was told so far, as JSON."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is the process's own: leave it as it was."""
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    before = list(root.handlers), root.level, kafka.level
    yield
    root.handlers[:], root.level, kafka.level = before
    structlog.reset_defaults()


def _boom() -> None:
    raise ValueError("found 1\nand 2")


def test_json_is_one_object_a_line() -> None:
    """An event has its name, level, time and fields."""
    told = Told()
    told.log.info("restored", place="in/0", offset=7)
    (event,) = told.events()
    assert (event["event"], event["level"], event["place"], event["offset"]) == ("restored", "info", "in/0", 7)
    assert event["timestamp"].endswith("Z")


def test_people_get_lines() -> None:
    """On a terminal, or when asked to, an event is a line that can be read."""
    stream = Terminal()
    configure_logs(LogSettings(), stream).warning("stalled", place="in/0")
    plain = io.StringIO()
    configure_logs(LogSettings(format="human"), plain).warning("stalled", place="in/0")
    assert "\x1b[" in stream.getvalue()
    assert "stalled" in plain.getvalue()
    assert "place=in/0" in plain.getvalue()
    assert plain.getvalue().count("\n") == 1


def test_levels() -> None:
    """What is less severe than asked for is not told."""
    told = Told(level="warning")
    told.log.info("quiet")
    told.log.warning("loud")
    assert [event["event"] for event in told.events()] == ["loud"]


def test_an_event_of_one_kind_and_place_is_told_once_an_interval() -> None:
    """Others of its kind are counted and told with the next; another place or kind is told by itself."""
    told = Told(repeat_interval_s=10.0)
    for _ in range(5):
        told.log.warning("stalled", place="in/0")
        told.now_s += 1
    told.log.warning("stalled", place="in/1")
    told.log.warning("poll_failed", place="in/0")
    told.now_s += 4.9
    told.log.warning("stalled", place="in/0")
    told.now_s += 0.1
    told.log.warning("stalled", place="in/0")
    found = [(event["event"], event["place"], event.get("repeated", 0)) for event in told.events()]
    assert found == [("stalled", "in/0", 0), ("stalled", "in/1", 0), ("poll_failed", "in/0", 0), ("stalled", "in/0", 5)]


def test_what_is_below_the_level_counts_for_nothing() -> None:
    """An event that is not told for its level holds back none that is."""
    told = Told(level="warning")
    told.log.info("swapped")
    told.log.warning("swapped")
    assert len(told.events()) == 1


def test_no_limit_where_none_is_wanted() -> None:
    """With an interval of 0 everything is told."""
    told = Told(repeat_interval_s=0.0)
    for _ in range(5):
        told.log.info("once")
    assert len(told.events()) == 5


def test_kafka_python_is_told_too_and_as_seldom() -> None:
    """Warnings of the client come as events with its name, limited by what it says, whatever the details."""
    told = Told(level="debug")
    client = logging.getLogger("kafka.net.manager")
    for attempt in range(5):
        client.warning("Connection %s failed", attempt)
    client.info("Starting with %s", SECRET)
    client.debug("Configuration %s", SECRET)
    (event,) = told.events()
    assert event["event"] == "Connection 0 failed"
    assert (event["level"], event["logger"]) == ("warning", "kafka.net.manager")


def test_it_can_be_changed_while_it_is_used() -> None:
    """A logger that was given before tells as configured last."""
    first = Told()
    second = io.StringIO()
    configure_logs(LogSettings(level="error", worker=3), second)
    first.log.info("quiet")
    first.log.error("loud")
    assert first.events() == []
    (event,) = [json.loads(line) for line in second.getvalue().splitlines()]
    assert (event["event"], event["worker"]) == ("loud", 3)


@pytest.mark.parametrize("source", ["own", "foreign"])
def test_where_an_error_came_from_is_one_field_of_json(source: str) -> None:
    """A traceback does not break into lines of its own."""
    told = Told()
    log: Any = told.log if source == "own" else logging.getLogger("kafka.consumer")
    try:
        _boom()
    except ValueError:
        log.exception("failed")
    (event,) = told.events()
    assert event["event"] == "failed"
    assert "_boom" in event["exception"]


@pytest.mark.parametrize(("level", "lines"), [("info", 1), ("debug", 5)])
@pytest.mark.parametrize("source", ["own", "foreign"])
def test_people_see_where_an_error_came_from_when_they_debug(source: str, level: str, lines: int) -> None:
    """Otherwise an error is what it says, in one line."""
    stream = io.StringIO()
    own: Any = configure_logs(LogSettings(format="human", level=level), stream)
    log: Any = own if source == "own" else logging.getLogger("kafka.consumer")
    try:
        _boom()
    except ValueError:
        log.exception("failed")
    told = stream.getvalue()
    assert told.count("\n") == 1 if lines == 1 else told.count("\n") >= lines
    assert ("Traceback" in told) == (lines > 1)
    assert "ValueError: found 1" in told


@pytest.mark.parametrize("make", [lambda: LogSettings(level="debug"), lambda: LogSettings("human", "debug")])
def test_secrets_are_not_told(make: Callable[[], LogSettings]) -> None:
    """Neither kafka-python, which tells its options when debugged, nor the settings themselves show a password."""
    stream = io.StringIO()
    log = configure_logs(make(), stream)
    settings = KafkaSettings(
        ("127.0.0.1:1",), security="sasl_plaintext", sasl_mechanism="PLAIN", username="u", password=SECRET
    )
    log.info("starting", settings=repr(settings))
    with pytest.raises(KafkaError):
        KafkaAdminClient(**client_options(settings) | {"bootstrap_timeout_ms": 300})
    assert "127.0.0.1" in stream.getvalue()
    assert SECRET not in stream.getvalue()
