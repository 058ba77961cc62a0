"""The sections on the process of the service: [service], [http] and [log]."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from pipeline.config.section import Section
from pipeline.config.values import Duration, Names, Size


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
