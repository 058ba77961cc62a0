"""The sections on what a replay reads and how: [source], which messages follow too, and [replay]."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from pipeline.config.section import Section
from pipeline.config.values import Duration, Names


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
