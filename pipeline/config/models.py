"""What can be set, with defaults, limits and descriptions."""

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    model_validator,
)

from pipeline.config.feedback import FeedbackSection
from pipeline.config.kinds import LSTM, DetectorKind, Options
from pipeline.config.quantities import format_duration, format_size, parse_duration, parse_size
from pipeline.config.section import Section

DEFAULT_RISK = 0.7
"""Expected false alarms per 1,000 points of a lane."""
ProfileName = Literal["accurate", "balanced", "dense"]
Aggregate = Literal["last", "mean", "sum", "min", "max", "count"]


def _parse_extent(value: object) -> int | timedelta:
    """A number of points, or a duration."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    try:
        return parse_duration(value)
    except ValueError as exc:
        raise ValueError(f"found {value!r}; expected a whole number of points or a duration such as '5min'") from exc


def _parse_held_out(value: object) -> float | timedelta:
    """A share of the records, in percent as people write it, or a duration."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else value
        found = share if isinstance(share, float) else parse_duration(value)
    except ValueError as exc:
        raise ValueError(f"found {value!r}; expected a share such as '20%' or a duration such as '7d'") from exc
    if not (0 < found < 1 if isinstance(found, float) else found > timedelta()):
        raise ValueError(f"found {value!r}; expected more than nothing, and less than all")
    return found


def _format_held_out(value: float | timedelta) -> str:
    return format_duration(value) if isinstance(value, timedelta) else f"{100 * value:g}%"


def _split_names(value: object) -> object:
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not names or (isinstance(names, list) and "" in names):
        raise ValueError(f"found {value!r}; expected names of columns, separated by commas")
    return names


def _format_extent(value: int | timedelta) -> int | str:
    return format_duration(value) if isinstance(value, timedelta) else value


Duration = Annotated[timedelta, PlainValidator(parse_duration), PlainSerializer(format_duration)]
Size = Annotated[int, PlainValidator(parse_size), PlainSerializer(format_size)]
Extent = Annotated[int | timedelta, PlainValidator(_parse_extent), PlainSerializer(_format_extent)]
HeldOut = Annotated[float | timedelta, PlainValidator(_parse_held_out), PlainSerializer(_format_held_out)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]


