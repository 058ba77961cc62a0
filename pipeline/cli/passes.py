"""Replays over a history that leave nothing on disk: what `driftline train` learns from and counts in."""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from pipeline.adapters.bundles import Bundle
from pipeline.adapters.files import FileSource
from pipeline.adapters.kafka.source import TopicSource
from pipeline.cli.kernel_loading import load_kernels
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.sources import open_recorded
from pipeline.cli.wiring import engine_maker, make_detector
from pipeline.config import Config, config_hash
from pipeline.engine import PartitionEngine
from pipeline.errors import InputError
from pipeline.interfaces import Outputs
from pipeline.records import RunIdentity
from pipeline.replay import Progress, ReplayPlan, run_replay


class NamedOutputs(Outputs, Protocol):
    """Outputs that are told where what they are given comes from."""

    source: str
    partition: str


class Pass:
    """Sources that can be replayed one after another, more than once; without joint lanes, which no record has.

    Args:
        sources: as `driftline replay` takes them.
        config: how they are read and scored.
        between: range of event time in microseconds, the latter exclusive; None for no bound.
        screen: shows how it goes on.
        kernels: directory of the compiled kernels.
    """

    def __init__(
        self,
        sources: Sequence[str],
        config: Config,
        between: tuple[int | None, int | None],
        screen: Screen,
        kernels: Path,
    ) -> None:
        self.config = config.model_copy(update={"detector": config.detector.model_copy(update={"joint": False})})
        self._names = sources
        self._between = between
        self._screen = screen
        self._kernels = kernels
        self._told: set[str] = set()

    def _open(self, name: str) -> FileSource | TopicSource:
        from_us, to_us = self._between
        return open_recorded(name, self.config, from_us=from_us, to_us=to_us)

    @cached_property
    def _sources(self) -> list[tuple[str, FileSource | TopicSource]]:
        opened = [(name, self._open(name)) for name in self._names]
        first_name, first = opened[0]
        for name, source in opened[1:]:
            if sorted(source.fields) != sorted(first.fields):
                raise InputError(
                    name,
                    found=f"the fields {', '.join(source.fields)}",
                    expected=f"those of {first_name}, {', '.join(first.fields)}: choose some by --value-fields",
                )
        return opened

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the values of a record.

        Raises:
            UserError: a source cannot be read, or has others than the first.
        """
        return self._sources[0][1].fields

    def run(self, bundle: Bundle, outputs: NamedOutputs) -> None:
        """Replay all sources by a bundle into `outputs`.

        Raises:
            UserError: a source or bundle cannot be used.
            KeyboardInterrupt: a signal asked to stop.
        """
        for name, source in self._sources:
            self._run(name, source, bundle, outputs)

    def _run(self, name: str, source: FileSource | TopicSource, bundle: Bundle, outputs: NamedOutputs) -> None:
        config = self.config
        detector = make_detector(config, bundle)
        outputs.source = name
        identity = RunIdentity(config_hash(config), bundle.short_id, name)
        is_file = isinstance(source, FileSource)
        plan = ReplayPlan(config.replay.micro_batch, checkpoint_interval_s=float("inf"), expect_order=is_file)
        per_message = 1 if isinstance(source, FileSource) else source.points_per_message
        stop = StopRequest()
        with (
            engine_maker(
                config, detector, bundle.short_id, name, source.fields, Path(tempfile.gettempdir()), per_message
            ) as make,
            self._screen.bar(name, "points", source.total_rows) as move,
        ):
            load_kernels(make(""), self._screen, self._kernels)
            with stop:
                result = run_replay(
                    source.partitions,
                    _naming(make, outputs),
                    outputs,
                    plan,
                    identity,
                    resume=None,
                    clock=time.monotonic,
                    sleep=time.sleep,
                    stop=stop,
                    observe=lambda progress: _move(move, progress, len(source.fields)),
                )
        if not result.completed:
            raise KeyboardInterrupt
        for notice in result.notices:
            if notice not in self._told:
                self._told.add(notice)
                self._screen.note(f"notice: {notice}")


def _naming(make: Callable[[str], PartitionEngine], outputs: NamedOutputs) -> Callable[[str], PartitionEngine]:
    """Makes engines, and tells the outputs whose verdicts come next."""

    def engine_of(partition: str) -> PartitionEngine:
        outputs.partition = partition
        return make(partition)

    return engine_of


def _move(move: Callable[[str, int, int], None], progress: Progress, fields: int) -> None:
    move(progress.partition, progress.records, progress.records * fields)
