"""`driftline train --follow`, `driftline models retrain` and `driftline models runs`, as a person gives them."""

import json
from pathlib import Path

import pytest

from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.cli import run
from pipeline.learning.records import Run
from tests.pipeline.adapters.bundles.bench import NOON, act, example

FOLLOWED = '[detector]\nbundle = "champion"\n'


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (FOLLOWED, ["history.csv"], "found HISTORY (history.csv) with --follow; expected none: it reads the topics of"),
        (
            FOLLOWED,
            ["--steps", "3"],
            "found --steps with --follow; expected it without: [retrain] of the configuration",
        ),
        (FOLLOWED, ["--from", "2026-01-01"], "found --from with --follow; expected it without"),
        ("", [], "[detector] bundle: found 'shipped' where the champion is to be trained anew; expected 'champion'"),
        (FOLLOWED, [], "[input]: found neither topics nor pattern; expected one of them"),
        (
            '[detector]\nbundle = "memory://models#champion"\n',
            [],
            "[models] registry: found memory://models, which is in the memory of one process; expected one that",
        ),
        ('[retrain]\ninterval = "0s"\n', [], "greater than"),
        ('[retrain]\npromote = "always"\n', [], "found 'always'; expected 'gate' or 'never'"),
    ],
)
def test_what_does_not_go_with_following_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, arguments: list[str], message: str
) -> None:
    """With what was found, and what to do."""
    file = tmp_path / "c.toml"
    file.write_text(content)
    assert run(["train", "--follow", "--config", str(file), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_without_history_and_without_following_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As ever, with the other way named."""
    assert run(["train", "--out", "nowhere"]) == 2
    assert "missing argument 'HISTORY...': what to learn from, or --follow" in capsys.readouterr().err


def _run(name: str, answers: tuple[str, ...]) -> Run:
    return Run(
        name=name, at=NOON, by="t", trigger="requested", outcome="refused", since=NOON, until=NOON, answers=answers,
        told="refused: no better", champion_loss=1.25, challenger_loss=1.5, seconds={"reading": 2.0, "training": 3.0},
    )  # fmt: skip


def test_from_a_request_to_its_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A request waits until a run has answered it; what came of it is listed, and the signal is collected then."""
    url = str(tmp_path / "models")

    def models(*arguments: str) -> str:
        assert run(["models", *arguments, "--registry", url]) == 0
        return capsys.readouterr().out

    registry, records = Registry(url), TrainingLog(url)
    registry.promote(registry.publish(example(), act()), act())
    assert "no training yet" in models("runs")
    assert "asked for a training" in models("retrain", "--reason", "new machines")
    told = models("runs")
    assert "waits since" in told
    assert "requested (new machines)" in told
    models("gc", "--yes")
    (signal,) = records.signals()
    records.keep(_run("a", (signal.name,)))
    told = " ".join(models("runs").split())
    assert "refused" in told
    assert "1.2500 1.5000 5 s" in told
    assert "waits since" not in told
    assert json.loads(models("runs", "--json"))["runs"][0]["answers"] == [signal.name]
    assert "would remove 1 signals that trainings have answered" in models("gc")
    assert records.signals() == [signal]
    assert "removed 1 signals" in models("gc", "--yes")
    assert records.signals() == []
