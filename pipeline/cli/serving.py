"""One member of the group from its configuration to its end: what `driftline serve` runs, once per worker."""

import gc
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import ProcessCollector

from pipeline.adapters.http import Health, serve_http
from pipeline.adapters.kafka.topics import Finding
from pipeline.adapters.live.view import LiveView
from pipeline.adapters.logs import LogSettings, configure_logs
from pipeline.adapters.whole_registry import WholeRegistry
from pipeline.cli.budget import AlarmBudget
from pipeline.cli.detecting import require_lstm
from pipeline.cli.feedback_watch import following_feedback
from pipeline.cli.following import following, make_guard
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.kernel_loading import process_one
from pipeline.cli.learning.beside import begin_registry, beside, require_retrain
from pipeline.cli.live_observer import LiveObserver
from pipeline.cli.live_web import make_web
from pipeline.cli.observing import ServiceObserver
from pipeline.cli.opening import followed_registry, open_bundle
from pipeline.cli.reloading import ConfigWatch, plan_of
from pipeline.cli.service_clients import instance_of, make_feed, make_store, open_outbox, quietly
from pipeline.cli.service_topics import ensure_topics, require_input
from pipeline.cli.signals import ServeSignals
from pipeline.cli.timeouts import among_themselves, require_sound
from pipeline.cli.version import driftline_version
from pipeline.cli.wiring import window_spec
from pipeline.cli.workshop import EngineWorkshop, message_format
from pipeline.config import Config, Given, environment, load_config
from pipeline.records import Place
from pipeline.service.loop import Service
from pipeline.service.observers import Observers
from pipeline.service.plan import Log, Topics

if TYPE_CHECKING:
    from pipeline.cli.learning.drifting import DriftWatch

_WARM_UP = Place("", 0)
_SWITCH_S = 1e-4
"""The kernel's thread needs the interpreter's lock to begin with a batch; by Python's default it might wait 5 ms."""
_GC_THRESHOLDS = 50_000, 10, 10
"""A poll brings some thousand tuples, none of them in a cycle; looking for cycles at every 700, as Python does by
default, takes a tenth of the loop's time."""


@dataclass(frozen=True, slots=True)
class Member:
    """How this process takes part.

    Attributes:
        config_file: watched for changes; None for none.
        options: what the command line sets, whatever the file comes to say.
        tell_port: told the port that HTTP is served at.
        port: of HTTP, instead of the one configured.
        worker: number among the workers of a supervisor; None for none.
    """

    config_file: Path | None
    options: Mapping[str, Given]
    tell_port: Callable[[int], None]
    port: int | None = None
    worker: int | None = None