class DetectorSection(Section):
    """What scores the points, and when it raises an alarm."""

    kind: DetectorKind = Field(
        default=LSTM,
        description="'lstm'; or to compare with, in a replay: 'windowed-gaussian', 'persistence', or the class path of "
        "an anomaly detector of river, such as 'river.anomaly.HalfSpaceTrees'.",
    )
    options: Options = Field(
        default={},
        description="Hyper-parameters of a kind other than 'lstm', by name, such as n_trees of river's HalfSpaceTrees.",
    )
    profile: ProfileName = Field(
        default="balanced",
        description="What a lane remembers: 'accurate', 'balanced' (at most 4 KiB) or 'dense' (at most 1.25 KiB).",
    )
    bundle: str = Field(
        default="shipped",
        description="Weights and thresholds: 'shipped', the folder of a bundle, 'champion' of the registry, '#ID' for "
        "another one there, or 'URL#ID' for one of another registry.",
    )
    risk: float | None = Field(
        default=DEFAULT_RISK,
        gt=0,
        le=10,
        description="Expected false alarms per 1,000 points of a lane; lower means fewer.",
    )
    risk_per_day: float | None = Field(
        default=None,
        gt=0,
        description="Instead of 'risk': expected false alarms per lane and day, by each lane's sampling interval.",
        examples=[0.3],
    )
    joint: bool = Field(
        default=True,
        description="Whether the fields of a key, where it has several, are judged together as well, as field '*'.",
    )

    @model_validator(mode="before")
    @classmethod
    def _has_one_risk(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        risk, risk_per_day = given.get("risk"), given.get("risk_per_day")
        if risk is not None and risk_per_day is not None:
            raise ValueError(
                f"found risk = {risk} and risk_per_day = {risk_per_day}; expected one of them: false alarms per 1,000 "
                "points, or per lane and day"
            )
        return given if risk_per_day is None else {**given, "risk": None}

    @model_validator(mode="after")
    def _has_options(self) -> Self:
        if self.kind == LSTM and self.options:
            raise ValueError(
                f"found the options {', '.join(self.options)} for the detector {LSTM!r}; expected none: it is set by "
                "profile, bundle and risk"
            )
        return self


class WindowsSection(Section):
    """Which points the network takes: as they come (count), or put together by event time (time)."""

    kind: Literal["count", "time"] = Field(default="count", description="'count' (of points) or 'time' (event time).")
    size: Extent = Field(
        default=40, description="Length of a window: points, or with kind 'time' a duration such as '1h'."
    )
    hop: Extent = Field(
        default=1, description="How far a window slides: points, or with kind 'time' a duration such as '5min'."
    )
    allowed_lateness: Duration = Field(
        default=timedelta(), description="With kind 'time': how late a record may be and still count, at most 127 hops."
    )
    aggregate: Aggregate = Field(
        default="mean",
        description="With kind 'time', what the points of a hop become: last, mean, sum, min, max or count.",
    )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        unit, expected = {
            "count": (int, "two whole numbers of points"),
            "time": (timedelta, "two durations such as '1h' and '5min'"),
        }[self.kind]
        if not (isinstance(self.size, unit) and isinstance(self.hop, unit)):
            found = f"size {_format_extent(self.size)!r} and hop {_format_extent(self.hop)!r} with kind {self.kind!r}"
            raise ValueError(f"found {found}; expected {expected}")  # noqa: TRY004  pydantic asks for it
        return self


class EpisodesSection(Section):
    """How flagged points become episodes, each reported once."""

    warm_up: int = Field(default=150, ge=50, le=100_000, description="Points before a lane may be flagged.")
    rest: int = Field(
        default=120, ge=0, le=30_000, description="Points after an alarm in which only a worse one is reported."
    )
    margin: float = Field(default=0.3, ge=0, le=10, description="How much higher a score must be to be worse.")
    quiet: int = Field(default=30, ge=1, le=10_000, description="Points without a flag after which an episode closes.")


class SilenceSection(Section):
    """When a lane that is not heard of any more is reported."""

    intervals: float = Field(
        default=20.0, ge=0, le=1e6, description="Of its usual time between points; 0 reports no silence."
    )


class StateSection(Section):
    """Memory of the lanes, and with `driftline serve` where it is kept safe."""

    budget: Size = Field(
        default=2**30,
        ge=2**12,
        description="Most memory for the state of a partition; lanes beyond it wait on disk and return as they were.",
    )
    store: str = Field(
        default="kafka",
        description="Where snapshots are kept: 'kafka' (a compacted topic), or the URL of a folder, such as "
        "'file:///var/lib/driftline' or 's3://bucket/driftline'.",
    )
    topic: str = Field(default="driftline.state", description="The compacted topic, with the store 'kafka'.")
    snapshot_interval: Duration = Field(
        default=timedelta(minutes=1), description="Time between snapshots; after a crash, what came since is redone."
    )
    warm_from: Names | None = Field(
        default=None,
        description="What streams begin with when they are first met: a file of lanes that `driftline warm` has made; "
        "in a replay histories too.",
        examples=[["fleet.lanes"]],
    )
    on_missing: Literal["stop", "fresh"] = Field(
        default="stop",
        description="When the state behind the committed offset cannot be had: 'stop', or start its lanes 'fresh'.",
    )


class ModelsSection(Section):
    """The registry of bundles, which `driftline models` manages."""

    registry: str = Field(
        default="driftline-models",
        min_length=1,
        description="Its folder, or the URL of one, such as 'file:///var/lib/driftline/models' or "
        "'s3://bucket/models'.",
    )
    check_interval: Duration = Field(
        default=timedelta(seconds=10),
        gt=timedelta(0),
        description="How often the service looks for a newer champion, where the bundle is 'champion'.",
    )
    rollback: bool = Field(
        default=True,
        description="Whether the service goes back from a newer champion that turns out worse, and holds promotion.",
    )


class GateSection(Section):
    """When a bundle passes `driftline gate`, which judges it against the champion on a held-out slice of a history."""

    held_out: HeldOut = Field(
        default=0.2,
        description="The newest part of the history, which both are judged on: a share of its records such as '20%', "
        "or a duration such as '7d'.",
    )
    margin: float = Field(
        default=0.01,
        ge=0,
        le=10,
        description="How much better its forecasts have to be, in nats per point; 0.01 is about one per cent in "
        "accuracy.",
    )
    coverage_tolerance: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="How much farther than the champion's the coverage of its 95 % band may be from 0.95.",
    )
    recall_tolerance: float = Field(
        default=0.05, ge=0, le=1, description="How much smaller a share of labelled anomalies it may find."
    )


