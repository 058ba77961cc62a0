"""Getting the compiled kernels ready, with word to the user where that takes long."""

from pathlib import Path

import numpy as np

from pipeline.cli.screen import Screen
from pipeline.engine import PartitionEngine
from pipeline.records import Batch


def load_kernels(engine: PartitionEngine, screen: Screen, kernels: Path) -> int:
    """Have an engine that is not used otherwise process a record, so that the kernels are there; gives bytes per lane.

    What is wrong with the configuration of the engine shows by making it, before any output is made.
    """
    text = "loading the scoring kernel"
    if not any(kernels.rglob("*.nbi")):
        text = "compiling the scoring kernel, once per machine (about half a minute)"
        screen.step(text)
    with screen.working(text):
        process_one(engine)
    return engine.lanes.bytes_per_lane


def process_one(engine: PartitionEngine) -> None:
    """Have an engine that is not used otherwise process a record, so that its kernels are there."""
    one, fields = np.ones(1, np.int64), len(engine.fields)
    engine.process(Batch(["a"], np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros((1, fields)), one))
