"""What can be set, with defaults, limits and descriptions."""

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator, model_validator

from pipeline.config.quantities import format_duration, format_size, parse_duration, parse_size

DEFAULT_RISK = 1.0
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
Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]


class Section(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DetectorSection(Section):
    """What scores the points, and when it raises an alarm."""

    profile: ProfileName = Field(
        default="balanced",
        description="What a lane remembers: 'accurate', 'balanced' (at most 4 KiB) or 'dense' (at most 1.25 KiB).",
    )
    bundle: str = Field(default="shipped", description="Weights and thresholds: 'shipped', or the folder of a bundle.")
    risk: float = Field(
        default=DEFAULT_RISK,
        gt=0,
        le=10,
        description="Expected false alarms per 1,000 points of a lane; lower means fewer.",
    )


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
    margin: float = Field(default=0.5, ge=0, le=10, description="How much higher a score must be to be worse.")
    quiet: int = Field(default=30, ge=1, le=10_000, description="Points without a flag after which an episode closes.")


class SilenceSection(Section):
    """When a lane that is not heard of any more is reported."""

    intervals: float = Field(
        default=20.0, ge=0, le=1e6, description="Of its usual time between points; 0 reports no silence."
    )


class StateSection(Section):
    """Memory of the lanes."""

    budget: Size = Field(
        default=2**30,
        ge=2**12,
        description="Most memory for the state; lanes beyond it wait on disk and return as they were.",
    )


class SourceSection(Section):
    """Which columns are read; what is left out is found out from the first file."""

    time_field: str | None = Field(default=None, description="Column of event times.", examples=["timestamp"])
    value_fields: Names | None = Field(
        default=None, description="Columns of numbers.", examples=[["temperature", "pressure"]]
    )
    key_field: str | None = Field(
        default=None,
        description="Column that tells streams apart; without it each file is a stream.",
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


class Config(Section):
    """Everything that can be set."""

    detector: DetectorSection = DetectorSection()
    windows: WindowsSection = WindowsSection()
    episodes: EpisodesSection = EpisodesSection()
    silence: SilenceSection = SilenceSection()
    state: StateSection = StateSection()
    source: SourceSection = SourceSection()
    replay: ReplaySection = ReplaySection()

    def plain(self) -> dict[str, dict[str, Any]]:
        """Section, key, value, as TOML and JSON can hold them."""
        return self.model_dump(mode="json")


def config_hash(config: Config) -> str:
    """16 hex digits of the SHA-256 of everything that alters verdicts of given values by a given bundle."""
    plain = config.plain()
    decisive = {name: plain[name] for name in ("detector", "windows", "episodes", "silence")}
    del decisive["detector"]["bundle"]
    if config.windows.kind == "count":
        decisive["windows"] = {name: plain["windows"][name] for name in ("kind", "size", "hop")}
    canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