class RetrainSection(Section):
    """When and how the champion is trained anew: by `driftline train --follow`, which `driftline serve` starts."""

    enabled: bool = Field(
        default=False,
        description="Whether `driftline serve` runs a trainer beside it; needs 'champion' as detector.bundle, and the "
        "extra 'train'.",
    )
    interval: Duration | None = Field(
        default=None,
        gt=timedelta(0),
        description="Event time between trainings, whatever the drift; none by time alone where left out.",
        examples=["7d"],
    )
    on_drift: bool = Field(default=True, description="Whether the service tells drift, and a training answers it.")
    least_interval: Duration = Field(
        default=timedelta(days=1),
        gt=timedelta(0),
        description="Event time between two trainings at the least, but for those that are requested; a 48th of it is "
        "what residuals are averaged over to tell drift.",
    )
    history: Duration = Field(
        default=timedelta(days=30),
        gt=timedelta(0),
        description="How far back a training reads, by event time; the newest part, gate.held_out, is for the gate.",
    )
    promote: Literal["gate", "never"] = Field(
        default="gate",
        description="What passes the gate is promoted ('gate'), or put into the registry with its report ('never').",
    )
    time_limit: Duration = Field(
        default=timedelta(minutes=30),
        gt=timedelta(0),
        description="Most time for fitting the network; reading the history and judging come on top.",
    )
    steps: int = Field(default=1500, ge=1, description="Most optimiser steps of a training.")
    threads: int = Field(default=1, ge=1, le=256, description="Threads of torch.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="'auto' (CUDA if any), 'cpu' or 'cuda'.")
    most_points: int = Field(
        default=2_000_000, ge=1, description="Points learned from at most, the newest of each key; decides the memory."
    )
    check_interval: Duration = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        description="How often the trainer looks whether a training is due.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port at http.host at which the trainer shows /metrics; 0 for any, none where left out.",
        examples=[9465],
    )


class SourceSection(Section):
    """Which columns of files, or fields of messages ('metrics.cpu' leads into an object), are read."""

    time_field: str | None = Field(
        default=None,
        description="Column of event times; where left out, found out from the first file; in messages, the record's.",
        examples=["timestamp"],
    )
    value_fields: Names | None = Field(
        default=None,
        description="Columns of numbers; where left out, found out from the first file; in messages, 'value'.",
        examples=[["temperature", "pressure"]],
    )
    key_field: str | None = Field(
        default=None,
        description="Column that tells streams apart; without it each file is a stream, and in messages the record's "
        "own key names it.",
        examples=["host"],
    )
    time_unit: Literal["auto", "iso", "s", "ms", "us", "ns"] = Field(
        default="auto",
        description="How times are written: auto, iso, or a number of s, ms, us or ns since 1970-01-01 UTC.",
    )


class ReplaySection(Section):
    """How a replay goes about it; none of this alters a verdict."""

    micro_batch: int = Field(default=10_000, ge=1, le=10_000_000, description="Records taken at a time.")
    checkpoint_interval: Duration = Field(
        default=timedelta(seconds=30), description="Time between the checkpoints that a killed replay is resumed from."
    )


