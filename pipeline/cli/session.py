"""One replay from its source to its report: what `driftline replay` and `driftline demo` both run."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa

from pipeline.adapters.files import FileSource, read_labels
from pipeline.adapters.kafka.source import TopicSource
from pipeline.adapters.lanes_file import LanesFile
from pipeline.adapters.outputs import ReplayOutputs
from pipeline.adapters.report import write_report
from pipeline.cli.beginnings import notices_of, plan_beginning
from pipeline.cli.budget import AlarmBudget
from pipeline.cli.detecting import choose_detector
from pipeline.cli.feedback.places import read_named
from pipeline.cli.judging import Judged, judge_by_labels
from pipeline.cli.kernel_loading import load_kernels
from pipeline.cli.metering import served_metrics
from pipeline.cli.opening import with_bundle
from pipeline.cli.replay_parts import Parts, Request
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.sources import open_recorded
from pipeline.cli.timeline import Swaps, first_of, read_swaps
from pipeline.cli.version import driftline_version
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.replay import Progress, ReplayPlan, ReplayResult, run_replay
from pipeline.summary import summarise
from pipeline.suppression import Marker

SUMMARY = "summary.json"
REPORT = "report.html"

Observer: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Attributes:
        source: with its columns as they were found.
        summary: the values of `summary.json`.
        stopped: exit status of the signal that interrupted it; 0 for none.
        is_resumable: whether it can be gone on with.
    """

    source: FileSource | TopicSource
    summary: dict[str, Any]
    stopped: int
    is_resumable: bool


def replay_files(request: Request, config: Config, screen: Screen, *, kernels: Path) -> Replayed:
    """Replay what is asked for, and leave outputs, summary and report behind.

    Args:
        request: what to replay, and where to.
        config: how.
        screen: shows how it goes on.
        kernels: directory of the compiled kernels.

    Raises:
        UserError: anything that the user gave and that cannot be used.
    """
    pa.enable_signal_handlers(False)  # noqa: FBT003  pyarrow's signature
    source = open_recorded(request.source, config, from_us=request.from_us, to_us=request.to_us, strict=request.strict)
    labels = None if request.labels is None else read_labels(request.labels)
    swaps = _swaps_of(request, source)
    if swaps is not None:
        config = with_bundle(config, first_of(swaps))
    chosen = choose_detector(config)
    feedback = read_named(request.feedback, config, screen.note, configured=False)
    parts = Parts(request, config, source, chosen, plan_beginning(config, source, chosen, screen), swaps, feedback)
    if request.existing == "resume" and not parts.is_resumable:
        raise ConfigError(
            f"--resume: found it with the detector {config.detector.kind}; expected one whose state is saved, which "
            "models of river are not: start this replay afresh with --overwrite"
        )
    with parts.engines(Path(tempfile.gettempdir()), None) as make:
        engine = make("")
        parts.beginning.require_row(engine)
        bytes_per_lane = load_kernels(engine, screen, kernels)
    stop = StopRequest()
    marker = Marker(lambda: feedback, drop=config.feedback.suppress == "drop") if len(feedback) else None
    with ExitStack() as held:
        watch = held.enter_context(_watching(parts, screen))
        with stop:
            outputs = held.enter_context(ReplayOutputs(request.out, parts.identity, existing=request.existing))
            if outputs.resumed is None:
                for name in (SUMMARY, REPORT):
                    (request.out / name).unlink(missing_ok=True)
            lanes = parts.beginning.ready(outputs.working, config, chosen, screen, stop)
            result = _run(parts, lanes, outputs, screen, stop, watch, marker)
        judged = Judged()
        if labels is not None and result.completed:
            judged = judge_by_labels(request.out, labels, screen)
        summary = summarise(
            parts.facts(bytes_per_lane, lanes, marker), result, evaluation=judged.evaluation, labels=judged.spans
        )
        _write(request.out / SUMMARY, summary)
        if request.report:
            with screen.working("writing the report"):
                write_report(request.out)
        if result.completed:
            outputs.finish()
    if result.completed and not result.counts.consumed:
        screen.note("notice: found no records in this range of time; expected some: look at --from and --to")
    for notice in [*result.notices, *notices_of(lanes, result)]:
        screen.note(f"notice: {notice}")
    return Replayed(source, summary, 0 if result.completed else stop.status, parts.is_resumable)


def _swaps_of(request: Request, source: FileSource | TopicSource) -> Swaps | None:
    """What the log of a service tells of the topic."""
    if request.swaps is None:
        return None
    if not isinstance(source, TopicSource):
        raise ConfigError(f"--swaps: found it with {request.source}; expected a topic, kafka://host:port/topic")
    return read_swaps(request.swaps, source.topic)


@contextmanager
def _watching(parts: Parts, screen: Screen) -> Iterator[Observer]:
    """Takes progress to Prometheus, if that is asked for."""
    port = parts.request.metrics_port
    if port is None:
        yield lambda _progress: None
        return
    budget = AlarmBudget.of(parts.config, len(parts.source.fields))
    chosen = parts.chosen
    with served_metrics(port, driftline_version(), chosen.bundle, chosen.detector, budget, screen.note) as meter:
        yield meter


def _run(
    parts: Parts,
    lanes: LanesFile | None,
    outputs: ReplayOutputs,
    screen: Screen,
    stop: StopRequest,
    watch: Observer,
    marker: Marker | None,
) -> ReplayResult:
    request, replay, source = parts.request, parts.config.replay, parts.source
    plan = ReplayPlan(
        micro_batch=replay.micro_batch,
        speed=request.speed,
        checkpoint_interval_s=replay.checkpoint_interval.total_seconds() if parts.is_resumable else math.inf,
        strict=request.strict,
        expect_order=isinstance(source, FileSource),  # the live service takes a topic as it is, and so does its replay
    )
    with (
        parts.timeline(request.out, lanes) as engines,
        screen.bar("starting", "points", source.total_rows) as move,
    ):
        records_here = 0

        def observe(progress: Progress) -> None:
            nonlocal records_here
            records_here += progress.outcome.counts.consumed
            move(progress.partition, progress.records, records_here * len(source.fields))
            watch(progress)

        return run_replay(
            source.partitions,
            engines,
            outputs,
            plan,
            parts.identity,
            resume=outputs.resumed,
            clock=time.monotonic,
            sleep=time.sleep,
            stop=stop,
            observe=observe,
            marker=marker,
        )


def _write(path: Path, summary: dict[str, Any]) -> None:
    """The summary as JSON, whole or not at all."""
    partial = path.with_suffix(".json.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    partial.replace(path)