def serve(config: Config, member: Member) -> int:
    """Exit status after a service that ran until it was told to stop.

    Raises:
        DriftlineError: as the parts of it raise.
    """
    require_lstm(config)
    require_input(config)
    require_sound(config)
    require_retrain(config)
    log = configure_logs(log_settings(config, member.worker), sys.stderr)
    with ExitStack() as held:
        signals = held.enter_context(ServeSignals(config.service.shutdown_timeout.total_seconds()))
        connection = settings_from(config.kafka)
        begin_registry(config, log)
        bundle = open_bundle(config)
        spills = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="driftline-")))
        bundles = held.enter_context(following(config, bundle, log, spills))
        guard = make_guard(config, bundle, bundles)
        workshop = EngineWorkshop(config, bundle, spills, bundles)
        registry = WholeRegistry()
        ProcessCollector(registry=registry)
        health = Health(limit_s=config.kafka.max_poll_interval.total_seconds())
        port = config.http.port if member.port is None else member.port
        host = config.http.host if member.worker is None else "127.0.0.1"  # a supervisor alone asks a worker
        view = LiveView(registry, health, workshop.detector.warm_up, config.http.history, worker=member.worker)
        bound, stop_http = serve_http(host, port, registry, health, make_web(config, view))
        held.callback(stop_http)
        member.tell_port(bound)
        for _, text in among_themselves(config):
            log.warning("timeouts", detail=text)
        log.info("starting", version=driftline_version(), bundle=bundle.short_id, http=f"{host}:{bound}")
        if (lanes := workshop.lanes) is not None:
            log.info("keys_begin_with", file=str(lanes.path), lanes=lanes.id, keys=lanes.making.keys)
        _compile(workshop)
        topics = ensure_topics(config, connection)
        for finding in topics.findings:
            _tell_finding(log, finding)
        instance = instance_of(config, member.worker)
        feed = make_feed(config, connection, instance)
        held.callback(quietly(feed.close))
        observer = ServiceObserver(
            registry,
            health,
            workshop.detector,
            lambda: feed.is_member,
            version=driftline_version(),
            bundle=bundle.short_id,
            guard=guard,
            log=log,
            budget=AlarmBudget.of(config, len(message_format(config).value_fields)),
            top_lanes=config.http.top_lanes,
            trained_until=workshop.trained_until_s,
            drift=_drift_watch(config, bundle.short_id, log, held),
        )
        marking = held.enter_context(following_feedback(config, connection, log, observer.feedback))
        watch = ConfigWatch(
            config,
            member.config_file,
            lambda: load_again(member),
            signals,
            log,
            observer.service.reloads,
            lambda changed: _relog(changed, member.worker),
        )
        outbox = held.enter_context(open_outbox(config, connection, feed, instance, topics.limits))
        store = make_store(config, connection, outbox)
        held.callback(store.close)
        output = config.output
        service = Service(
            feed,
            outbox,
            store,
            workshop,
            Topics(output.anomalies, output.dead_letters, output.verdicts),
            plan_of(config),
            Observers(observer, LiveObserver(view)) if config.http.live else observer,
            log,
            reload=watch,
            stop=signals.stopping,
            marking=marking,
        )
        sys.setswitchinterval(_SWITCH_S)
        gc.set_threshold(*_GC_THRESHOLDS)
        gc.freeze()  # what is there by now stays, and need not be looked through again and again
        if member.worker is None:  # else the supervisor has one for all
            held.enter_context(beside(config, member.config_file, log))
        service.run()
        log.info("stopped")
    return 0


def load_again(member: Member) -> Config:
    """The configuration as it is now, as far as it is of use.

    Raises:
        ConfigError: it is not.
    """
    config = load_config(member.config_file, member.options, environ=environment()).config
    require_lstm(config)
    require_input(config)
    require_sound(config)
    require_retrain(config)
    window_spec(config)
    return config


def _drift_watch(config: Config, bundle: str, log: Log, held: ExitStack) -> "DriftWatch | None":
    """Who tells drift; None where nobody is to."""
    url = followed_registry(config)
    if url is None or not (config.retrain.enabled and config.retrain.on_drift):
        return None
    from pipeline.cli.learning.drifting import watch_drift  # river takes a second to import

    watch, close = watch_drift(config, url, bundle, log)
    held.callback(close)
    return watch


def _compile(workshop: EngineWorkshop) -> None:
    """Have the kernels there before a partition is waiting for them."""
    process_one(workshop.make(_WARM_UP).engine)
    workshop.release(_WARM_UP)


def _tell_finding(log: Any, finding: Finding) -> None:
    if finding.level == "warning":
        log.warning("topic", place=finding.topic, detail=finding.text)
    elif finding.level == "made":
        log.info("topic_made", place=finding.topic, detail=finding.text)


def log_settings(config: Config, worker: int | None = None) -> LogSettings:
    """How the configuration wants events told."""
    return LogSettings(config.log.format, config.log.level, config.log.repeat_interval.total_seconds(), worker)


def _relog(config: Config, worker: int | None) -> None:
    configure_logs(log_settings(config, worker), sys.stderr)