class KafkaSection(Section):
    """How Kafka is reached. Secrets are best given by environment or by file; they are never printed."""

    bootstrap: Names = Field(
        default=("localhost:9092",), description="Brokers to begin with, as host:port, separated by commas."
    )
    group: str = Field(default="driftline", min_length=1, description="Consumer group; its members share the work.")
    instance: str | None = Field(
        default=None,
        description="Name of this member, the same after a restart (static membership): no rebalance when it is back "
        "within the session timeout.",
        examples=["driftline-0"],
    )
    client: str = Field(default="driftline", description="Name by which brokers log this client.")
    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        default="plaintext", description="How connections are protected: plaintext, ssl, sasl_plaintext or sasl_ssl."
    )
    ca_file: str | None = Field(default=None, description="Certificates to trust, PEM.", examples=["/etc/kafka/ca.pem"])
    cert_file: str | None = Field(
        default=None, description="Certificate of this client, PEM.", examples=["/etc/kafka/client.pem"]
    )
    key_file: str | None = Field(default=None, description="Its key, PEM.", examples=["/etc/kafka/client.key"])
    key_password: SecretStr | None = Field(default=None, description="Password of that key.", examples=["..."])
    key_password_file: str | None = Field(
        default=None, description="File that holds it.", examples=["/run/secrets/kafka-key-password"]
    )
    check_hostname: bool = Field(default=True, description="Whether a broker's certificate must bear its host's name.")
    sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER", "AWS_MSK_IAM"] | None
    ) = Field(
        default=None,
        description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI, OAUTHBEARER or AWS_MSK_IAM.",
        examples=["SCRAM-SHA-512"],
    )
    username: str | None = Field(default=None, description="For PLAIN and SCRAM.", examples=["driftline"])
    password: SecretStr | None = Field(default=None, description="For PLAIN and SCRAM.", examples=["..."])
    password_file: str | None = Field(
        default=None, description="File that holds it.", examples=["/run/secrets/kafka-password"]
    )
    kerberos_service: str = Field(default="kafka", description="For GSSAPI: the brokers' service.")
    kerberos_domain: str | None = Field(
        default=None,
        description="For GSSAPI: host in the brokers' principal, where it is not that of the address.",
        examples=["kafka.example.com"],
    )
    token_file: str | None = Field(
        default=None,
        description="For OAUTHBEARER: file with the token, read anew for every connection.",
        examples=["/run/secrets/kafka-token"],
    )
    session_timeout: Duration = Field(
        default=timedelta(seconds=45), description="Silence after which a member is taken for dead."
    )
    max_poll_interval: Duration = Field(
        default=timedelta(minutes=5), description="Time without a poll after which a member is taken for stuck."
    )
    transaction_timeout: Duration = Field(
        default=timedelta(seconds=15),
        description="Age at which the broker ends a transaction whose member has died; must be several times the "
        "commit interval.",
    )
    fetch_bytes: Size = Field(default=2**24, ge=2**16, description="Most bytes fetched at once from a broker.")
    partition_fetch_bytes: Size = Field(
        default=2**20, ge=2**14, description="Most bytes fetched at once from a partition."
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        default="lz4", description="Of what is written: none, gzip, snappy, lz4 or zstd."
    )


class InputSection(Section):
    """Which records `driftline serve` takes."""

    topics: Names | None = Field(default=None, description="Topics to read.", examples=[["metrics"]])
    pattern: str | None = Field(
        default=None,
        description="Instead: a regular expression that the names of topics to read match.",
        examples=["metrics[.].*"],
    )
    format: Literal["json", "json-array", "json-lines", "arrow"] = Field(
        default="json",
        description="Of a message: 'json' (an object, which is a point in time), or many of them: 'json-array', "
        "'json-lines', 'arrow' (IPC stream of record batches).",
    )
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where a partition is begun that the group has no offset for."
    )
    on_expired: Literal["stop", "continue"] = Field(
        default="stop",
        description="When records behind the committed offset were deleted before they were read: 'stop', or "
        "'continue' with the oldest that there is; either way it is told how many are lost.",
    )
    max_message: Size = Field(
        default=2**24, ge=2**10, description="Longer messages are not decoded but sent to the dead letters."
    )


