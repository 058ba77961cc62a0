"""The outputs of a replay: the same to the byte however often it was interrupted or killed on the way."""

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
import pyarrow as pa

from pipeline.adapters.outputs.checkpoints import FILE, load_checkpoint, require_same_run, save_checkpoint
from pipeline.adapters.outputs.directory import (
    ANOMALIES,
    VERDICTS,
    WORKING,
    Existing,
    lock,
    remove_run,
    remove_working,
    require_use,
)
from pipeline.adapters.outputs.durable import replacing, sync, told_as_user_error
from pipeline.adapters.outputs.groups import RowGroups
from pipeline.adapters.outputs.parquet import write_verdicts
from pipeline.adapters.outputs.rows import pack_rows, unpack_rows
from pipeline.codec.anomalies import encode_anomalies
from pipeline.errors import CheckpointError
from pipeline.records import Anomaly, Checkpoint, RunIdentity, VerdictTable

GROUP_ROWS = 65_536

_PENDING = "outputs.pending"


class _Extent(msgspec.Struct, frozen=True):
    """How much of the working directory belongs to a checkpoint; it holds the rows that fill no group itself."""

    group_rows: int
    full_groups: int
    anomaly_bytes: int


class ReplayOutputs:
    """Makes `verdicts.parquet` and `anomalies.jsonl` of verdicts and anomalies; fulfils `pipeline.interfaces.Outputs`.

    While the run lasts, its row groups, anomalies and checkpoint lie in a working directory, so that the outputs proper
    are whole at any moment. What was added behind the last checkpoint is dropped when a run is resumed.

    Args:
        directory: made when absent.
        run: what is run; a checkpoint of anything else is not continued from.
        existing: what to do when `directory` holds the outputs of a run, finished or not. With 'resume', one that was
            killed before its first checkpoint starts from the beginning.
        group_rows: rows per row group of the Parquet file; a resumed run keeps its own.

    Attributes:
        resumed: the checkpoint to go on from; None for the beginning.
        working: the working directory, for what a run has to keep until it is over.

    Raises:
        ConfigError: the directory is in use, or holds a run that `existing` has no use for.
        CheckpointError: the checkpoint to resume from is damaged or of another run.
        UserError: the directory cannot be written.
    """

    def __init__(
        self, directory: Path, run: RunIdentity, *, existing: Existing = "refuse", group_rows: int = GROUP_ROWS
    ) -> None:
        self._directory = directory
        self.working = directory / WORKING
        self._published = False
        with told_as_user_error(directory), ExitStack() as undo:
            directory.mkdir(parents=True, exist_ok=True)
            undo.callback(os.close, lock(directory))
            require_use(directory, existing)
            if existing == "overwrite":
                remove_run(directory)
            self.working.mkdir(exist_ok=True)
            sync(directory)
            extent, pending = _Extent(group_rows, 0, 0), None
            self.resumed = load_checkpoint(self.working)
            if self.resumed is not None:
                require_same_run(self.working / FILE, self.resumed.run, run)
                self.resumed, extent, pending = _take_apart(self.resumed)
            self._groups = RowGroups(self.working, extent.group_rows, extent.full_groups, pending)
            self._anomalies = undo.enter_context(_open_cut(self.working / ANOMALIES, extent.anomaly_bytes))
            self._close = undo.pop_all().close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is not None and self.working.exists() and not (self.working / FILE).exists():
            remove_working(self._directory)  # there is nothing to go on from

    def close(self) -> None:
        """Let go of the directory; what was not published or checkpointed stays so."""
        with told_as_user_error(self._directory):
            self._close()

    def add(self, tables: Iterable[VerdictTable], anomalies: Iterable[Anomaly]) -> None:
        """Take what came of one micro-batch.

        Raises:
            UserError: the directory cannot be written.
        """
        with told_as_user_error(self._directory):
            for table in tables:
                self._groups.add(table)
            self._anomalies.write(encode_anomalies(anomalies))
        self._published = False

    def checkpoint(self, state: Checkpoint) -> None:
        """Make all that was added and the state that goes with it what a resumed run goes on from.

        1. The full row groups and the anomalies are made durable.
        2. So are their names.
        3. The state, with the pending rows and the extent of the outputs, is written beside the checkpoint before it.
        4. It takes that one's place. A run killed before this goes on from that one, whose outputs are all there still.

        Args:
            state: behind the last record whose outputs were added.

        Raises:
            UserError: the directory cannot be written.
        """
        with told_as_user_error(self._directory):
            # 1.
            self._groups.sync()
            self._anomalies.flush()
            sync(self.working / ANOMALIES)
            # 2.
            sync(self.working)
            # 3. and 4.
            extent = _Extent(self._groups.size, self._groups.full, self._anomalies.tell())
            save_checkpoint(self.working, _put_together(state, extent, self._groups.pending()))

    def suspend(self, state: Checkpoint) -> None:
        """Make a checkpoint, and outputs that are valid and hold everything so far.

        Raises:
            UserError: the directory cannot be written.
        """
        self.checkpoint(state)
        self.publish()

    def publish(self) -> None:
        """Make outputs, in place of any that are there, that are valid and hold everything so far.

        Raises:
            UserError: the directory cannot be written.
            CheckpointError: a row group written earlier is damaged.
        """
        with told_as_user_error(self._directory):
            partial = self.working / f"{VERDICTS}.partial"
            with replacing(self._directory / VERDICTS, partial):
                write_verdicts(partial, self._groups.contents())
            self._anomalies.flush()
            partial = self.working / f"{ANOMALIES}.partial"
            with replacing(self._directory / ANOMALIES, partial):
                shutil.copyfile(self.working / ANOMALIES, partial)
        self._published = True

    def finish(self) -> None:
        """Publish what is not published yet, and forget how to resume: the run is over.

        What is made from the outputs is best written between `publish` and this, so that a run killed in between is
        resumed and makes it again.

        Raises:
            UserError: the directory cannot be written.
        """
        if not self._published:
            self.publish()
        self.close()
        with told_as_user_error(self._directory):
            remove_working(self._directory)


def _put_together(state: Checkpoint, extent: _Extent, pending: pa.RecordBatch) -> Checkpoint:
    meta = {"state": state.meta, "outputs": msgspec.to_builtins(extent)}
    return replace(state, meta=meta, arrays={**state.arrays, _PENDING: pack_rows(pending)})


def _take_apart(whole: Checkpoint) -> tuple[Checkpoint, _Extent, pa.RecordBatch]:
    arrays = dict(whole.arrays)
    pending = unpack_rows(arrays.pop(_PENDING))
    extent = msgspec.convert(whole.meta["outputs"], _Extent)
    return replace(whole, meta=whole.meta["state"], arrays=arrays), extent, pending


def _open_cut(path: Path, length: int) -> BinaryIO:
    """The file, made when absent, without what is behind the first `length` bytes, to append to."""
    path.touch()
    found = path.stat().st_size
    if found < length:
        raise CheckpointError(f"{path}: found {found} bytes; expected at least {length}: start the replay afresh")
    os.truncate(path, length)
    return path.open("ab")
