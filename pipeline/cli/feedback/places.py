"""Where feedback lies: in a file, or in a topic."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.adapters.files.feedback import append_feedback, read_feedback
from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.feedback import read_feedback_topic, write_feedback
from pipeline.adapters.kafka.source import SCHEME, TopicAddress
from pipeline.adapters.kafka.topics import TopicAdmin, TopicPlan, TopicSpec
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.sources import require_path
from pipeline.codec.feedback import encode_feedback, encode_withdrawal
from pipeline.config import Config
from pipeline.errors import ConfigError, InputError
from pipeline.feedback import NOTHING_SAID, Feedback, Ranges

WITHOUT = "none"
"""Names that none is to be taken, whatever is configured."""
Note = Callable[[str], None]


class Place(Protocol):
    """Where feedback is read and written; raises `UserError` or `FeedError`."""

    told: str

    def read(self, note: Note) -> Ranges:
        """All that holds; `note` is told of what cannot be used."""

    def require(self, *, create: bool) -> None:
        """Refuse what cannot be written to, having made what is missing if that is asked for."""

    def put(self, feedback: Feedback) -> None:
        """Say something; it takes the place of what was said under the same id."""

    def withdraw(self, feedback_id: str) -> None:
        """Take back what was said under an id."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file of JSON lines."""

    path: Path

    @property
    def told(self) -> str:
        """As people are shown it."""
        return str(self.path)

    def read(self, note: Note) -> Ranges:  # noqa: ARG002  the protocol's signature
        """See `Place`."""
        return read_feedback(self.path)

    def require(self, *, create: bool) -> None:  # noqa: ARG002  as above
        """See `Place`; a file that is added to has to be one of feedback."""
        if self.path.exists():
            read_feedback(self.path)

    def put(self, feedback: Feedback) -> None:
        """See `Place`."""
        append_feedback(self.path, encode_feedback(feedback))

    def withdraw(self, feedback_id: str) -> None:
        """See `Place`."""
        append_feedback(self.path, encode_withdrawal(feedback_id))


@dataclass(frozen=True, slots=True)
class TopicPlace:
    """A compacted topic."""

    connection: KafkaSettings
    topic: str
    replication: int | None

    @property
    def told(self) -> str:
        """As people are shown it."""
        return f"{SCHEME}{','.join(self.connection.bootstrap)}/{self.topic}"

    def read(self, note: Note) -> Ranges:
        """See `Place`."""
        return read_feedback_topic(self.connection, self.topic, lambda told: note(f"notice: left out: {told}"))

    def require(self, *, create: bool) -> None:
        """See `Place`."""
        admin = TopicAdmin(self.connection)
        try:
            spec = TopicSpec(self.topic, compacted=True, partitions=1)
            if not create and self.topic not in admin.inputs([self.topic], None):
                raise InputError(self.told, found="no such topic", expected="one that exists, or --create-topic")
            for finding in admin.ensure([spec], [], TopicPlan(create, self.replication, 0)):
                if finding.level == "error":
                    raise ConfigError(f"topic {finding.topic}: {finding.text}")
        finally:
            admin.close()

    def put(self, feedback: Feedback) -> None:
        """See `Place`."""
        write_feedback(self.connection, self.topic, feedback.id, encode_feedback(feedback))

    def withdraw(self, feedback_id: str) -> None:
        """See `Place`."""
        write_feedback(self.connection, self.topic, feedback_id, None)


def place_of(named: str | None, config: Config) -> FilePlace | TopicPlace:
    """What a user has named, or else what is configured.

    Raises:
        ConfigError: neither.
        InputError: a URL that is none.
    """
    replication = config.output.replication
    if named is not None and named.startswith(SCHEME):
        address = TopicAddress.parse(named)
        return TopicPlace(settings_from(config.kafka, address.bootstrap), address.topic, replication)
    if named is not None:
        return FilePlace(Path(require_path(named)))
    if config.feedback.topic is None:
        raise ConfigError(
            "found no place for feedback; expected topic in [feedback], or --feedback FILE or kafka://host:port/topic"
        )
    return TopicPlace(settings_from(config.kafka), config.feedback.topic, replication)


def read_named(named: str | None, config: Config, note: Note, *, configured: bool = True) -> Ranges:
    """The feedback that a command is to go by; nothing where none is named and none configured.

    Args:
        named: a file, a URL, `none`, or None for what is configured.
        configured: whether what is configured counts.

    Raises:
        UserError: it cannot be read.
        FeedError: no broker answers.
    """
    if named == WITHOUT or (named is None and (not configured or config.feedback.topic is None)):
        return NOTHING_SAID
    return place_of(named, config).read(note)
