"""Retraining of champions of any structure."""

import pytest

from detectors.structure import Structure
from pipeline.config import load_config
from tests.pipeline.adapters.bundles.bench import example, tiny_network


@pytest.mark.torch
def test_a_champion_is_retrained_as_what_it_is() -> None:
    """A training from a champion keeps its sizes and its structure."""
    pytest.importorskip("torch")
    from pipeline.cli.learning.job import Job
    from pipeline.cli.learning.run import _plan

    champion = example(network=tiny_network(structure=Structure("gru", 3, 4)))
    job = Job("run", None, {}, champion.manifest.id, 0, 1, "requested")
    training = _plan(job, load_config(None, {}, environ={}).config, champion).training
    assert training.structure == champion.network.structure
    assert (training.layers, training.hidden) == (1, 2)
