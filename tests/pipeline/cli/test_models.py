"""`driftline models`, as a person uses it."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.bundles import TrainingWindow, save_bundle
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli import run
from pipeline.cli.models.facts import differences, distances, flat, loss_of, thresholds
from tests.pipeline.adapters.bundles.bench import NOON, act, example
from tests.pipeline.cli.bundles import joint_variant, variant
from tests.pipeline.cli.samples import write_stream

SHIPPED = "6911901f8c7846d2"


class Shell:
    """Runs `driftline models` in a folder of its own.

    Attributes:
        out: what the last command printed.
        err: what it complained of.
    """

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self.out = self.err = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Standard output of a command that ends with a status."""
        found = run(["models", *arguments])
        self.out, self.err = self._captured.readouterr()
        assert found == status, self.out + self.err
        return self.out

    def json(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell in an empty folder that also has two bundles, `one` and `two`."""
    monkeypatch.chdir(tmp_path)
    save_bundle(variant(seed=2, training_window=TrainingWindow(NOON.replace(month=10), NOON)), tmp_path / "one")
    save_bundle(variant(seed=3, metrics={"validation_loss": {"1": 0.5, "8": 1.0}}), tmp_path / "two")
    return Shell(capsys)


def test_from_the_first_bundle_to_a_roll_back(models: Shell) -> None:
    """Add, promote, list, roll back, hold, release: each says what it did, and the list shows it."""
    assert "no bundles yet; put one in: driftline models add" in models("list")
    models("add", "shipped", "--promote", "--reason", "first")
    assert f"{SHIPPED} is now champion" in models.out
    models("add", "one")
    one = models.out.split()[0]
    assert f"make it champion: driftline models promote {one}" in models.out
    models("promote", one[:6], "--by", "ann", "--reason", "better")
    assert models.out == f"{one} is now champion; before, it was {SHIPPED}\n"
    assert models("promote", one) == f"{one} is champion already\n"
    rows = {line.split()[0]: line for line in models("list").splitlines() if line.strip()}
    assert "2026-10-25 to 2026-11-25" in rows[one]
    assert rows[one].rstrip().endswith("champion")
    assert "synthetic, seed 1" in rows[SHIPPED]
    assert "0.2391" in rows[SHIPPED]
    assert rows[SHIPPED].rstrip().endswith("previous")
    told = models("rollback", "--hold", "--reason", "too many alarms")
    assert f"{SHIPPED} is champion again; before, it was {one}" in told
    assert "there is no champion before it" in told
    assert "Promotion is held since" in models("list")
    models("promote", one, status=2)
    assert "(too many alarms); expected it to be free: look into it, then driftline models release" in models.err
    models("promote", one, "--despite-hold")
    models("rollback")
    models("rollback", status=2)
    assert "found no champion before" in models.err
    models("release")
    history = models("history")
    for part in ("published", "promoted", "rolled back to, promotion held", "promotion released", "better", "ann"):
        assert part in history
    assert len(models.json("history", "--last", "3")) == 3


def test_everything_is_there_as_json(models: Shell) -> None:
    """Of every command, with full ids and times; nothing else is printed."""
    added = models.json("add", "one", "--promote")
    assert (added["is_new"], added["promoted"]["kind"]) == (True, "promoted")
    assert models.json("add", "one")["is_new"] is False
    two = models.json("add", "two")["id"]
    promoted = models.json("promote", two, "--expected", added["id"])
    assert (promoted["champion"], promoted["before"]) == (two, added["id"])
    listed = models.json("list")
    assert listed["champion"] == two
    assert [one["id"] for one in listed["bundles"]] == [two, added["id"]]
    assert listed["bundles"][0]["loss"] == 0.75
    assert listed["bundles"][1]["status"] == ["previous"]
    shown = models.json("show", "champion")
    assert (shown["manifest"]["id"], shown["status"]) == (two, ["champion"])
    assert models.json("diff", "previous", "champion")["manifest"]["seed"] == [2, 3]
    assert models.json("pin", two)["event"]["kind"] == "pinned"
    assert models.json("pin", two)["event"] is None
    assert models.json("unpin", two)["event"]["kind"] == "unpinned"
    assert models.json("hold", "--by", "ann")["actor"] == "ann"
    assert models.json("release")["held"] is False
    assert models.json("rollback")["champion"] == added["id"]
    assert models.json("verify")["damaged"] == {}
    going = models.json("gc", "--events", "0", "--younger-than", "0s")
    assert (going["removed"], going["going"]) == (False, [two])
    assert models.json("gc", "--events", "0", "--younger-than", "0s", "--yes")["removed"] is True
    assert [one["id"] for one in models.json("list")["bundles"]] == [added["id"]]


def test_a_bundle_is_shown_and_compared(models: Shell) -> None:
    """What it was trained on, its thresholds at the risk, and what differs between two."""
    models("add", "shipped", "--promote")
    shown = " ".join(models("show", "champion").split())
    for part in ("Parent", "synthetic, seed 1", "1 x 64 units", "20,550", "Thresholds, balanced", "at risk 0.7"):
        assert part in shown
    assert "1: -0.2568, 2: -0.1132, 4: 0.08069, 8: 0.3116, 32: 0.796, 96: 1.026" in shown
    compared = models("diff", "champion", "two")
    assert "metrics.validation_loss.1" in compared
    assert "+294.7%" in compared
    assert compared.count("0 ") > 5
    assert "there is no difference" in models("diff", "shipped", "champion")


def test_what_is_damaged_is_told(models: Shell) -> None:
    """The list names it, verify says what is wrong and ends with 2, and adding the bundle again mends it."""
    models("add", "one")
    one = models.out.split()[0]
    folder = next(Path("driftline-models/bundles").iterdir())
    for file, status in (("weights.safetensors", "-"), ("manifest.json", "damaged")):
        good = (folder / file).read_bytes()
        (folder / file).write_bytes(good[:-2] + b"??")
        assert models("list").splitlines()[-2].rstrip().endswith(status)
        models("verify", status=2)
        assert f"{one}: driftline-models/bundles/{folder.name}/{file}: found" in models.out
        models("show", one, status=2)
        models("promote", one, status=2)
        models("add", "one")
        assert "1 events and 1 of 1 bundles are whole" in models("verify")
        assert (folder / file).read_bytes() == good


def test_a_bundle_that_cannot_serve_is_not_promoted(models: Shell, tmp_path: Path) -> None:
    """One without a calibration for the profile, or of another normaliser, can be added, but not made champion."""
    save_bundle(example(), tmp_path / "tiny")
    save_bundle(variant(normaliser={"memory": 1.0}), tmp_path / "other")
    models("add", "tiny", "--promote", status=2)
    assert "profile 'balanced'" in models.err
    assert "no bundles yet" in models("list")
    models("add", "other")
    models("promote", models.out.split()[0], status=2)
    assert "found it trained with another normaliser (clip_after, clip_sd" in models.err
    assert "memory=2000.0" in models.err


def test_a_joint_network_of_other_fields_than_are_named_is_not_promoted(models: Shell, tmp_path: Path) -> None:
    """Where the configuration names fields, a joint network must be for these; where it names none, it may be."""
    save_bundle(joint_variant(("flow", "power")), tmp_path / "joint")
    models("add", "joint")
    bundle = models.out.split()[0]
    (tmp_path / "driftline.toml").write_text('[source]\nvalue_fields = ["flow", "heat"]\n')
    models("promote", bundle, status=2)
    assert "found a joint network of flow, power; expected one of flow, heat, as records have them" in models.err
    assert "flow, power" in models("show", bundle)
    (tmp_path / "driftline.toml").write_text('[source]\nvalue_fields = ["power", "flow"]\n')
    models("promote", bundle)
    (tmp_path / "driftline.toml").unlink()
    assert "is champion already" in models("promote", bundle)


def test_the_registry_is_the_one_configured(models: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the file, the environment or the option, the later winning."""
    (tmp_path / "driftline.toml").write_text('[models]\nregistry = "by-file"\n')
    models("add", "one")
    monkeypatch.setenv("DRIFTLINE_MODELS__REGISTRY", f"file://{tmp_path}/by-environment")
    models("add", "one")
    models("add", "one", "--registry", "by-option")
    assert {path.name for path in tmp_path.iterdir() if (path / "history").exists()} == {
        "by-file", "by-environment", "by-option",
    }  # fmt: skip
    models("list", "--registry", "", status=2)
    models("list", "--registry", "nosuch://ann:secret@host", status=2)
    assert "registry nosuch://ann:***@host: found that it cannot be used" in models.err


def test_the_champion_scores(models: Shell, tmp_path: Path) -> None:
    """A replay with the champion names its bundle; one that was begun with another champion is not gone on with."""
    stream = write_stream(tmp_path / "machine.csv")
    models("add", "shipped", "--promote")
    arguments = ["replay", str(stream), "--bundle", "champion", "--no-report", "--quiet"]
    assert run(arguments) == 0
    assert json.loads(Path("driftline-replay/summary.json").read_text())["bundle"] == SHIPPED
    models("add", "one", "--promote")
    champion = Registry("driftline-models").champion() or ""
    assert run([*arguments, "--overwrite"]) == 0
    assert json.loads(Path("driftline-replay/summary.json").read_text())["bundle"] == champion[:16]


def test_losses_are_found_where_trainings_put_them() -> None:
    """The best of a learning curve, a number, or the mean over horizons; None for none."""
    for metrics, loss in (
        ({"learning_curve": {"validation": [0.9, 0.4, 0.5]}, "validation_loss": 7.0}, 0.4),
        ({"learning_curve": {"validation": []}, "validation_loss": 7}, 7.0),
        ({"validation_loss": {"1": 1.0, "2": 2.0}}, 1.5),
        ({}, None),
    ):
        assert loss_of(example(metrics=metrics).manifest) == loss


def test_differences_are_those_of_content() -> None:
    """By dotted name, long lists by their end; weights by array; thresholds where there is a table."""
    a, b = example(), example(seed=8, training={"steps": 3, "list": [1, 2, 3, 4, 5, 6, 7]})
    assert differences(a.manifest, a.manifest) == {}
    assert differences(a.manifest, b.manifest) == {
        "training.rate": (3e-3, None), "training.list": (None, "7 values, the last 7"), "seed": (7, 8),
    }  # fmt: skip
    assert {one["relative_distance"] for one in distances(a.network, b.network).values()} == {0.0}
    assert distances(a.network, variant().network)["bias_l0"] == {
        "shapes": [[8], [256]], "relative_distance": None, "largest_difference": None,
    }  # fmt: skip
    assert thresholds(a, 1.1) == {}
    assert thresholds(variant(), 1.1)["balanced"]["500"] > thresholds(variant(), 5.0)["balanced"]["500"]
    assert dict(flat({"a": {"b": [1]}, "c": None})) == {"a.b": [1], "c": None}


def test_acts_are_dated_by_the_clock(models: Shell) -> None:
    """In UTC to the second, with the user's name and host."""
    models("add", "one")
    (event,) = Registry("driftline-models").history()
    assert event.at.utcoffset() is not None
    assert event.at.microsecond == 0
    assert "@" in event.actor
    Registry("driftline-models").hold(act())
