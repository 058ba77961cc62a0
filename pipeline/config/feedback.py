"""The section [feedback]."""

from typing import Literal

from pydantic import Field

from pipeline.config.section import Section


class FeedbackSection(Section):
    """What people say of alarms and of maintenance; none of it alters a verdict."""

    topic: str | None = Field(
        default=None,
        description="Compacted topic that it is read from, which `driftline feedback` writes; none is read without it.",
        examples=["driftline.feedback"],
    )
    suppress: Literal["mark", "drop"] = Field(
        default="mark",
        description="What becomes of events in maintenance and in false alarms: 'mark' them, or 'drop' them from the "
        "topic of anomalies.",
    )
