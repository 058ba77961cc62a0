"""How far a training of the follower is, against a real broker."""

import math
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.drifting.streams import make_drifting
from tests.kafka_broker import send
from tests.pipeline.cli.followers import Follower, ask, begin, make, stages, told

pytestmark = [pytest.mark.kafka, pytest.mark.torch, pytest.mark.slow]
ALWAYS = {"pipeline.cli.learning.attending._PROGRESS_S": 0.0}


def _shown(follower: Follower) -> dict[str, float]:
    """Its metrics without labels."""
    with urllib.request.urlopen(
        f"http://{told(follower.told, 'following')[0]['metrics']}/metrics", timeout=10
    ) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {one.name: one.value for family in families for one in family.samples if not one.labels}


def test_a_training_tells_how_far_it_is_and_when_it_will_be_done(bootstrap: str, tmp_path: Path) -> None:
    """Log and metrics have the share that is done and the time left, which grows short; between trainings none."""
    name, file = make(bootstrap, tmp_path, steps=300)
    begin(file)
    send(bootstrap, name.input, make_drifting(1500, change=0, keys=6))
    ask(file)
    follower = Follower(file, tmp_path / "log", constants=ALWAYS)
    shown: list[dict[str, float]] = []
    began = time.monotonic()
    while not told(follower.told, "training_ended"):
        assert follower.process.poll() is None, follower.told
        assert time.monotonic() - began < 240
        if stages(follower.told, "training"):
            shown.append(_shown(follower))
        time.sleep(0.2)
    lines = told(follower.told, "training_progress")
    assert {"reading", "training", "judging"} <= {one["stage"] for one in lines}
    training = [one for one in lines if one["stage"] == "training"]
    done = [one["done"] for one in training]
    assert done == sorted(done)
    assert done[-1] == 1
    assert training[-1]["left_s"] == 0
    assert any(one["loss"] is not None for one in training)
    known = [one["left_s"] for one in training if one["left_s"] is not None]
    assert max(known[len(known) // 2 :]) < max(known)
    ratios = [one["driftline_training_done_ratio"] for one in shown]
    lefts = [one["driftline_training_left_seconds"] for one in shown]
    assert any(0 < ratio < 1 for ratio in ratios)
    assert any(left > 0 for left in lefts)
    after = _shown(follower)
    for metric in ("done_ratio", "left_seconds"):
        value = after[f"driftline_training_{metric}"]
        assert math.isnan(value), f"found {value} of {metric} with no training"
