"""The sections that alter verdicts: [detector], [windows], [episodes] and [silence]."""

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.kinds import LSTM, DetectorKind, Options
from pipeline.config.section import Section
from pipeline.config.values import Duration, Extent, format_extent

DEFAULT_RISK = 0.7
"""Expected false alarms per 1,000 points of a lane."""
ProfileName = Literal["accurate", "balanced", "dense"]
Aggregate = Literal["last", "mean", "sum", "min", "max", "count"]


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
            found = f"size {format_extent(self.size)!r} and hop {format_extent(self.hop)!r} with kind {self.kind!r}"
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
