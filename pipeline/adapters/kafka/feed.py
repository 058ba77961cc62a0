"""Membership in a consumer group: messages of the partitions that this member holds."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition, errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.errors import DriftlineError, ExpiredError, FeedError, TransactionError
from pipeline.interfaces import Membership, Message
from pipeline.records import Place, Position

_REQUEST_MS = 30_000
_METADATA_AGE_MS = 30_000
"""Topics and partitions are asked for again so often."""
_NEVER_RESET = "none"
"""A position that is not in the log is an error to be told, not a reason to go elsewhere."""


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """How a member of the group reads.

    Attributes:
        topics: to read; or else
        pattern: regular expression of their names, matched from the beginning on as `re.match` does; internal topics
            never match. Topics made later are found in half a minute. The same as in `topics.topic_matcher`.
        instance: name of a static member.
    """

    group: str
    topics: tuple[str, ...] | None = None
    pattern: str | None = None
    instance: str | None = None
    session_timeout_ms: int = 45_000
    max_poll_interval_ms: int = 300_000
    fetch_bytes: int = 2**24
    partition_fetch_bytes: int = 2**20


class KafkaFeed:
    """Fulfils `pipeline.interfaces.Feed` by a kafka-python consumer.

    Raises:
        FeedError: no broker answers.
        ConfigError: it refuses the credentials, or the settings do not go together.
    """

    def __init__(self, connection: KafkaSettings, settings: FeedSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._listener: _Listener | None = None
        assignor = _Assignor(lambda: self._listener.claims() if self._listener else [])
        options = client_options(connection) | {
            "group_id": settings.group,
            "group_instance_id": settings.instance,
            "enable_auto_commit": False,
            "auto_offset_reset": _NEVER_RESET,
            # also has the group wait with a committed offset while a transaction over it is under way
            "isolation_level": "read_committed",
            "partition_assignment_strategy": [assignor],
            "allow_auto_create_topics": False,
            "session_timeout_ms": settings.session_timeout_ms,
            "heartbeat_interval_ms": min(3_000, settings.session_timeout_ms // 3),
            "max_poll_interval_ms": settings.max_poll_interval_ms,
            "fetch_max_bytes": settings.fetch_bytes,
            "max_partition_fetch_bytes": settings.partition_fetch_bytes,
            "metadata_max_age_ms": _METADATA_AGE_MS,
            "metrics_enabled": False,
        }
        with self._telling("connecting"):
            self._consumer: Any = KafkaConsumer(**options)

    @property
    def group_metadata(self) -> Any:
        """Who this member is just now, for the outbox: a broker refuses the commit of one that is out of date.

        Raises:
            TransactionError: it is not the member that was given the partitions. A broker takes the commit of a process
                without a name as that of one outside the group, and the commit of one that has joined anew as that of
                the rightful holder, whoever has held the partitions in between.
        """
        now = self._consumer.group_metadata()
        if self._listener is None or not self._listener.holds_as(now):
            raise TransactionError("found this member thrown out of the group; expected it to hold its partitions")
        return now

    @property
    def is_member(self) -> bool:
        """Whether the group counts on this member just now, be it with no partition."""
        now = self._consumer.group_metadata()
        return bool(now.state == MemberState.STABLE and now.member_id)

    def subscribe(self, membership: Membership) -> None:
        """Join the group; the partitions come with later calls of `poll`."""
        self._listener = _Listener(self._consumer, membership)
        with self._telling("subscribing"):
            if self._settings.topics is not None:
                self._consumer.subscribe(topics=list(self._settings.topics), listener=self._listener)
            else:
                self._consumer.subscribe(pattern=self._settings.pattern, listener=self._listener)

    def poll(self, timeout_s: float, max_messages: int) -> Mapping[Place, Sequence[Message]]:
        """See `pipeline.interfaces.Feed.poll`; the keys are kafka-python's, which equal places."""
        with self._telling("polling"):
            self._make_room_for_parked()
            self._go_on_joining()
            polled = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_messages)
            if self._listener is not None and self._listener.settle():
                return {}  # what came belongs to partitions of which the positions have just changed
        return cast("Mapping[Place, Sequence[Message]]", polled)

    def committed(self, place: Place) -> Position | None:
        """See `pipeline.interfaces.Feed.committed`."""
        with self._telling(f"asking for the committed offset of {place.topic}/{place.partition}"):
            found = self._consumer.committed(TopicPartition(*place), metadata=True, timeout_ms=_REQUEST_MS)
        return None if found is None or found.offset < 0 else Position(found.offset, found.metadata or "")

    def bounds(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        """See `pipeline.interfaces.Feed.bounds`."""
        asked = [TopicPartition(*place) for place in places]
        if not asked:
            return {}
        with self._telling("asking for the ends of partitions"):
            first = self._consumer.beginning_offsets(asked, timeout_ms=_REQUEST_MS)
            end = self._consumer.end_offsets(asked, timeout_ms=_REQUEST_MS)
        return {Place(*one): (first[one], end[one]) for one in asked}

    def position(self, place: Place) -> int:
        """See `pipeline.interfaces.Feed.position`."""
        with self._telling("asking for a position"):
            return int(self._consumer.position(TopicPartition(*place), timeout_ms=_REQUEST_MS) or 0)

    def seek(self, place: Place, offset: int) -> None:
        """Go on with this offset; nothing happens where the partition is no longer this member's."""
        if place in self._consumer.assignment():
            self._consumer.seek(TopicPartition(*place), offset)

    def pause(self, places: Collection[Place]) -> None:
        """Give no messages of these."""
        self._consumer.pause(*self._held(places))

    def resume(self, places: Collection[Place]) -> None:
        """Give messages of these again."""
        self._consumer.resume(*self._held(places))

    def close(self) -> None:
        """Leave the group."""
        with self._telling("leaving the group"):
            self._consumer.close(autocommit=False, timeout_ms=10_000)

    def _make_room_for_parked(self) -> None:
        """Have kafka-python go on with messages that came in while their partition was paused.

        Up to 3.0.12 it takes them up only when it has no other partition's messages at hand, and it takes a partition
        whose messages are used up for one that has some: without this they, and all that follow, never come.
        """
        fetcher = self._consumer._fetcher  # noqa: SLF001  there is no other way to it
        if not fetcher._next_partition_records:  # noqa: SLF001
            fetcher._next_partition_records = None  # noqa: SLF001

    def _go_on_joining(self) -> None:
        """Have kafka-python go on with a join that a poll before has begun and had no time to end.

        Up to 3.0.12 a leader that joins anew since the partitions of a topic have changed takes note of them while it
        joins, sees no more reason to join, and leaves the join alone for ever if the poll ended meanwhile: it holds
        nothing new, sends no heartbeats, and keeps the group from all that it was given.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001  there is no other way to it
        if coordinator._join_task is not None and not coordinator.need_rejoin():  # noqa: SLF001
            coordinator.request_rejoin()

    def _held(self, places: Collection[Place]) -> list[Any]:
        held = self._consumer.assignment()
        return [TopicPartition(*place) for place in places if place in held]

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """As `told_as_feed_error`, with what the membership raised told as itself."""
        try:
            with told_as_feed_error(f"Kafka, {what}", self._connection):
                yield
        except FeedError as exc:
            if self._listener is not None and (raised := self._listener.take_error()) is not None:
                raise raised from exc
            if isinstance(exc.__cause__, errors.OffsetOutOfRangeError):
                asked = {(one.topic, one.partition): at for one, at in exc.__cause__.args[0].items()}
                raise ExpiredError(str(exc), asked) from exc
            raise


class _Assignor(CooperativeStickyAssignor):  # type: ignore[misc]
    """Tells the group, when joining, what this member holds by right.

    kafka-python's own goes on claiming what was lost, so that two members may come to hold a partition at once.

    Args:
        claims: gives the partitions that this member holds under the name that it has now.
    """

    def __init__(self, claims: Callable[[], list[Any]]) -> None:
        super().__init__()
        self._claims = claims

    def metadata(self, topics: Any) -> Any:
        """What goes out with a request to join."""
        self.member_assignment = self._claims()
        return super().metadata(topics)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the membership, and keeps what it raises.

    It remembers under which name the partitions were given: a member that is thrown out while it is joining comes back
    under another, and kafka-python (3.0.12) then tells of no loss.
    """

    def __init__(self, consumer: Any, membership: Membership) -> None:
        self._consumer = consumer
        self._membership = membership
        self._error: BaseException | None = None
        self._held: frozenset[Any] = frozenset()  # replaced, never changed: a request to join is made by another thread
        self._name = ""

    def claims(self) -> list[Any]:
        """Partitions held under the name of just now."""
        return sorted(self._held) if self._has_name(self._consumer.group_metadata()) else []

    def holds_as(self, now: Any) -> bool:
        """Whether the partitions are held under this name."""
        return bool(self._held) and now.generation_id >= 0 and self._has_name(now)

    def settle(self) -> bool:
        """Whether the membership had to be told of partitions, because kafka-python did not."""
        lost = self._lose_foreign()
        now = self._consumer.group_metadata()
        if now.state != MemberState.STABLE or not now.member_id:
            return lost
        given = self._consumer.assignment() - self._held
        if given:
            self.on_partitions_assigned(given)
        return lost or bool(given)

    def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        """Give the partitions a position, so that the client asks for none, and then tell the membership."""
        self._lose_foreign()
        self._name = self._consumer.group_metadata().member_id
        self._held = self._held.union(assigned)
        for one in assigned:
            self._consumer.seek(one, 0)
        self._tell(self._membership.on_assigned, assigned)

    def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        """Tell the membership."""
        self._lose_foreign()
        mine = self._held.intersection(revoked)
        try:
            self._tell(self._membership.on_revoked, mine)
        finally:
            self._held = self._held - mine

    def on_partitions_lost(self, lost: Collection[Any]) -> None:
        """Tell the membership."""
        mine = self._held.intersection(lost)
        self._held = self._held - mine
        self._tell(self._membership.on_lost, mine)

    def take_error(self) -> BaseException | None:
        """What the membership raised last, once."""
        error, self._error = self._error, None
        return error

    def _has_name(self, now: Any) -> bool:
        return bool(self._name) and now.member_id == self._name

    def _lose_foreign(self) -> bool:
        """Whether partitions were held under another name: they may have been another member's in between."""
        if not self._held or self._has_name(self._consumer.group_metadata()):
            return False
        self.on_partitions_lost(self._held)
        return True

    def _tell(self, hook: Any, partitions: Collection[Any]) -> None:
        places = [Place(*one) for one in sorted(partitions)]
        if not places:
            return
        try:
            hook(places)
        except BaseException as exc:
            self._error = exc
            if isinstance(exc, DriftlineError | Exception):
                raise
            raise errors.KafkaError(str(exc)) from exc
