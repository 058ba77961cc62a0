"""A child process that works on a registry until it is killed: publishes, promotes, rolls back, collects, keeps runs.

It tells on stdout what has been done once it is done, so that the one who kills it knows what must be there.
"""

import sys
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline.adapters.bundles.collection import Rule
from pipeline.adapters.bundles.lease import Lease
from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.bundles.training_log import TrainingLog, new_name
from pipeline.errors import RegistryError
from pipeline.learning.records import Run, Signal
from tests.pipeline.adapters.bundles.bench import NOON, act, example

_RULE = Rule(ancestors=0, events=2, younger_than=timedelta(0), strays_after=timedelta(0))


def main(url: str, seed: int) -> None:
    """Work until the end."""
    rng = np.random.default_rng(seed)
    registry = Registry(url)
    records = TrainingLog(url)
    lease = Lease(url, uuid.uuid4().hex, timedelta(), lambda: datetime.now(UTC))
    print("ready", flush=True)
    while True:
        if lease.take():
            _keep(records)
        name = registry.publish(example(seed=int(rng.integers(8))), act(rng.random(), "child"))
        print("published", name, flush=True)
        registry.promote(name, act(rng.random(), "child"))
        print("promoted", name, flush=True)
        if rng.random() < 0.3:
            try:
                print("promoted", registry.rollback(act(rng.random(), "child")).champion, flush=True)
            except RegistryError:  # nothing to go back to
                continue
        if rng.random() < 0.5:
            for gone in registry.collect(_RULE, act(2 + rng.random(), "child")).going:
                print("collected", gone, flush=True)


def _keep(records: TrainingLog) -> None:
    """A signal, and the run that answers it with its report."""
    name = new_name(NOON)
    records.tell(Signal(name=name, kind="requested", at=NOON, by="child"))
    reports = records.attach(name, [("gate.json", b"{}" * 5000)])
    records.keep(
        Run(
            name=name, at=NOON, by="child", trigger="requested", answers=(name,), outcome="refused", since=NOON,
            until=NOON, reports=reports,
        )
    )  # fmt: skip
    print("kept", name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
