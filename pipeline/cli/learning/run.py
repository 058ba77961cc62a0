"""One training, in a process of its own: from the history to what the gate says of it.

`python -m pipeline.cli.learning.run TELLS LIFE` takes a `Job` on its standard input, tells on the descriptor TELLS in
lines of JSON, and ends when LIFE does: when whoever has started it is gone. Memory goes back when it ends, and one that
the system kills for taking too much takes nobody with it.
"""

import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline.cli.kernels import use_kernel_cache

if TYPE_CHECKING:
    from detectors.training import StepReport
    from pipeline.adapters.bundles import Bundle
    from pipeline.adapters.kafka.source import RangePartition
    from pipeline.cli.gate.running import Judged
    from pipeline.cli.learning.job import Job, Result
    from pipeline.cli.screen import Screen
    from pipeline.config import Config
    from pipeline.learning.unfinished import Measured
    from pipeline.training.fit import FitConfig, Fitted

SEED = 1
_STEP_S = 0.5


@dataclass(slots=True)
class Course:
    """Tells how far it is, and keeps how long each part took."""

    write: Callable[[bytes], Any]
    seconds: dict[str, float] = field(default_factory=dict)
    name: str = ""
    _told_s: float = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Within the block that part is done."""
        from pipeline.cli.learning.job import Told

        self.name = name
        self.tell(Told(name))
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 3)

    def follow(self) -> Callable[..., None]:
        """Takes how far the part has come, as (share done, optimiser step, loss), and tells of it twice a second."""
        from pipeline.cli.learning.job import Told
        from pipeline.learning.pace import Pace

        pace = Pace(time.monotonic)

        def reach(done: float, step: int = 0, loss: float | None = None) -> None:
            left_s = pace.left_s(done)
            if loss is not None or time.monotonic() - self._told_s >= _STEP_S:
                self._told_s = time.monotonic()
                self.tell(Told(self.name, step, loss, done, left_s))

        return reach

    def tell(self, what: Any) -> None:
        """A line."""
        self.write(msgspec.json.encode(what) + b"\n")


def train_and_judge(job: "Job", config: "Config", course: Course, kernels: Path) -> "Result":
    """Train the champion on from what is before the slice that the gate judges on, and have it judged.

    Raises:
        DriftlineError: as the parts of it raise.
    """
    import pipeline.training.fit  # noqa: F401  before anything else that needs torch: it tells what is missing
    from pipeline.adapters.bundles import save_bundle
    from pipeline.adapters.bundles.registry import Registry
    from pipeline.cli.feedback.places import read_named
    from pipeline.cli.fitting import LEAST_RECORDS
    from pipeline.cli.learning.concluding import conclude
    from pipeline.cli.learning.history import PassWithin, input_sources
    from pipeline.cli.learning.job import Surveyed
    from pipeline.cli.learning.telling import TellingScreen
    from pipeline.cli.trained import bundle_of
    from pipeline.training.history import History

    screen = TellingScreen(course.follow)
    parent = Registry(config.models.registry).load(job.champion)
    sources = input_sources(config)
    with course.stage("measuring"):
        history = job.measured
        if history is None or not set(history.ends) <= set(sources):
            history = _measure(job, config, sources)
        course.tell(Surveyed(history))
        sources = [name for name in sources if name in history.ends]
    passing = PassWithin(sources, config, (job.since_us, history.cut_us), screen, kernels, history.ends)
    feedback = read_named(None, config, screen.note)
    kept = History(config.retrain.most_points, LEAST_RECORDS * len(passing.fields), feedback)
    with course.stage("reading"):
        passing.run(parent, kept)
    with course.stage("training"):
        fitted = _fit(job, kept, _plan(job, config, parent), parent, course)
    bundle = bundle_of(fitted, parent, SEED, {})
    with tempfile.TemporaryDirectory(prefix="driftline-") as scratch, course.stage("judging"):
        folder = Path(scratch, "challenger")
        save_bundle(bundle, folder)
        judged = _judge(job, config, folder, sources, history.last_us + 1 - history.cut_us, screen, kernels)
    with course.stage("publishing"):
        return conclude(job, config, bundle, fitted, judged, history.cut_us, course.seconds)


def _measure(job: "Job", config: "Config", sources: list[str]) -> "Measured":
    """How far the history reaches, and where what it is judged on begins."""
    from pipeline.cli.learning.history import open_within
    from pipeline.errors import InputError, ShortHistoryError
    from pipeline.gate.extent import measure_extent
    from pipeline.learning.unfinished import Measured

    partitions: list[RangePartition] = []
    ends: dict[str, dict[str, int]] = {}
    why = "found no records in the range of time that a training reads; expected some"
    for name in sources:
        try:
            found = open_within(name, config, job.since_us, job.until_us).partitions
        except InputError as exc:
            why = str(exc)
            continue  # a topic that is not there, or empty, does not keep the others from being learned from
        partitions += found
        ends[name] = {one.name: one.end for one in found}
    extent = measure_extent(partitions, None, lambda _batch: None, lambda: False) if partitions else None
    if extent is None:
        raise ShortHistoryError(why)
    return Measured(extent.begin_of(config.gate.held_out), extent.last_us, ends)


def _plan(job: "Job", config: "Config", parent: "Bundle") -> "FitConfig":
    """How to fit; as `driftline train` does by default, from the weights of the parent."""
    from detectors.training import TrainingConfig
    from pipeline.cli.fitting import CONTEXT
    from pipeline.cli.trainings import TUNING_RATE
    from pipeline.cli.wiring import window_spec
    from pipeline.training.fit import FitConfig
    from pipeline.windows import TimeWindows

    network = parent.network
    training = TrainingConfig(
        seed=SEED, layers=network.layers, hidden=network.hidden, horizons=network.horizons, fields=network.fields,
        structure=network.structure, context=CONTEXT, steps=config.retrain.steps, peak_rate=TUNING_RATE, patience=8,
        threads=config.retrain.threads, device=config.retrain.device,
    )  # fmt: skip
    return FitConfig(
        training,
        by_pane=isinstance(window_spec(config), TimeWindows),
        time_limit_s=config.retrain.time_limit.total_seconds(),
        learn_from_us=job.learn_from_us,
    )


def _fit(job: "Job", kept: Any, plan: "FitConfig", parent: "Bundle", course: Course) -> "Fitted":
    from pipeline.cli.learning.state import StateFile
    from pipeline.training.fit import fit

    reach = course.follow()

    def progress(report: "StepReport") -> None:
        reach(report.fraction, report.step, report.loss)

    store = None if job.state is None else StateFile(Path(job.state), course.tell)
    return fit(kept, plan, parent.network, clock=time.monotonic, progress=progress, store=store)


def _judge(
    job: "Job", config: "Config", folder: Path, sources: list[str], slice_us: int, screen: "Screen", kernels: Path
) -> "Judged":
    from pipeline.cli.gate.running import Request, judge

    gate = config.gate.model_copy(update={"held_out": timedelta(microseconds=slice_us)})
    request = Request(str(folder), None, sources, job.since_us, job.until_us, None, promote=True)
    return judge(request, config.model_copy(update={"gate": gate}), screen, kernels=kernels)


def main(tells: int, life: int) -> int:
    """Exit status of a job: 0 where it came to a result, whatever that is."""
    threading.Thread(target=_end_with, args=(life,), name="life", daemon=True).start()
    kernels = use_kernel_cache()
    from pipeline.cli.learning.job import Job, Result, load_following
    from pipeline.config import Given
    from pipeline.errors import DriftlineError, ShortHistoryError

    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    course = Course(lambda line: os.write(tells, line))
    options = {key: Given(where, value) for key, (where, value) in job.options.items()}
    try:
        config = load_following(None if job.file is None else Path(job.file), options)
        result = train_and_judge(job, config, course, kernels)
    except ShortHistoryError as exc:
        result = Result("not_enough_history", str(exc), seconds=course.seconds)
    except DriftlineError as exc:
        result = Result("failed", str(exc), seconds=course.seconds)
    except Exception as exc:  # noqa: BLE001  whatever it is, the follower is to go on, and to tell it
        traceback.print_exc()
        told = " ".join(f"{type(exc).__name__}: {exc}".split())
        result = Result("failed", told[:500], seconds=course.seconds)
    course.tell(result)
    return 0


def _end_with(life: int) -> None:
    """End at once when whoever holds the other end is gone, however it went."""
    os.read(life, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
