"""Membership in a group of a real broker, at the moments at which kafka-python by itself goes wrong."""

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import MemberToRemove

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.feed import FeedSettings, KafkaFeed
from pipeline.adapters.kafka.outbox import KafkaOutbox, OutboxSettings
from pipeline.errors import ExpiredError, TransactionError
from pipeline.records import Place, Position
from tests.kafka_broker import create_topic, send

pytestmark = pytest.mark.kafka
PARTITIONS = 2


class Told:
    """Fulfils `Membership`: remembers what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[Place]]] = []
        self.held: set[Place] = set()

    def on_assigned(self, places: Collection[Place]) -> None:
        """See `Membership`."""
        self.events.append(("assigned", list(places)))
        assert not self.held.intersection(places), "told twice"
        self.held |= set(places)

    def on_revoked(self, places: Collection[Place]) -> None:
        """See `Membership`."""
        self.events.append(("revoked", list(places)))
        self.held -= set(places)

    def on_lost(self, places: Collection[Place]) -> None:
        """See `Membership`."""
        self.events.append(("lost", list(places)))
        self.held -= set(places)


class Group:
    """A topic, and members of a group that read it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.name = uuid.uuid4().hex
        self.places = [Place(self.name, n) for n in range(PARTITIONS)]
        self._open: list[Any] = []
        create_topic(bootstrap, self.name, PARTITIONS)

    def join(self) -> tuple[KafkaFeed, Told]:
        """A member that has not yet polled."""
        feed = KafkaFeed(
            KafkaSettings((self.bootstrap,)), FeedSettings(self.name, (self.name,), session_timeout_ms=6000)
        )
        self._open.append(feed)
        told = Told()
        feed.subscribe(told)
        return feed, told

    def outbox(self, feed: KafkaFeed) -> KafkaOutbox:
        """Commits for a member."""
        connection = KafkaSettings((self.bootstrap,))
        outbox = KafkaOutbox(connection, OutboxSettings(uuid.uuid4().hex), lambda: feed.group_metadata)
        self._open.append(outbox)
        return outbox

    def throw_out(self, feed: KafkaFeed) -> None:
        """Have the group forget a member, which hears nothing of it."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        member = feed._consumer.group_metadata().member_id
        admin.remove_group_members(self.name, [MemberToRemove(member_id=member)])
        admin.close()

    def close(self) -> None:
        """End all that were made."""
        for one in self._open:
            one.close()


@pytest.fixture
def group(bootstrap: str) -> Iterator[Group]:
    """A fresh group over a topic of two partitions."""
    made = Group(bootstrap)
    yield made
    made.close()


def _poll_until(condition: Callable[[], object], *feeds: KafkaFeed) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "found no end"
        for feed in feeds:
            feed.poll(0.05, 100)


def test_partitions_move_between_members(group: Group) -> None:
    """The second member gets half of what the first one held, revoked there first, and all when the first leaves."""
    first, told = group.join()
    _poll_until(lambda: len(told.held) == 2, first)
    second, told_second = group.join()
    _poll_until(lambda: len(told_second.held) == 1, first, second)
    assert told.held | told_second.held == set(group.places)
    assert [name for name, _ in told.events] == ["assigned", "revoked"]
    first.close()
    _poll_until(lambda: len(told_second.held) == 2, second)
    assert told.held == set()


def test_a_member_thrown_out_is_told_and_may_not_commit(group: Group) -> None:
    """What a member held that the group has given up is lost, and nothing of it can be committed, by any name."""
    feed, told = group.join()
    _poll_until(lambda: len(told.held) == 2, feed)
    outbox = group.outbox(feed)
    outbox.commit({group.places[0]: Position(3, "a")})
    group.throw_out(feed)
    deadline = time.monotonic() + 60
    while feed._consumer.group_metadata().member_id and time.monotonic() < deadline:
        time.sleep(0.05)  # the heartbeats notice; nothing is polled meanwhile
    assert feed._consumer.group_metadata().member_id == ""
    with pytest.raises(TransactionError, match="thrown out"):
        outbox.commit({group.places[0]: Position(7, "b")})
    _poll_until(lambda: len(told.events) >= 3, feed)
    assert [name for name, _ in told.events] == ["assigned", "lost", "assigned"]
    assert feed.committed(group.places[0]) == Position(3, "a")
    outbox.commit({group.places[0]: Position(8, "c")})
    assert feed.committed(group.places[0]) == Position(8, "c")


def test_a_member_thrown_out_while_joining_is_told(group: Group) -> None:
    """Whoever comes back under another name is told of the loss first, although the client was joining already."""
    feed, told = group.join()
    _poll_until(lambda: len(told.held) == 2, feed)
    outbox = group.outbox(feed)
    before = feed._consumer.group_metadata().member_id
    group.throw_out(feed)
    # as in a join that began while this was a member still: the client has told of its partitions, and does not again
    feed._consumer._coordinator.rejoining = True
    feed._consumer._coordinator.request_rejoin()
    deadline = time.monotonic() + 60
    while feed._consumer.group_metadata().member_id in {before, ""} and time.monotonic() < deadline:
        feed._consumer.poll(50)  # not by the feed: nothing is noticed in between
    assert feed._consumer.group_metadata().generation_id > 0
    with pytest.raises(TransactionError, match="thrown out"):
        outbox.commit({group.places[0]: Position(7, "")})
    feed.poll(0.05, 100)
    assert [name for name, _ in told.events] == ["assigned", "lost", "assigned"]
    assert told.held == set(group.places)
    outbox.commit({group.places[0]: Position(8, "")})


def test_a_join_that_outlasts_a_poll_is_ended(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader whose polls are shorter than its joins takes up the partitions that a topic has got."""
    monkeypatch.setattr("pipeline.adapters.kafka.feed._METADATA_AGE_MS", 300)
    feed, told = group.join()
    _poll_until(lambda: len(told.held) == PARTITIONS, feed)
    admin = KafkaAdminClient(bootstrap_servers=group.bootstrap)
    admin.create_partitions({group.name: 2 * PARTITIONS})
    admin.close()
    deadline = time.monotonic() + 60
    while len(told.held) < 2 * PARTITIONS:
        assert time.monotonic() < deadline, "found no end"
        feed.poll(0.0, 100)
        time.sleep(0.01)


