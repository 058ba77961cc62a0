"""Passes the made-up stream to the outputs in a directory, from where they are; a process to be killed on the way."""

import sys
from pathlib import Path

from pipeline.adapters.outputs import ReplayOutputs
from tests.pipeline.adapters.outputs.samples import RUN, feed, make_stream, row_of, state_behind

ROWS = 12_000
GROUP_ROWS = 500
MICRO_BATCH = 40
CHECKPOINT_ROWS = 5 * MICRO_BATCH
SUSPEND_ROWS = 30 * MICRO_BATCH


def main(directory: Path) -> None:
    """Run to the end, with a checkpoint now and then, and now and then outputs of what there is."""
    stream = make_stream(ROWS)
    with ReplayOutputs(directory, RUN, existing="resume", group_rows=GROUP_ROWS) as outputs:
        print("ready", flush=True)
        for row in feed(outputs, stream, row_of(outputs.resumed), ROWS, MICRO_BATCH):
            if row % SUSPEND_ROWS == 0:
                outputs.suspend(state_behind(row))
            elif row % CHECKPOINT_ROWS == 0:
                outputs.checkpoint(state_behind(row))
        outputs.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
