"""The sections on bundles and how they come to be: [models], [gate] and [retrain]."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from pipeline.config.section import Section
from pipeline.config.values import Duration, HeldOut


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
    folder: str | None = Field(
        default=None,
        min_length=1,
        description="Local folder in which a training is kept at each validation, for it to go on after a restart; "
        "where left out, driftline/trainings in the user's cache (XDG_CACHE_HOME).",
        examples=["/var/lib/driftline/trainings"],
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
