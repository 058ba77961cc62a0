"""From the names of two bundles and a history to the decision."""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from detectors.thresholds import RISK_POINTS
from pipeline.adapters.bundles import Bundle
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.files import read_labels
from pipeline.cli.detecting import require_lstm
from pipeline.cli.feedback.places import read_named
from pipeline.cli.following import require_usable
from pipeline.cli.gate.known import known_anomalies
from pipeline.cli.histories import History, open_history
from pipeline.cli.kernel_loading import load_kernels
from pipeline.cli.opening import CHAMPION, SHIPPED, open_bundle
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.version import driftline_version
from pipeline.cli.wiring import engine_maker, make_detector, require_fields
from pipeline.config import Config, config_hash
from pipeline.episodes import iso_time
from pipeline.errors import ConfigError, InputError, StoppedError
from pipeline.feedback import Ranges
from pipeline.gate.decision import Rule
from pipeline.gate.describing import Subject, describe
from pipeline.gate.extent import Extent, measure_extent
from pipeline.gate.tally import Tally
from pipeline.gate.trial import Trial, run_trial
from pipeline.records import Batch

Labels = dict[str, list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be judged.

    Attributes:
        challenger, champion: names of bundles; None for the champion of the registry, or else the shipped one.
        sources: the history, as the user named it.
        from_us, to_us: range of event time, the latter exclusive; None for no bound.
        labels: file of known anomalies.
        promote: whether it is to replace the champion.
        feedback: file, kafka://host:port/topic, or 'none'; None for what is configured.
    """

    challenger: str
    champion: str | None
    sources: Sequence[str]
    from_us: int | None
    to_us: int | None
    labels: Path | None
    promote: bool
    feedback: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A challenger that was judged.

    Attributes:
        challenger: the bundle.
        in_service: id of the registry's champion when the judging began; '' for none.
        described: the decision and all figures.
    """

    challenger: Bundle
    in_service: str
    described: dict[str, Any]


def judge(request: Request, config: Config, screen: Screen, *, kernels: Path) -> Judged:
    """Put both bundles through the history, and decide.

    Raises:
        UserError: a bundle, history or registry that cannot be used.
        StoppedError: it was stopped on the way.
    """
    pa.enable_signal_handlers(False)  # noqa: FBT003  pyarrow's signature
    require_lstm(config)
    registry = RegistryView(config.models.registry)
    in_service = registry.champion() or ""
    champion_name = request.champion or (CHAMPION if in_service else SHIPPED)
    champion, challenger = (_open(config, name) for name in (champion_name, request.challenger))
    if request.promote and in_service and champion.manifest.id != in_service:
        raise ConfigError(
            f"--champion {champion_name}: found bundle {champion.short_id} with --promote; expected {in_service[:16]}, "
            "the champion of the registry, which it would replace: leave out --champion, or --promote"
        )
    require_usable(config, champion, challenger)
    if request.champion is None and not in_service:
        screen.note(f"notice: found no champion in {registry.shown}; judged against the shipped bundle")
    history = open_history(
        request.sources, config, screen, from_us=request.from_us, end_us=request.to_us, option="HISTORY"
    )
    for bundle in (champion, challenger):
        require_fields(bundle, history.fields)
    labels = None if request.labels is None else read_labels(request.labels)
    feedback = read_named(request.feedback, config, screen.note)
    stop = StopRequest()
    with stop:
        extent, spans = _survey(history, labels, feedback, screen, stop)
        tally = Tally(extent.begin_of(config.gate.held_out), extent.last_us, spans, feedback)
        screen.step(f"judging on what is from {iso_time(tally.start_us)} to {iso_time(tally.end_us)}")
        trial = _run(history, (champion, challenger), config, extent, tally, screen, stop, kernels)
    return Judged(
        challenger,
        in_service,
        describe(
            trial,
            _rule(config),
            (_subject(champion, champion_name), _subject(challenger, request.challenger)),
            extent,
            {"source": history.told, "digest": history.digest, "fields": list(history.fields)},
            _settings(config),
        ),
    )


def _open(config: Config, name: str) -> Bundle:
    return open_bundle(config.model_copy(update={"detector": config.detector.model_copy(update={"bundle": name})}))


def _survey(
    history: History, labels: Labels | None, feedback: Ranges, screen: Screen, stop: StopRequest
) -> tuple[Extent, Labels | None]:
    """How far the history reaches, and when its streams are known to have been anomalous."""
    keys: set[str] = set()
    read = 0
    with screen.bar("reading the history", "points", history.total_rows) as move:

        def observe(batch: Batch) -> None:
            nonlocal read
            read += len(batch)
            if labels is not None or len(feedback):
                keys.update(batch.key_names)
            move("reading the history", read, read * len(history.fields))

        extent = measure_extent(history.partitions, history.end_us, observe, stop)
    _require_going_on(stop)
    if extent is None:
        raise InputError(history.told, found="no records that can be used", expected="some: look at --from and --to")
    return extent, known_anomalies(history.told, labels, feedback, keys, extent.last_us, screen.note)


def _run(
    history: History,
    bundles: tuple[Bundle, Bundle],
    config: Config,
    extent: Extent,
    tally: Tally,
    screen: Screen,
    stop: StopRequest,
    kernels: Path,
) -> Trial:
    scratch = Path(tempfile.gettempdir())
    champion, challenger = bundles
    within = int((extent.times >= tally.start_us).mean() * history.total_rows)
    with ExitStack() as held:
        # one before the slice, two within
        makers = [
            held.enter_context(
                engine_maker(
                    config, make_detector(config, bundle), bundle.short_id, history.name, history.fields, scratch
                )
            )
            for bundle in (champion, champion, challenger)
        ]
        for make in makers[1:]:
            load_kernels(make(""), screen, kernels)
        before, *contenders = (partial(make, "history") for make in makers)
        move = held.enter_context(screen.bar("champion", "points", history.total_rows + within))
        taken = 0

        def observe(records: int) -> None:
            nonlocal taken
            taken += records
            told = "champion" if taken < history.total_rows - within else "champion and challenger"
            move(told, taken, taken * len(history.fields))

        trial = run_trial(
            history.partitions,
            before,
            (contenders[0], contenders[1]),
            tally,
            told=history.told,
            end_us=history.end_us,
            micro_batch=config.replay.micro_batch,
            clock=time.perf_counter,
            observe=observe,
            stop=stop,
        )
    _require_going_on(stop)
    if trial is None:
        raise TypeError("found no trial that was not stopped; expected one")
    return trial


def _require_going_on(stop: StopRequest) -> None:
    if stop():
        raise StoppedError("stopped on the way through the history; nothing was decided", stop.status)


def _rule(config: Config) -> Rule:
    gate = config.gate
    risk, per_day = config.detector.risk or 0.0, config.detector.risk_per_day or 0.0
    return Rule(gate.margin, gate.coverage_tolerance, gate.recall_tolerance, risk / RISK_POINTS, per_day)


def _settings(config: Config) -> dict[str, Any]:
    plain = config.plain()
    return {
        "driftline": driftline_version(),
        "config_hash": config_hash(config),
        "profile": config.detector.profile,
        "risk": config.detector.risk,
        "risk_per_day": config.detector.risk_per_day,
        "windows": plain["windows"],
        "held_out": plain["gate"]["held_out"],
    }


def _subject(bundle: Bundle, named: str) -> Subject:
    return Subject(bundle.manifest.id, named, bundle.manifest.lineage.created_by, bundle.manifest.lineage.parent)
