"""The section [state]."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from pipeline.config.section import Section
from pipeline.config.values import Duration, Names, Size


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
