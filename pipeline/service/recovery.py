"""How a partition gets its state: the newest snapshot, and what came behind it done again without output.

1. Ask what the group has committed: an offset, and a note of where the snapshot is.
2. Read the newest complete snapshot at or before that offset, bit by bit between polls.
3. Go back to the snapshot's offset; the loop does the records up to the committed one again, and outputs nothing.
4. Where configuration or bundle have changed since, the state goes over to the new ones at the committed offset, and a
   snapshot that says so is complete before anything new is processed.

Whatever is missing is told with the exact loss, and the configured policy decides; the state is never reset silently.
"""

from collections.abc import Callable

from pipeline.errors import CheckpointError, FeedError, LossError
from pipeline.interfaces import Feed, StateStore
from pipeline.records import Checkpoint, RunIdentity
from pipeline.service.plan import Log, Observer, ServicePlan, Work, Workshop
from pipeline.service.task import Note, Status, Task

SLICE_S = 0.5
RETRY_S = 5.0
_ANYWHERE = 2**62


class Recovery:
    """Brings partitions from newly assigned to live.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self,
        feed: Feed,
        store: StateStore,
        workshop: Workshop,
        observer: Observer,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._feed = feed
        self._store = store
        self._workshop = workshop
        self._observer = observer
        self._log = log
        self._clock = clock

    def advance(self, task: Task, plan: ServicePlan) -> None:
        """Do a slice of what is left to do; not more than about half a second of it.

        Raises:
            LossError: something is gone, and the policy is to stop.
        """
        if self._clock() < task.retry_s:
            return
        try:
            if task.status is Status.ASSIGNED:
                self._ask(task)
            if task.status is Status.RESTORING and task.reader is not None and task.reader.read(SLICE_S):
                for damage in task.reader.damages():
                    self._log.error("snapshot_damaged", place=_name(task), detail=damage)
                self._begin(task, task.reader.found(), plan)
                task.reader = None
        except (CheckpointError, FeedError) as exc:
            self._log.error("restore_failed", place=_name(task), error=str(exc), retry_in_s=RETRY_S)
            task.forget_work()
            task.retry_s = self._clock() + RETRY_S

    def _ask(self, task: Task) -> None:
        task.began_s = self._clock()
        task.committed = self._feed.committed(task.place)
        task.note = Note() if task.committed is None else Note.read(task.committed.note)
        at_most = _ANYWHERE if task.committed is None else task.committed.offset
        task.reader = self._store.reader(task.place, at_most, task.note.snapshot)
        task.status = Status.RESTORING

    def _begin(self, task: Task, found: tuple[Checkpoint, int] | None, plan: ServicePlan) -> None:
        first, end = self._feed.bounds([task.place])[task.place]
        task.end = end
        if task.committed is None:
            if found is not None:
                self._tell_lost_offset(task, found[1], plan)
            self._begin_fresh(task, first if plan.start == "earliest" else end)
        else:
            task.target = task.committed.offset
            if found is not None:
                self._begin_from(task, *found, plan)
            elif task.note.begin is not None:
                self._begin_again(task, task.note.begin, plan)
            else:
                self._tell_lost_state(task, "no usable snapshot", plan)
                self._begin_fresh(task, task.target)
        self._require_records(task, first, end, plan)
        self._feed.seek(task.place, task.offset)
        self._observer.restored(task.place, self._clock() - task.began_s, task.snapshot_offset)
        status = Status.CATCHING_UP if task.offset < task.target else Status.LIVE
        self._log.info(
            "restored", place=_name(task), offset=task.offset, committed=task.target, status=status.value,
            seconds=round(self._clock() - task.began_s, 3),
        )  # fmt: skip
        task.snapshot_s = self._clock()
        if task.offset >= task.target:
            self.arrive(task, plan)
        else:
            task.status = Status.CATCHING_UP

    def _begin_fresh(self, task: Task, offset: int) -> None:
        self._begin_with(task, self._workshop.make(task.place), offset)

    def _begin_again(self, task: Task, offset: int, plan: ServicePlan) -> None:
        """Do everything again from where fresh lanes began, with the bundle and the past that they began with."""
        current, note = self._workshop.identity(task.place), task.note
        work: Work | None
        if note.past != current.past:
            missing, work = f"fresh lanes that began at {offset} with {_past(note)}", None
        elif note.bundle in {"", current.bundle}:
            missing, work = "", self._workshop.make(task.place)
        else:
            missing = f"the bundle {note.bundle} that it began with is gone"
            work = self._workshop.make_under(task.place, note.bundle)
        if work is None:
            self._tell_lost_state(task, f"no snapshot, and {missing}", plan)
            self._begin_fresh(task, task.target)
            return
        self._begin_with(task, work, offset)

    def _begin_with(self, task: Task, work: Work, offset: int) -> None:
        task.begin(work, None)
        task.forget_events()
        task.offset = offset
        task.target = max(task.target, offset)
        task.note = Note(begin=offset, bundle=work.identity.bundle, past=work.identity.past)

    def _begin_from(self, task: Task, state: Checkpoint, offset: int, plan: ServicePlan) -> None:
        same = state.run == self._workshop.identity(task.place)
        work: Work | None
        if same:
            work = self._workshop.make(task.place)
        else:
            work = self._workshop.make_for(task.place, state, redo=offset < task.target)
        if work is None:
            run = state.run
            self._tell_lost_state(
                task,
                f"a snapshot at offset {offset} of configuration {run.config_hash}, bundle {run.bundle} and keys that "
                f"begin with {_past(run)}, which cannot be gone on with",
                plan,
            )
            self._begin_fresh(task, task.target)
            return
        task.load(work, state)
        task.offset = task.snapshot_offset = offset

    def arrive(self, task: Task, plan: ServicePlan) -> bool:
        """Whether processing may go on where the committed offset is reached, from where on everything is new.

        Not if configuration or bundle have changed: then a snapshot that says so comes first.
        """
        task.offset = max(task.offset, task.target)
        task.status = Status.LIVE
        if task.work is None or task.work.identity == self._workshop.identity(task.place):
            return True
        before = task.work.identity
        changed = self._workshop.carry(task.place, task.work)
        if changed is None:
            self._tell_lost_state(
                task,
                f"the state of configuration {before.config_hash} and bundle {before.bundle}, whose lanes do not fit",
                plan,
            )
            self._begin_fresh(task, task.offset)
            changed = task.work
        else:
            task.begin(changed, None if task.decoder is None else task.decoder.unit)
        self._observer.swapped(task.place, before, changed.identity)
        self._log.warning(
            "swapped", place=_name(task), offset=task.offset,
            configuration=[before.config_hash, changed.identity.config_hash],
            bundle=[before.bundle, changed.identity.bundle],
            keys_begin_with=[_past(before), _past(changed.identity)],
        )  # fmt: skip
        task.status = Status.SWAPPING
        task.writer = None  # a snapshot that is still being written is of the state before
        return False

    def skip_expired(self, task: Task, plan: ServicePlan) -> None:
        """Go on behind records that were deleted before they were read, or stop there, as the policy says.

        Raises:
            LossError: the policy is to stop.
        """
        first, end = self._feed.bounds([task.place])[task.place]
        self._require_records(task, first, end, plan)
        self._feed.seek(task.place, task.offset)

    def _require_records(self, task: Task, first: int, end: int, plan: ServicePlan) -> None:
        if first <= task.offset <= end:
            return
        if task.offset > end:
            lost, told = (
                0,
                f"found the log ending at {end}, not reaching {task.offset}: was the topic made anew?",
            )
        else:
            lost = first - task.offset
            told = f"found {lost} records deleted unread (offsets {task.offset} to {first - 1})"
        place = _name(task)
        if plan.on_expired == "stop":
            raise LossError(f'{place}: {told}; to go on without them, set on_expired = "continue" in [input]')
        self._log.error("records_lost", place=place, records=lost, detail=told)
        self._observer.lost(task.place, lost)
        task.offset = min(max(task.offset, first), end)
        if task.offset < task.target and task.target > end:
            task.target = task.offset

    def _tell_lost_state(self, task: Task, found: str, plan: ServicePlan) -> None:
        offset = max(task.offset, task.target)
        told = f"{_name(task)}: found {found} for the committed offset {offset}; expected the state there"
        if plan.on_missing == "stop":
            raise LossError(f'{told}; to start its lanes anew at this offset, set on_missing = "fresh" in [state]')
        self._log.error("state_lost", place=_name(task), detail=f"{told}; its lanes start anew")

    def _tell_lost_offset(self, task: Task, offset: int, plan: ServicePlan) -> None:
        told = f"{_name(task)}: found a snapshot at offset {offset}, but no offset committed by the group"
        if plan.on_missing == "stop":
            raise LossError(
                f"{told}; expected both: to go on from the snapshot, reset the group's offset to {offset}; to start "
                'anew, set on_missing = "fresh" in [state]'
            )
        self._log.error("offset_lost", place=_name(task), detail=f"{told}; its lanes start anew")


def _past(of: Note | RunIdentity) -> str:
    return of.past or "nothing"


def _name(task: Task) -> str:
    return f"{task.place.topic}/{task.place.partition}"
