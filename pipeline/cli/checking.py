"""The checks of `driftline check`, in the order in which the service would meet what they look at."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from detectors.thresholds import ThresholdTable
from pipeline.adapters.kafka.connection import KafkaSettings, client_options
from pipeline.adapters.kafka.topics import TopicAdmin
from pipeline.adapters.report.header import brief_risk
from pipeline.cli import check_kafka, check_risk, check_state
from pipeline.cli.check_kafka import Inputs, Told
from pipeline.cli.detecting import require_lstm
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.learning.beside import begins_with_shipped, has_torch, require_retrain
from pipeline.cli.opening import SHIPPED, open_bundle
from pipeline.cli.service_topics import require_input, topic_plan, topics_beside, topics_wanted
from pipeline.cli.timeouts import against_broker, among_themselves
from pipeline.cli.wiring import window_spec
from pipeline.cli.workshop import EngineWorkshop
from pipeline.config import Config
from pipeline.errors import DriftlineError

_MARKS = {"ok": ("OK  ", "green"), "warning": ("WARN", "yellow"), "error": ("FAIL", "bold red"), "info": ("    ", "")}


@dataclass(slots=True)
class _Checks:
    """Prints what is found, and remembers whether all of it was well."""

    console: Console
    failed: bool = False

    def tell(self, level: str, subject: str, text: str) -> None:
        """A line."""
        mark, style = _MARKS[level]
        self.console.print(Text.assemble((mark, style), "  ", f"{subject:<15}", " ", text), soft_wrap=True)
        self.failed = self.failed or level == "error"

    def run(self, subject: str, check: Callable[[], Iterator[Told]]) -> bool:
        """Whether a check went through; what it raises is told."""
        try:
            for level, text in check():
                self.tell(level, subject, text)
        except DriftlineError as exc:
            self.tell("error", subject, " ".join(str(exc).split()))
            return False
        return True


@dataclass(slots=True)
class _Found:
    """What later checks need of earlier ones."""

    inputs: Inputs = field(default_factory=Inputs)
    outputs: set[str] = field(default_factory=set)
    connection: KafkaSettings | None = None
    workshop: EngineWorkshop | None = None


def check(config: Config, console: Console) -> int:
    """Exit status: 0 when the service could start."""
    checks, found = _Checks(console), _Found()
    with tempfile.TemporaryDirectory(prefix="driftline-check-") as scratch:
        checks.run("configuration", lambda: _configuration(config, found))
        checks.run("bundle", lambda: _bundle(config, Path(scratch), found))
        if found.connection is not None:
            _with_brokers(checks, config, found.connection, found)
        elif config.state.store != "kafka":
            checks.run("state store", lambda: check_state.folder(config))
        if (workshop := found.workshop) is not None:
            checks.run("state", lambda: check_state.size(config, workshop, sum(found.inputs.partitions.values())))
    console.print("The service could start." if not checks.failed else "The service could not start.")
    return 2 if checks.failed else 0


def _with_brokers(checks: _Checks, config: Config, connection: KafkaSettings, found: _Found) -> None:
    reached = checks.run("broker", lambda: _broker(config, connection))
    inputs = found.inputs
    if reached and checks.run("topics", lambda: _topics(config, connection, found)):
        checks.run("reading", lambda: check_kafka.reading(config, connection, inputs))
        checks.run("writing", lambda: check_kafka.writing(config, connection, found.outputs))
    exists = config.state.store != "kafka" or config.state.topic in found.outputs
    if config.state.store != "kafka":
        usable = checks.run("state store", lambda: check_state.folder(config))
    else:
        usable = reached and checks.run("state store", lambda: check_state.topic(config, connection, exists=exists))
    if usable and inputs.committed and (workshop := found.workshop) is not None:
        store = check_state.open_store(config, connection) if exists else None
        checks.run("saved state", lambda: check_state.saved(config, store, workshop, inputs.committed))


def _configuration(config: Config, found: _Found) -> Iterator[Told]:
    require_lstm(config)
    require_input(config)
    require_retrain(config)
    window_spec(config)
    connection = settings_from(config.kafka)
    client_options(connection)
    found.connection = connection
    what = ", ".join(config.input.topics or ()) or f"topics like {config.input.pattern}"
    yield "ok", f"{what} as {config.input.format}, group {config.kafka.group}"
    yield from among_themselves(config)
    if config.retrain.enabled and has_torch():
        yield "ok", f"a trainer runs beside it, with {config.retrain.threads} threads of torch"
    elif config.retrain.enabled:
        yield "warning", "found no torch for the trainer; expected it here, or on the host of a trainer that runs alone"


def _bundle(config: Config, scratch: Path, found: _Found) -> Iterator[Told]:
    if begins_with_shipped(config):
        yield "info", "nothing has happened in the registry; it will begin with the shipped bundle"
        detector = config.detector.model_copy(update={"bundle": SHIPPED})
        config = config.model_copy(update={"detector": detector})
    bundle = open_bundle(config)
    found.workshop = EngineWorkshop(config, bundle, scratch)
    risk = brief_risk(config.detector.risk, config.detector.risk_per_day)
    yield "ok", f"{bundle.short_id}, profile {config.detector.profile}, risk {risk}"
    yield from check_risk.within_reach(config, ThresholdTable(**bundle.manifest.calibration[config.detector.profile]))
    if (lanes := found.workshop.lanes) is not None:
        yield "ok", f"new keys begin with {lanes.path}: {lanes.making.keys} keys of {lanes.run.source}, {lanes.id}"


def _broker(config: Config, connection: KafkaSettings) -> Iterator[Told]:
    limits = check_kafka.broker_limits(connection)
    yield "ok", f"{', '.join(connection.bootstrap)} by {connection.security}"
    if not limits:
        yield "info", "it does not tell its limits of timeouts (that takes DESCRIBE_CONFIGS on the cluster)"
    yield from against_broker(config, limits)


def _topics(config: Config, connection: KafkaSettings, found: _Found) -> Iterator[Told]:
    admin = TopicAdmin(connection)
    try:
        partitions = found.inputs.partitions
        partitions.update(admin.inputs(config.input.topics, config.input.pattern))
        for name in config.input.topics or ():
            if name not in partitions:
                yield "error", f"{name}: found no such topic; expected it to exist, it is to be read"
        for name, count in sorted(partitions.items()):
            yield "ok", f"{name}: {count} partitions to read"
        if config.input.pattern is not None and not partitions:
            yield "warning", f"no topic matches {config.input.pattern}; those made later are found"
        wanted = topics_wanted(config)
        found.outputs.update(admin.inputs([spec.name for spec in wanted], None))
        for finding in admin.ensure([*wanted, *topics_beside(config)], partitions, topic_plan(config), look_only=True):
            yield ("ok" if finding.level == "made" else finding.level), f"{finding.topic}: {finding.text}"
    finally:
        admin.close()