def test_what_is_lost_is_not_claimed(group: Group) -> None:
    """A request to join names the partitions held, and none that were lost."""
    feed, told = group.join()
    _poll_until(lambda: len(told.held) == 2, feed)
    assignor = next(iter(feed._consumer._coordinator._assignors.values()))

    def claimed() -> set[Any]:
        owned = assignor.metadata({group.name}).owned_partitions
        return {TopicPartition(one.topic, number) for one in owned for number in one.partitions}

    assert claimed() == set(group.places)
    group.throw_out(feed)
    deadline = time.monotonic() + 60
    while feed._consumer.group_metadata().member_id and time.monotonic() < deadline:
        time.sleep(0.05)
    assert claimed() == set()


def test_refused_offsets_do_not_go_with_the_next_transaction(group: Group) -> None:
    """Offsets that the broker has refused are not committed later, together with others."""
    feed, told = group.join()
    _poll_until(lambda: len(told.held) == 2, feed)
    outbox = group.outbox(feed)
    now = feed.group_metadata
    outbox._group_metadata = lambda: now._replace(generation_id=now.generation_id + 5)
    with pytest.raises(TransactionError):
        outbox.commit({group.places[0]: Position(7, "")})
    outbox._group_metadata = lambda: feed.group_metadata
    outbox.commit({group.places[1]: Position(4, "")})
    assert feed.committed(group.places[0]) is None
    assert feed.committed(group.places[1]) == Position(4, "")


def test_messages_that_came_while_paused_come_later(group: Group) -> None:
    """A partition that was paused while its messages were at hand goes on where it was, whatever the others do."""
    send(group.bootstrap, group.name, [(n % 2, b"k", b"%d" % n) for n in range(40)])
    feed, told = group.join()
    _poll_until(lambda: len(told.held) == 2, feed)
    got: dict[Place, list[int]] = {place: [] for place in group.places}
    for place in group.places:
        feed.seek(place, 0)

    def poll(most: int) -> None:
        for place, messages in feed.poll(0.05, most).items():
            got[Place(*place)] += [message.offset for message in messages]

    deadline = time.monotonic() + 60
    while not any(got.values()):
        poll(3)
        assert time.monotonic() < deadline
    begun = next(place for place in group.places if got[place])
    other = next(place for place in group.places if place != begun)
    feed.pause([begun])
    held_back = len(got[begun])
    while len(got[other]) < 20:
        poll(3)
        assert time.monotonic() < deadline
    poll(3)
    assert len(got[begun]) == held_back < 20
    feed.resume([begun])
    while len(got[begun]) < 20:
        poll(3)
        assert time.monotonic() < deadline, f"found {got[begun]}"
    assert got == {place: list(range(20)) for place in group.places}


def test_a_position_that_is_gone_is_told(group: Group) -> None:
    """Records deleted before they were read are told with the position that is gone, and no other place is taken."""
    send(group.bootstrap, group.name, [(0, b"k", b"v")] * 10)
    feed, told = group.join()
    _poll_until(lambda: len(told.held) == 2, feed)
    admin = KafkaAdminClient(bootstrap_servers=group.bootstrap)
    admin.delete_records({TopicPartition(group.name, 0): 6})
    admin.close()
    feed.seek(group.places[0], 2)
    with pytest.raises(ExpiredError) as raised:
        _poll_until(lambda: False, feed)
    assert raised.value.positions == {(group.name, 0): 2}
    assert feed.bounds(group.places) == {group.places[0]: (6, 10), group.places[1]: (0, 0)}
