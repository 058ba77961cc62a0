import itertools
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.state.assembly import join, read_mark
from pipeline.adapters.state.files import FileStateStore
from pipeline.codec.checkpoints import encode_checkpoint
from pipeline.codec.dead_letters import OVERHEAD
from pipeline.errors import LossError
from pipeline.records import Place
from pipeline.service.loop import Service
from pipeline.service.plan import ServicePlan, Topics, Workshop
from pipeline.service.task import Note
from pipeline.suppression import Marker
from tests.pipeline.service.fakes import Crash, MemoryFeed, MemoryLog, MemoryOutbox, Notes, TestWorkshop, Trap, point

PLACES = [Place("in", 0), Place("in", 1)]
TOPICS = Topics("anomalies", "dead", "verdicts")
START_MS = 1_700_000_000_000
MESSAGES = 260
UNDER_WAY: dict[str, Any] = {"tick_s": 0.01, "commit_interval_s": 1.0, "snapshot_interval_s": 3.0}
"""Few commits, so that outputs wait and batches are being scored most of the time."""


def _log() -> MemoryLog:
    rng = np.random.default_rng(7)
    log = MemoryLog()
    for place in PLACES:
        for n in range(MESSAGES):
            key = b"key-%d" % (n % 3)
            value: Any = round(float(np.sin(n / 9) + rng.normal(0, 0.05) + (9 if n % 70 > 66 else 0)), 4)
            content = point(START_MS + n * 60_000, value)
            if n % 23 == 5:
                content = (b"{", b'{"time": 1, "value": 2}', point(START_MS, "high"), b"")[n % 4]
            if n % 31 == 7:
                content = point(START_MS + (n - 60) * 60_000, value)
            log.append(place, key, content)
    return log


class Run:
    """A process that serves a log: until everything is committed, or it crashes."""

    def __init__(
        self,
        log: MemoryLog,
        store: Any,
        trap: Trap | None = None,
        *,
        workshop: Workshop | None = None,
        failures: set[int] | None = None,
        doubts: set[int] | None = None,
        tick_s: float = 1.0,
        marking: Callable[[], Marker | None] | None = None,
        **plan: Any,
    ) -> None:
        self.notes = Notes()
        self.ticks = itertools.count()
        self.feed = MemoryFeed(log, PLACES, trap or Trap())
        self.log = log
        self.stop = False
        self.fall_at = -1
        given = {"micro_batch": 17, "commit_interval_s": 3.0, "snapshot_interval_s": 30.0} | plan
        outbox = self.outbox = MemoryOutbox(log, trap or Trap(), failures, doubts)
        self.service = Service(
            self.feed, outbox, store(outbox), workshop or TestWorkshop(), TOPICS, ServicePlan(**given),
            self.notes, self.notes,
            reload=self._reload, stop=lambda: self.stop, clock=lambda: next(self.ticks) * tick_s,
            marking=marking or (lambda: None),
        )  # fmt: skip

    def _reload(self) -> None:
        """Falls at the round asked for."""
        self.fall_at -= 1
        if self.fall_at == 0:
            raise LossError("gone")

    def drain(self, *, leave: bool = True) -> None:
        """Serve until everything is committed."""
        self.feed.subscribe(self.service.held)
        ends = {place: self.log.partitions[place][-1].offset + 1 for place in PLACES}
        for _ in range(3000):
            self.service.step()
            done = all(self.log.committed.get(place, (0,))[0] >= end for place, end in ends.items())
            if done and list(self.notes.status.values()) == ["live"] * len(PLACES):
                break
        else:
            raise AssertionError("found no end")
        if leave:
            self.stop = True
            self.service.run()


def _files(path: Path) -> Any:
    return lambda _outbox: FileStateStore(f"file://{path}", "group")


def _outputs(log: MemoryLog) -> list[Any]:
    return [log.contents(topic) for topic in ("anomalies", "verdicts", "dead")]


def _state(path: Path) -> list[bytes]:
    """The newest snapshot of each partition, whole."""
    found = []
    for place in PLACES:
        newest = max((path / "group" / place.topic / str(place.partition)).iterdir())
        mark = read_mark("", (newest / "complete.json").read_bytes())
        pages = [(newest / f"page-{n:05d}.zst").read_bytes() for n in range(mark.pages)]
        found.append(b"".join(bytes(part) for part in encode_checkpoint(join("", mark, pages))))
    return found


