"""A child process that works on a registry until it is killed: publishes, promotes, rolls back and collects, endlessly.

It tells on stdout what has been done once it is done, so that the one who kills it knows what must be there.
"""

import sys
from datetime import timedelta

import numpy as np

from pipeline.adapters.bundles.collection import Rule
from pipeline.adapters.bundles.registry import Registry
from pipeline.errors import RegistryError
from tests.pipeline.adapters.bundles.bench import act, example

_RULE = Rule(ancestors=0, events=2, younger_than=timedelta(0), strays_after=timedelta(0))


def main(url: str, seed: int) -> None:
    """Work until the end."""
    rng = np.random.default_rng(seed)
    registry = Registry(url)
    print("ready", flush=True)
    while True:
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


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
