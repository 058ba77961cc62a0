"""Replay: recorded streams through the very engine that the live service runs."""

from pipeline.replay.loop import Progress, ReplayPlan, run_replay
from pipeline.replay.progress import ReplayResult
from pipeline.replay.timeline import Timeline

__all__ = ["Progress", "ReplayPlan", "ReplayResult", "Timeline", "run_replay"]
