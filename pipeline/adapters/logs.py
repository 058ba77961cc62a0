"""Events on standard error: for people or as JSON, each kind so often at most, kafka-python's among them."""

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, TextIO, TypeAlias

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_QUIET = {"kafka": logging.WARNING}
"""Below this level kafka-python tells its options, secrets among them."""

_Event: TypeAlias = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How events are told.

    Attributes:
        format: 'auto' is human on a terminal, JSON otherwise.
        repeat_interval_s: an event of one kind and place is told so often at most; 0 for always.
        worker: number told with each event; None for none.
    """

    format: Literal["auto", "human", "json"] = "auto"
    level: str = "info"
    repeat_interval_s: float = 10.0
    worker: int | None = None


def configure_logs(
    settings: LogSettings, stream: TextIO, clock: Callable[[], float] = time.monotonic
) -> structlog.stdlib.BoundLogger:
    """The log, on `stream`; may be called again to change how it tells."""
    human = settings.format == "human" or (settings.format == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_worker(settings.worker),
        _shorten_exception if human and settings.level != "debug" else structlog.processors.format_exc_info,
    ]
    renderer: Any = structlog.processors.JSONRenderer()
    if human:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    handler.addFilter(_foreign_limit(settings, clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.level])
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, _LEVELS[settings.level]))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            _RateLimit(settings.repeat_interval_s, clock),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("driftline")
    return log


def _with_worker(number: int | None) -> Callable[[Any, str, _Event], _Event]:
    def add(_logger: Any, _method: str, event: _Event) -> _Event:
        if number is not None:
            event["worker"] = number
        return event

    return add


def _shorten_exception(_logger: Any, _method: str, event: _Event) -> _Event:
    """The error alone, in one line, instead of where it came from."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else sys.exc_info()[1] if info is True else info
    if isinstance(error, BaseException):
        event.setdefault("error", " ".join(f"{type(error).__name__}: {error}".split()))
    return event


class _RateLimit:
    """Lets an event of one kind and place pass once an interval, with how many were held back before."""

    def __init__(self, interval_s: float, clock: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, _logger: Any, _method: str, event: _Event) -> _Event:
        held = self.held_back(str(event.get("event", "")), str(event.get("place", "")))
        if held is None:
            raise structlog.DropEvent
        if held:
            event["repeated"] = held
        return event

    def held_back(self, event: str, place: str) -> int | None:
        """How many like this were held back since the last told; None when this one is, too."""
        now = self._clock()
        since, held = self._told.get((event, place), (float("-inf"), 0))
        if now - since < self._interval_s:
            self._told[event, place] = since, held + 1
            return None
        if len(self._told) > 1000:
            self._told.clear()
        self._told[event, place] = now, 0
        return held


def _foreign_limit(settings: LogSettings, clock: Callable[[], float]) -> Callable[[logging.LogRecord], bool]:
    limit = _RateLimit(settings.repeat_interval_s, clock)

    def passes(record: logging.LogRecord) -> bool:
        if record.name == "driftline":
            return True
        return limit.held_back(str(record.msg), record.name) is not None

    return passes
