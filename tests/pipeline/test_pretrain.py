import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detectors.synthetic import Corpus
from pipeline.adapters.bundles import Lineage, load_bundle, make_bundle, save_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from detectors.training import StepReport
    from pipeline.pretrain import Prior


def tiny_run(progress: "Callable[[StepReport], None]" = lambda _report: None, **changes: Any) -> "Prior":
    """A run of 12 steps of 4 series for 4 units, by a clock that is read once at the start and once a step."""
    from detectors.training import TrainingConfig
    from pipeline.pretrain import PretrainConfig, pretrain

    seconds = count()
    training = TrainingConfig(seed=7, hidden=4, steps=12, warm_up_steps=2, validate_every=6, device="cpu")
    config = PretrainConfig(training, batch=4, length=700, validation_series=8)
    return pretrain(replace(config, **changes), clock=lambda: next(seconds), progress=progress)


@pytest.mark.torch
def test_a_run_is_reproducible_and_says_what_it_did() -> None:
    """The same configuration gives the same weights and record twice; the record names data, curve and errors."""
    prior, again = tiny_run(), tiny_run()
    for name, array in prior.network.arrays.items():
        assert np.array_equal(array, again.network.arrays[name])
    assert replace(again, network=prior.network) == prior
    assert prior.seed == 7
    assert prior.training["batch"] == 4
    assert prior.training["training"]["hidden"] == 4
    assert prior.metrics["learning_curve"]["step"] == [6, 12]
    assert prior.metrics["learning_curve"]["validation"][-1] < prior.metrics["learning_curve"]["validation"][0]
    assert set(prior.metrics["validation_error"]) == {1, 2, 4, 8, 32, 96}


def _hash_of(corpus: Corpus, blocks: int) -> str:
    return hashlib.sha256(b"".join(corpus.block(index).to_bytes() for index in range(blocks))).hexdigest()


@pytest.mark.torch
def test_data_hash_can_be_made_again_from_the_seed() -> None:
    """The data hash is that of the corpus blocks the run used: two, for 12 batches of a tenth of a block."""
    assert tiny_run().data_hash == _hash_of(Corpus(seed=7, part=0, count=40, length=700), blocks=2)


@pytest.mark.torch
def test_prior_becomes_a_bundle(tmp_path: Path) -> None:
    """A prior goes into a bundle as it is, and the bundle loads with the same weights."""
    prior = tiny_run()
    bundle = make_bundle(
        prior.network,
        inputs_version=1,
        training=prior.training,
        seed=prior.seed,
        data_hash=prior.data_hash,
        metrics=prior.metrics,
        lineage=Lineage(parent=None, created_by="test"),
        calibration={},
    )
    save_bundle(bundle, tmp_path / "prior")
    loaded = load_bundle(tmp_path / "prior")
    assert loaded.manifest.metrics["learning_curve"] == prior.metrics["learning_curve"]
    for name, array in prior.network.arrays.items():
        assert np.array_equal(array, loaded.network.arrays[name])


@pytest.mark.torch
def test_time_limit_ends_the_run() -> None:
    """With a clock that advances a second a step, a limit of 4 seconds ends the run after 4 steps."""
    steps: list[int] = []
    prior = tiny_run(lambda report: steps.append(report.step), time_limit_s=4.0)
    assert steps == [1, 2, 3, 4]
    assert prior.metrics["learning_curve"]["step"] == [4]


def test_without_torch_the_extra_is_named() -> None:
    """Where torch is not installed, the one line says which extra brings it."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pipeline.errors import MissingExtraError\n"
        "try:\n    import pipeline.pretrain\n"
        "except MissingExtraError as exc:\n    print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "driftline[train]" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.torch
def test_threads_that_make_streams_decide_nothing() -> None:
    """Streams that threads make ahead of the training give the same prior, and the same hash."""
    prior, threaded = tiny_run(), tiny_run(makers=2)
    for name, array in prior.network.arrays.items():
        assert np.array_equal(array, threaded.network.arrays[name])
    assert replace(threaded, network=prior.network) == prior


@pytest.mark.torch
@pytest.mark.parametrize("step", [1, 10, 11, 14, 20, 21])
def test_streams_go_on_from_any_step(step: int) -> None:
    """From whichever step on, streams are those of a run from the first, and so is their hash at the end."""
    from detectors.training import TrainingConfig
    from pipeline.pretrain import PretrainConfig, Streams

    config = PretrainConfig(TrainingConfig(seed=7, horizons=(1, 4)), batch=2, length=300)
    whole, again = Streams(config), Streams(config)
    examples = [batch.inputs for batch in islice(whole.batches(1), 20)]
    rest = [batch.inputs for batch in islice(again.batches(step), 21 - step)]
    assert all(np.array_equal(one, other) for one, other in zip(rest, examples[step - 1 :], strict=True))
    assert again.digest(2) == _hash_of(Corpus(7, 0, 20, 300), blocks=2)
