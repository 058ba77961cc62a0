"""Times of the configuration that have to go together: with one another, and with what the brokers allow."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from pipeline.config import Config
from pipeline.config.quantities import format_duration
from pipeline.errors import ConfigError

BROKER_LIMITS = ("transaction.max.timeout.ms", "group.min.session.timeout.ms", "group.max.session.timeout.ms")
"""Settings of the brokers that `against_broker` looks at."""


def among_themselves(config: Config) -> Iterator[tuple[str, str]]:
    """('error' or 'warning', what was found, expected and to be done) for times that do not go together."""
    kafka, service = config.kafka, config.service
    commit, transaction = service.commit_interval, kafka.transaction_timeout
    if transaction <= commit:
        yield "error", _told(
            "[kafka] transaction_timeout", transaction, "[service] commit_interval", commit,
            "several times as much: the broker would end every transaction before it is committed",
        )  # fmt: skip
    elif transaction < 3 * commit:
        yield "warning", _told(
            "[kafka] transaction_timeout", transaction, "[service] commit_interval", commit,
            "at least three times as much: slow commits will be ended by the broker, and done again",
        )  # fmt: skip
    if kafka.session_timeout < timedelta(seconds=1):
        found = format_duration(kafka.session_timeout)
        yield (
            "error",
            f"[kafka] session_timeout: found {found}; expected at least 1s: heartbeats go out three times in it",
        )
    if kafka.max_poll_interval < kafka.session_timeout:
        yield "error", _told(
            "[kafka] max_poll_interval", kafka.max_poll_interval, "session_timeout", kafka.session_timeout,
            "at least as much: raise the one or lower the other",
        )  # fmt: skip
    if kafka.max_poll_interval < 3 * commit:
        yield "error", _told(
            "[kafka] max_poll_interval", kafka.max_poll_interval, "[service] commit_interval", commit,
            "at least three times as much: there is no poll while what came is processed, up to a commit interval",
        )  # fmt: skip
    if service.shutdown_timeout >= kafka.max_poll_interval:
        yield "warning", _told(
            "[service] shutdown_timeout", service.shutdown_timeout, "[kafka] max_poll_interval",
            kafka.max_poll_interval, "less: there is no poll while the last snapshots are written",
        )  # fmt: skip


def require_sound(config: Config) -> None:
    """Refuse times that cannot work.

    Raises:
        ConfigError: there are some.
    """
    for level, text in among_themselves(config):
        if level == "error":
            raise ConfigError(text)


def against_broker(config: Config, limits: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """('error', what was found, expected and to be done) for times that the brokers will refuse.

    Args:
        limits: milliseconds by name, of `BROKER_LIMITS`; those not known are left out.
    """
    kafka = config.kafka
    for name, key, value, is_upper in (
        ("transaction.max.timeout.ms", "transaction_timeout", kafka.transaction_timeout, True),
        ("group.max.session.timeout.ms", "session_timeout", kafka.session_timeout, True),
        ("group.min.session.timeout.ms", "session_timeout", kafka.session_timeout, False),
    ):
        limit = limits.get(name)
        if limit is None:
            continue
        milliseconds = value / timedelta(milliseconds=1)
        if milliseconds > limit if is_upper else milliseconds < limit:
            allowed = f"{'at most' if is_upper else 'at least'} {format_duration(timedelta(milliseconds=limit))}"
            found = f"found {format_duration(value)}; expected {allowed}, the brokers' {name}"
            yield "error", f"[kafka] {key}: {found}: change the one or the other"


def _told(key: str, value: timedelta, other_key: str, other: timedelta, expected: str) -> str:
    found = f"found {format_duration(value)} with {other_key} of {format_duration(other)}"
    return f"{key}: {found}; expected {expected}"
