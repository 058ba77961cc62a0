"""Durations and ranges of event time as options give them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pipeline.errors import ConfigError


def range_of(from_: str | None, to: str | None) -> tuple[int | None, int | None]:
    """What `--from` and `--to` say, in microseconds since 1970-01-01 UTC; None for no bound.

    Raises:
        ConfigError: a text that is no time, or an end before the start.
    """
    from_us, to_us = _time("--from", from_), _time("--to", to)
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise ConfigError(f"found --from {from_} and --to {to}; expected --from to be the earlier")
    return from_us, to_us


def duration_of(option: str, text: str) -> timedelta:
    """The duration that an option says.

    Raises:
        ConfigError: no number with a unit of time.
    """
    from pipeline.config.quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError as exc:
        raise ConfigError(f"{option}: {exc}") from exc


def time_limit_s(given: Mapping[str, Any]) -> float | None:
    """What `--time-limit` says in seconds; None where it is not given.

    Raises:
        ConfigError: no number with a unit of time.
    """
    text = given["time_limit"]
    return None if text is None else duration_of("--time-limit", text).total_seconds()


def _time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    import pyarrow as pa

    from pipeline.adapters.files.times import CellError, parse_times, unit_of

    cells = pa.array([text])
    try:
        return int(parse_times(cells, unit_of(cells))[0])
    except CellError as exc:
        raise ConfigError(f"{option}: found {exc.found}; expected {exc.expected}, or an epoch number") from exc