class Whole:
    """What a run that nothing interrupts leaves behind."""

    def __init__(self, outputs: list[Any], state: list[bytes]) -> None:
        self.outputs = outputs
        self.state = state


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Outputs and state of a run that nothing interrupts."""
    path = tmp_path_factory.mktemp("whole")
    log = _log()
    Run(log, _files(path)).drain()
    return Whole(_outputs(log), _state(path))


def test_outputs_are_complete(whole: Whole) -> None:
    """Every message has verdicts, unusable ones lie in the dead letters as they came, and some points alarm."""
    anomalies, verdicts, dead = whole.outputs
    log = _log()
    for place in PLACES:
        assert len(verdicts[place.partition]) == MESSAGES
        unusable = [(headers, value) for _, value, headers in dead[place.partition]]
        sent = {one.offset: one.value for one in log.partitions[place]}
        assert len(unusable) > 8
        for headers, value in unusable:
            told = dict(headers)
            assert sent[int(told["driftline.offset"])] == value
            assert told["driftline.reason"] in {b"malformed", b"bad_time", b"not_a_number", b"empty"}
        assert anomalies[place.partition]


@settings(max_examples=40)
@given(crashes=st.lists(st.integers(0, 40), max_size=6))
def test_a_crash_changes_neither_outputs_nor_state(whole: Whole, crashes: list[int]) -> None:
    """Wherever processes crash, before or behind a commit, outputs and final state are those of an unbroken run."""
    log = _log()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        for calls in crashes:
            try:
                Run(log, _files(path), Trap(calls)).drain()
            except Crash:
                continue
        Run(log, _files(path)).drain()
        assert _outputs(log) == whole.outputs
        assert _state(path) == whole.state


@pytest.mark.parametrize(
    "plan", [{"micro_batch": 1}, {"micro_batch": 1000, "chunk_bytes": 100}, {"commit_interval_s": 50.0}]
)
def test_pace_changes_no_bit(whole: Whole, tmp_path: Path, plan: dict[str, Any]) -> None:
    """However messages are cut and commits spaced, outputs and state are the same bytes."""
    log = _log()
    Run(log, _files(tmp_path), **plan).drain()
    assert _outputs(log) == whole.outputs
    assert _state(tmp_path) == whole.state


def test_a_failed_commit_is_done_again(whole: Whole, tmp_path: Path) -> None:
    """Transactions that fail take nothing with them: everything behind the one before is done again."""
    log = _log()
    run = Run(log, _files(tmp_path), failures={2, 3, 7})
    run.drain()
    assert run.notes.names().count("commit_failed") == 3
    assert _outputs(log) == whole.outputs
    assert _state(tmp_path) == whole.state


def test_a_commit_in_doubt_is_not_done_twice(whole: Whole, tmp_path: Path) -> None:
    """A commit that was made although its answer was lost is found, and gone on from."""
    log = _log()
    run = Run(log, _files(tmp_path), doubts={2, 3, 7})
    run.drain()
    assert run.notes.names().count("commit_failed") == 3
    assert _outputs(log) == whole.outputs
    assert _state(tmp_path) == whole.state


@pytest.mark.parametrize("steps", range(5, 17))
@pytest.mark.parametrize("lost", [PLACES[:1], PLACES])
def test_partitions_lost_are_taken_up_again(whole: Whole, tmp_path: Path, steps: int, lost: list[Place]) -> None:
    """Whenever and of however many partitions it is, what is lost without warning leaves neither gaps nor doubles."""
    log = _log()
    run = Run(log, _files(tmp_path), **UNDER_WAY)  # so that outputs wait to be committed
    run.feed.subscribe(run.service.held)
    for _ in range(steps):
        run.service.step()
    run.feed.to_lose = list(lost)
    run.drain()
    assert _outputs(log) == whole.outputs
    assert _state(tmp_path) == whole.state


def test_dead_letters_that_are_too_long_are_cut_and_all_else_is_the_same(whole: Whole, tmp_path: Path) -> None:
    """What the topic does not take whole does not stop the service."""
    log = _log()
    log.partitions[PLACES[1]][40] = replace(log.partitions[PLACES[1]][40], value=b"x" * 20_000)
    run = Run(log, _files(tmp_path))
    run.outbox.limit = 5_000
    run.drain()
    dead = log.contents("dead")[1]
    (cut,) = [one for one in dead if dict(one[2]).get("driftline.truncated")]
    assert dict(cut[2])["driftline.truncated"] == b"20000 bytes"
    assert dict(cut[2])["driftline.offset"] == b"%d" % log.partitions[PLACES[1]][40].offset
    assert cut[1] == b"x" * (5_000 - OVERHEAD - len(cut[0] or b""))
    assert [one for one in dead if one != cut] == whole.outputs[2][1]
    assert log.contents("dead")[0] == whole.outputs[2][0]


@pytest.mark.parametrize("steps", range(5, 17))
def test_partitions_given_up_are_taken_up_again(whole: Whole, tmp_path: Path, steps: int) -> None:
    """Whatever is under way when a partition goes to another member, neither it nor those that stay lose anything."""
    log = _log()
    run = Run(log, _files(tmp_path), **UNDER_WAY)
    run.feed.subscribe(run.service.held)
    for _ in range(steps):
        run.service.step()
    run.feed.to_revoke = PLACES[:1]
    run.drain()
    assert "commit_failed" not in run.notes.names()
    assert _outputs(log) == whole.outputs
    assert _state(tmp_path) == whole.state


@pytest.mark.parametrize("steps", range(5, 17))
def test_a_service_told_to_stop_commits_what_it_has_begun(whole: Whole, tmp_path: Path, steps: int) -> None:
    """Whenever it is told, all that it has read is committed, with a snapshot right there."""
    log = _log()
    run = Run(log, _files(tmp_path), **UNDER_WAY)
    run.feed.subscribe(run.service.held)
    for _ in range(steps):
        run.service.step()
    read = dict(run.feed.positions)
    run.stop = True
    run.service.run()
    for place in PLACES:
        assert log.committed[place].offset == read[place]
    again = Run(log, _files(tmp_path))
    again.drain()
    restored = [fields for name, fields in again.notes.events if name == "restored"]
    assert {one["status"] for one in restored} == {"live"}  # with nothing to be done again
    assert _outputs(log) == whole.outputs
    assert _state(tmp_path) == whole.state


@pytest.mark.parametrize("steps", range(8, 15))
@pytest.mark.parametrize("place", PLACES)
def test_records_that_expire_while_others_are_scored_are_passed_over(tmp_path: Path, steps: int, place: Place) -> None:
    """Only those not yet read are lost, and none of the others is done twice."""
    log = _log()
    run = Run(log, _files(tmp_path), **UNDER_WAY, on_expired="continue")
    run.feed.subscribe(run.service.held)
    for _ in range(steps):
        run.service.step()
    at = run.feed.positions[place]
    log.first[place] = at + 5
    run.drain()
    assert run.notes.lost_records == 5
    gone = sum(at <= one.offset < at + 5 for one in log.partitions[place])
    assert len(log.contents("verdicts")[place.partition]) == MESSAGES - gone


@pytest.mark.parametrize("steps", range(6, 30, 3))
def test_a_service_that_ends_by_an_error_commits_nothing_on_its_way_out(
    whole: Whole, tmp_path: Path, steps: int
) -> None:
    """What is put off when the process falls leaves the group without a commit, so that nothing goes missing."""
    log = _log()
    run = Run(log, _files(tmp_path), commit_interval_s=25.0)
    run.fall_at = steps
    with pytest.raises(LossError):
        run.service.run()
    run.outbox.abort()
    run.feed.close()  # which tells the service that its partitions are revoked
    Run(log, _files(tmp_path)).drain()
    assert _outputs(log) == whole.outputs
    assert _state(tmp_path) == whole.state


def test_accounts_balance_at_every_commit(tmp_path: Path) -> None:
    """All messages are consumed, and all that is consumed is scored, warming, late, duplicate or dead-lettered."""
    log = _log()
    run = Run(log, _files(tmp_path))
    run.drain()
    for place in PLACES:
        counts = run.notes.standing[place].counts
        assert counts["consumed"] == sum(counts["records"].values()) == MESSAGES
        assert min(counts["records"][name] for name in ("scored", "warming", "late", "dead_lettered")) > 0


def test_an_imbalance_stops_the_process(tmp_path: Path) -> None:
    """A record that nothing accounts for is a fault in the program, and nothing is committed over it."""
    log = _log()
    run = Run(log, _files(tmp_path))
    run.feed.subscribe(run.service.held)
    for _ in range(8):
        run.service.step()
    next(iter(run.service.held.tasks.values())).taken += 1
    with pytest.raises(RuntimeError, match="unaccounted"):
        run.drain()


def _interrupted(path: Path) -> MemoryLog:
    """A log of which a part is committed, with a snapshot behind that."""
    log = _log()
    with pytest.raises(Crash):
        Run(log, _files(path), Trap(27)).drain()
    assert 20 < log.committed[PLACES[0]].offset < MESSAGES
    return log


def test_lost_state_stops_or_is_told(tmp_path: Path) -> None:
    """A committed offset without its state stops the service, or is told and gone on from if that is asked for."""
    log = _log()
    run = Run(log, _files(tmp_path))
    run.drain()
    for place in PLACES:
        log.append(place, b"key-0", point(START_MS + 10**9, 1.0))
    with pytest.raises(LossError, match=r"in/0: found no usable snapshot for the committed offset \d+.*on_missing"):
        Run(log, _files(tmp_path / "other")).drain()
    fresh = Run(log, _files(tmp_path / "other"), on_missing="fresh")
    fresh.drain()
    assert fresh.notes.names().count("state_lost") == 2


def test_a_damaged_snapshot_is_told_and_the_one_before_serves(whole: Whole, tmp_path: Path) -> None:
    """Damage is told and costs only time: another snapshot and the records behind it give the same bits."""
    log = _log()
    with pytest.raises(Crash):
        Run(log, _files(tmp_path), Trap(33), snapshot_interval_s=3.0).drain()
    damaged = 0
    for place in PLACES:
        complete = [one for one in sorted((tmp_path / "group" / "in" / str(place.partition)).iterdir())
                    if (one / "complete.json").exists()]  # fmt: skip
        if len(complete) > 1:
            offset, _, digest = Note.read(log.committed[place].note).snapshot.partition("-")
            page = complete[0].parent / f"{int(offset):020d}-{digest}" / "page-00000.zst"
            content = bytearray(page.read_bytes())
            content[len(content) // 2] ^= 1
            page.write_bytes(content)
            damaged += 1
    assert damaged
    run = Run(log, _files(tmp_path))
    run.drain()
    assert run.notes.names().count("snapshot_damaged") == damaged
    assert _outputs(log) == whole.outputs


def test_expired_records_stop_or_are_counted(tmp_path: Path) -> None:
    """Records deleted unread stop the service with their exact number, or are counted and passed over."""
    log = _interrupted(tmp_path)
    at = log.committed[PLACES[0]].offset
    log.first[PLACES[0]] = at + 30
    with pytest.raises(LossError, match=r"in/0: found \d+ records deleted unread .*on_expired"):
        Run(log, _files(tmp_path)).drain()
    run = Run(log, _files(tmp_path), on_expired="continue")
    run.drain()
    assert run.notes.lost_records >= 30
    assert "records_lost" in run.notes.names()


def test_a_change_of_configuration_is_a_snapshot_first(tmp_path: Path) -> None:
    """Up to the committed offset the old configuration holds, from there the new one, behind a snapshot."""
    log = _interrupted(tmp_path)
    at = {place: log.committed[place].offset for place in PLACES}
    before = {place: len(log.contents("verdicts")[place.partition]) for place in PLACES}
    old = _outputs(log)
    run = Run(log, _files(tmp_path), workshop=TestWorkshop("two", 0.9))
    run.drain()
    swapped = {fields["place"]: fields["offset"] for name, fields in run.notes.events if name == "swapped"}
    assert swapped == {f"in/{place.partition}": at[place] for place in PLACES}
    first = [fields for name, fields in run.notes.events if name == "snapshot_taken"][:2]
    assert {one["place"]: one["offset"] for one in first} == at
    for place in PLACES:
        told = log.contents("verdicts")[place.partition]
        assert told[: before[place]] == old[1][place.partition]
        assert len(told) == MESSAGES
    # a crash right behind the swap goes on with the new one
    again = Run(log, _files(tmp_path), workshop=TestWorkshop("two", 0.9))
    again.drain()
    assert "swapped" not in again.notes.names()


def test_state_of_another_kind_is_not_reset_silently(tmp_path: Path) -> None:
    """State that the configuration does not fit stops the service."""
    log = _interrupted(tmp_path)
    with pytest.raises(LossError, match="cannot be gone on with"):
        Run(log, _files(tmp_path), workshop=TestWorkshop("two", fits=False)).drain()


def test_a_fresh_start_at_the_end_reads_nothing_old(tmp_path: Path) -> None:
    """With start = latest a new group begins behind what there is, and commits that place at once."""
    log = _log()
    run = Run(log, _files(tmp_path), start="latest")
    run.drain()
    assert log.contents("verdicts") == {}
    assert all(log.committed[place].offset >= MESSAGES for place in PLACES)
