"""The watchdog, its clock moved by hand."""

from typing import TYPE_CHECKING

import pytest

from pipeline.errors import FeedError
from pipeline.records import Place
from pipeline.service.plan import Chunk, ServicePlan
from pipeline.service.task import Status, Task
from pipeline.service.watchdog import Watchdog
from tests.pipeline.service.fakes import MemoryFeed, MemoryLog, Notes, Trap

if TYPE_CHECKING:
    from collections.abc import Collection

PLACE = Place("in", 0)
PLAN = ServicePlan(stall_timeout_s=60.0)


class Watched:
    """A watchdog over one partition, of which position and end are set."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.notes = Notes()
        self.log = MemoryLog()
        self.feed = MemoryFeed(self.log, [PLACE], Trap())
        self.feed.positions[PLACE] = 0
        self.task = Task(PLACE, status=Status.LIVE)
        self.tasks: Collection[Task] = [self.task]
        self.dog = Watchdog(self.feed, self.notes, self.notes, lambda: self.now_s)

    def look(self, after_s: float = 5.0) -> list[Place]:
        """Partitions that are told to be stalled when looked at again."""
        self.now_s += after_s
        assert self.dog.look(self.tasks, PLAN)
        return self.notes.stalled_places

    def arrive(self, messages: int = 1) -> None:
        """Have messages come in."""
        for _ in range(messages):
            self.log.append(PLACE, b"k", b"v")


@pytest.fixture
def watched() -> Watched:
    """One with a message that is not taken, looked at once."""
    made = Watched()
    made.arrive()
    made.look()
    return made


def test_lag_that_grows_while_the_position_stands_is_told_and_ends_the_process(watched: Watched) -> None:
    """It is told at once with offset and time, and an error once it lasts for longer than the plan allows."""
    watched.arrive()
    assert watched.look() == [PLACE]
    assert watched.notes.events[-1] == ("stalled", {"place": "in/0", "offset": 0, "stood_s": 5.0})
    for _ in range(11):
        watched.arrive()
        assert watched.look() == [PLACE]
    with pytest.raises(FeedError, match=r"in/0: found no progress at offset 0 for 65\.0 s while its lag grew"):
        watched.look()


def test_a_partition_that_is_idle_is_not_stalled() -> None:
    """Nothing new and nothing to do, for however long, is well."""
    idle = Watched()
    for _ in range(100):
        assert idle.look() == []


def test_a_lag_that_does_not_grow_is_not_stalled(watched: Watched) -> None:
    """A rest that is not taken, as at the open end of a transaction, is no sign of a client that reads nothing."""
    for _ in range(100):
        assert watched.look() == []


def test_progress_begins_the_time_anew(watched: Watched) -> None:
    """A partition that moves on, however slowly, is not stalled."""
    for offset in range(1, 30):
        watched.arrive(3)
        watched.feed.positions[PLACE] = offset
        assert watched.look() == []


def test_a_rebalance_begins_the_time_anew(watched: Watched) -> None:
    """A partition that went away and came back is looked at as for the first time."""
    watched.arrive()
    for _ in range(10):
        assert watched.look() == [PLACE]
    watched.tasks = []
    assert watched.look() == []
    watched.tasks = [watched.task]
    assert watched.look() == []
    watched.arrive()
    assert watched.look() == [PLACE]
    assert watched.notes.events[-1][1]["stood_s"] == 5.0


@pytest.mark.parametrize("status", [Status.ASSIGNED, Status.RESTORING, Status.SWAPPING])
def test_a_partition_that_is_not_to_be_read_yet_is_not_stalled(watched: Watched, status: Status) -> None:
    """While a partition is restored it stands still on purpose; so does one with messages in line."""
    watched.task.status = status
    for _ in range(30):
        watched.arrive()
        assert watched.look() == []
    watched.task.status = Status.LIVE
    watched.task.waiting.append(Chunk([], 0.0))
    for _ in range(30):
        watched.arrive()
        assert watched.look() == []


def test_it_looks_now_and_then(watched: Watched) -> None:
    """Between looks nothing is asked of the brokers; a short limit is looked at more often."""
    watched.now_s += 4.0
    assert not watched.dog.look(watched.tasks, PLAN)
    watched.now_s += 1.0
    assert watched.dog.look(watched.tasks, ServicePlan(stall_timeout_s=4.0))
    watched.now_s += 1.0
    assert watched.dog.look(watched.tasks, PLAN)
