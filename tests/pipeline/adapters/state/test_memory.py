import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
MOST_MIB = 40
"""The rows alone have 124."""
SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np
from pipeline.adapters.spill import SqliteSpill
from pipeline.adapters.state.files import FileStateStore
from pipeline.lanes import LaneTable
from pipeline.records import Checkpoint, Place, RunIdentity

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)

directory, place, count = Path(sys.argv[1]), Place("in", 0), 200_000
row = np.dtype([("ring", "u1", (650,))])
pool = np.random.default_rng(7).bytes(2**20)
spill = SqliteSpill(directory)
table = LaneTable(row, 1, 1000, spill)
spill.put_many((f"key-{n:07d}", pool[n * 5 % 2**19:][:650]) for n in range(count))
store = FileStateStore(f"file://{directory}/state", "group")
store.probe()
before = peak()

arrays, keys, spilled = table.save()
writer = store.writer(place, 1, Checkpoint(RunIdentity("", "", ""), {}, arrays, keys, spilled))
while not writer.write(2**24):
    pass
reader = store.reader(place, 1, writer.note())
while not reader.read(0.5):
    pass
state, _ = reader.found()
again = LaneTable(row, 1, 1000, SqliteSpill(directory))
again.load(state.arrays, state.key_names, state.spilled)
_, _, restored = again.save()
for n, (key, rows) in enumerate(restored):
    assert (key, rows) == (f"key-{n:07d}", pool[n * 5 % 2**19:][:650])
assert n == count - 1
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_evicted_keys(tmp_path: Path) -> None:
    """Saving and restoring 200,000 evicted keys takes a fraction of the memory that their rows would."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < MOST_MIB