class OutputSection(Section):
    """Topics that `driftline serve` writes. Partition n of an input topic goes to partition n of these."""

    anomalies: str = Field(default="driftline.anomalies", description="Topic of anomalies.")
    verdicts: str | None = Field(
        default=None, description="Topic of all verdicts; none are written without it.", examples=["driftline.verdicts"]
    )
    dead_letters: str = Field(default="driftline.dead-letters", description="Topic of records that cannot be used.")
    create: bool = Field(default=False, description="Whether topics that are missing are created.")
    replication: int | None = Field(
        default=None,
        ge=1,
        le=9,
        description="Copies of topics created; the broker's default where left out.",
        examples=[3],
    )
    retention: Duration = Field(
        default=timedelta(days=30), description="How long topics created keep what is in them; the state is kept."
    )


class ServiceSection(Section):
    """How `driftline serve` goes about it; none of this alters a verdict."""

    micro_batch: int = Field(default=5_000, ge=1, le=1_000_000, description="Messages taken at a time, at most.")
    commit_interval: Duration = Field(
        default=timedelta(seconds=1), description="Time between commits: outputs are seen by readers so late."
    )
    shutdown_timeout: Duration = Field(
        default=timedelta(seconds=30), description="Most time for commit and snapshots when told to stop."
    )
    stall_timeout: Duration = Field(
        default=timedelta(minutes=2),
        description="Time of growing lag without progress after which the process ends itself, to be started again.",
    )


class HttpSection(Section):
    """Where `driftline serve` shows the live page, its API, /metrics, /healthz and /readyz."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(default=9464, ge=0, le=65535, description="Port to listen on; 0 for any.")
    live: bool = Field(default=True, description="Whether the live page and the API are there.")
    hosts: Names | None = Field(
        default=None,
        description="Names by which it may be asked besides localhost and addresses. On loopback there are no others; "
        "elsewhere any is good, until some are listed.",
        examples=[["driftline.example.com"]],
    )
    history: Size = Field(
        default=2**26, description="Memory of each process for recent points that the page shows; 0 for none."
    )
    top_lanes: int = Field(
        default=0,
        ge=0,
        le=100,
        description="So many lanes, those with the most alarms, are shown by name in the metrics of each process.",
    )


class LogSection(Section):
    """What `driftline serve` tells on standard error."""

    format: Literal["auto", "human", "json"] = Field(
        default="auto", description="'human' or 'json'; 'auto' is human on a terminal, JSON otherwise."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe events told: debug, info, warning or error."
    )
    repeat_interval: Duration = Field(
        default=timedelta(seconds=10),
        description="An event of one kind is told so often at most; the others are counted.",
    )


class Config(Section):
    """Everything that can be set."""

    detector: DetectorSection = DetectorSection()
    windows: WindowsSection = WindowsSection()
    episodes: EpisodesSection = EpisodesSection()
    silence: SilenceSection = SilenceSection()
    state: StateSection = StateSection()
    models: ModelsSection = ModelsSection()
    gate: GateSection = GateSection()
    retrain: RetrainSection = RetrainSection()
    source: SourceSection = SourceSection()
    replay: ReplaySection = ReplaySection()
    kafka: KafkaSection = KafkaSection()
    input: InputSection = InputSection()
    output: OutputSection = OutputSection()
    feedback: FeedbackSection = FeedbackSection()
    service: ServiceSection = ServiceSection()
    http: HttpSection = HttpSection()
    log: LogSection = LogSection()

    def plain(self) -> dict[str, dict[str, Any]]:
        """Section, key, value, as TOML and JSON can hold them."""
        return self.model_dump(mode="json")


DECISIVE = ("detector", "windows", "episodes", "silence")
"""Sections that alter verdicts, but for the name of the bundle."""


def config_hash(config: Config) -> str:
    """16 hex digits of the SHA-256 of everything that alters verdicts of given values by a given bundle."""
    plain = config.plain()
    decisive = {name: plain[name] for name in DECISIVE}
    del decisive["detector"]["bundle"]
    # what does not bear on a kind of detector is left out; the hash of the LSTM is the one from before there were kinds
    for name in ("kind", "options") if config.detector.kind == LSTM else ("profile", "joint"):
        del decisive["detector"][name]
    for name in ("risk", "risk_per_day"):
        if decisive["detector"][name] is None:
            del decisive["detector"][name]
    if config.windows.kind == "count":
        decisive["windows"] = {name: plain["windows"][name] for name in ("kind", "size", "hop")}
    canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
