"""`driftline gate`, as a person and a trainer use it."""

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.bundles import Bundle, Lineage, load_bundle, make_bundle, save_bundle, shipped_bundle_path
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli import run
from tests.pipeline.adapters.bundles.bench import NOON
from tests.pipeline.cli.bundles import variant
from tests.pipeline.cli.samples import START, STEP

SHIPPED = "6911901f8c7846d2"
KEYS, POINTS = 10, 700


def _noisy(noise: float, seed: int = 1) -> Bundle:
    """The shipped bundle with so much noise on its weights, in their standard deviations."""
    shipped = load_bundle(shipped_bundle_path())
    rng = np.random.default_rng(seed)
    arrays = {
        name: (array + noise * array.std() * rng.normal(size=array.shape)).astype(np.float32)
        for name, array in shipped.network.arrays.items()
    }
    content = {
        name: getattr(shipped.manifest, name)
        for name in ("inputs_version", "training", "data_hash", "metrics", "calibration")
    }
    return make_bundle(
        replace(shipped.network, arrays=arrays), seed=seed, lineage=Lineage(shipped.manifest.id, "noise"), **content
    )


def _write_history(path: Path) -> Path:
    """Ten machines with a daily rhythm in a fast noise, of two fields; two of them with a spike near the end."""
    rng = np.random.default_rng(7)
    day = np.sin(np.arange(POINTS)[:, None] / 288 * 2 * np.pi + np.arange(KEYS))
    load = 50 + 5 * day + rng.normal(0, 0.3, (POINTS, KEYS))
    heat = 20 + 2 * day + np.cumsum(rng.normal(0, 0.05, (POINTS, KEYS)), axis=0)
    load[600:603, :2] += 40
    lines = [
        f"{START + n * STEP:%Y-%m-%dT%H:%M:%S},host{key},{load[n, key]:.3f},{heat[n, key]:.3f}\n"
        for n in range(POINTS)
        for key in range(KEYS)
    ]
    path.write_text("time,key,load,heat\n" + "".join(lines))
    return path


class Shell:
    """Runs `driftline gate` in a folder of its own.

    Attributes:
        out, err: what the last command printed.
    """

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self.out = self.err = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Standard output of a command that ends with a status."""
        found = run(["gate", *arguments])
        self.out, self.err = self._captured.readouterr()
        assert found == status, self.out + self.err
        return self.out

    def json(self, *arguments: str, status: int = 0) -> Any:
        """What the command prints as JSON."""
        return json.loads(self(*arguments, "--json", "--quiet", status=status))


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell in a folder with a history, and the shipped bundle with noise as `worse`, and its equal as `twin`."""
    monkeypatch.chdir(tmp_path)
    _write_history(tmp_path / "history.csv")
    save_bundle(_noisy(0.05), tmp_path / "worse")
    save_bundle(variant(seed=2), tmp_path / "twin")
    return Shell(capsys)


def _promoted(name: str) -> Registry:
    """The registry of the folder, with a bundle in service."""
    registry = Registry("driftline-models")
    bundle = load_bundle(shipped_bundle_path() if name == "shipped" else Path(name))
    registry.promote(registry.publish(bundle, Act("ann", NOON, "")), Act("ann", NOON, ""))
    return registry


def test_a_better_bundle_passes_and_nothing_changes_without_promote(gate: Shell) -> None:
    """The decision, the criteria and the figures are told, and the report lies in its folder."""
    registry = _promoted("worse")
    told = gate("shipped", "history.csv", "--held-out", "40%")
    assert "The challenger passes" in told
    assert told.count("passed") == 5
    assert {"gate.html", "gate.json"} <= {path.name for path in Path("driftline-gate").iterdir()}
    report = json.loads(Path("driftline-gate/gate.json").read_text())
    assert report["passed"] is True
    assert report["told"].startswith("passed: loss ")
    assert report["challenger"]["id"][:16] == SHIPPED
    assert report["history"]["lanes"] == 3 * KEYS  # two fields, and both together
    assert report["history"]["records_before"] == 420 * KEYS
    assert report["history"]["records"] == {
        "consumed": 280 * KEYS, "scored": 280 * KEYS, "warming": 0, "late": 0, "duplicate": 0, "dead_lettered": 0
    }  # fmt: skip
    assert registry.champion() == load_bundle(Path("worse")).manifest.id
    assert len(registry.history()) == 2
    again = gate.json("shipped", "history.csv", "--held-out", "40%")
    assert {**again, "speed": report["speed"]} == report


def test_a_worse_bundle_is_refused_and_so_is_an_equal_one(gate: Shell) -> None:
    """The exit status is 1, and what is not met is named; an equal network under another name gains nothing."""
    _promoted("shipped")
    worse = gate.json("worse", "history.csv", "--held-out", "40%", "--promote", status=1)
    assert worse["passed"] is False
    assert worse["gain"]["nats_per_point"] < -0.1
    assert worse["told"].startswith("refused, not met: better forecasts, by more than chance")
    equal = gate.json("twin", "history.csv", "--held-out", "40%", status=1)
    assert equal["gain"] == {"nats_per_point": 0.0, "by_lane_95": [0.0, 0.0], "by_time_95": [0.0, 0.0]}
    assert equal["champion"]["figures"] == equal["challenger"]["figures"]
    assert Registry("driftline-models").champion() == load_bundle(shipped_bundle_path()).manifest.id
    assert len(Registry("driftline-models").standing().published) == 1


def test_random_weights_are_refused_for_more_than_their_forecasts(gate: Shell) -> None:
    """Their band does not hold what it says."""
    save_bundle(_noisy(3.0), Path("random"))
    told = gate.json("random", "history.csv", "--held-out", "40%", status=1)
    missed = {one["name"] for one in told["criteria"] if not one["passed"]}
    assert {"better forecasts", "by more than chance", "band as wide as it says"} <= missed


def test_what_passes_is_promoted_with_its_report(gate: Shell) -> None:
    """It is published, the figures are the reason, and both reports are kept with it and shown."""
    registry = _promoted("worse")
    gate("shipped", "history.csv", "--held-out", "40%", "--promote", "--reason", "October", "--by", "trainer")
    assert f"{SHIPPED} is now champion; before, it was" in gate.out
    event, name = registry.history()[-1], load_bundle(shipped_bundle_path()).manifest.id
    assert (event.kind, event.bundle, event.actor) == ("promoted", name, "trainer")
    assert event.reason.startswith("October: passed: loss ")
    names = registry.reports(name)
    assert [name.partition("-")[2] for name in names] == ["gate.html", "gate.json"]
    assert json.loads(registry.report(name, names[1])) == json.loads(Path("driftline-gate/gate.json").read_text())
    assert run(["models", "show", SHIPPED[:8], "--json"]) == 0
    assert json.loads(gate._captured.readouterr().out)["reports"] == names
    assert run(["models", "show", SHIPPED[:8]]) == 0
    assert names[0] in gate._captured.readouterr().out.replace("\n", "").replace(" ", "")
    # a refused one of the registry has its report kept, too
    worse = load_bundle(Path("worse")).manifest.id
    gate(f"#{worse[:8]}", "history.csv", "--held-out", "40%", "--promote", status=1)
    assert f"is not promoted; {SHIPPED} stays the champion" in gate.out
    assert len(registry.reports(worse)) == 2
    assert (registry.champion() or "")[:16] == SHIPPED


def test_the_first_champion_has_to_be_better_than_the_shipped_one(gate: Shell) -> None:
    """Where there is none, or against a bundle that is named."""
    refused = gate.json("worse", "history.csv", "--held-out", "40%", "--promote", status=1)
    assert refused["champion"]["named"] == "shipped"
    assert Registry("driftline-models").champion() is None
    gate("shipped", "history.csv", "--champion", "worse", "--held-out", "40%", "--promote")
    assert (Registry("driftline-models").champion() or "")[:16] == SHIPPED


def test_a_hold_keeps_the_report_and_says_what_to_do(gate: Shell) -> None:
    """A challenger that passed is published with its report, and not promoted."""
    registry = _promoted("worse")
    registry.hold(Act("ann", NOON, "looking into it"))
    gate("shipped", "history.csv", "--held-out", "40%", "--promote", status=2)
    assert "(looking into it); expected it to be free: look into it, then driftline models release" in gate.err
    assert registry.reports(load_bundle(shipped_bundle_path()).manifest.id) != []
    assert registry.champion() == load_bundle(Path("worse")).manifest.id


def test_a_champion_that_changed_meanwhile_is_not_replaced(gate: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compared with the one before may be worse than the newer one."""
    registry = _promoted("worse")
    attach = Registry.attach_report

    def meddle(self: Registry, bundle: str, name: str, content: bytes) -> None:
        other = Registry("driftline-models")
        other.promote(other.publish(load_bundle(Path("twin")), Act("bob", NOON, "")), Act("bob", NOON, ""))
        attach(self, bundle, name, content)

    monkeypatch.setattr(Registry, "attach_report", meddle)
    gate("shipped", "history.csv", "--held-out", "40%", "--promote", status=2)
    assert "as when this was decided: decide again" in gate.err
    assert registry.champion() == load_bundle(Path("twin")).manifest.id


def test_labels_are_judged_by(gate: Shell) -> None:
    """Known anomalies that are found count, and are no false alarms."""
    start, end = START + 598 * STEP, START + 606 * STEP
    Path("labels.csv").write_text(
        "key,start,end\n"
        + "".join(f"{key},{start:%Y-%m-%dT%H:%M:%S},{end:%Y-%m-%dT%H:%M:%S}\n" for key in ("host0", "host1"))
    )
    told = gate.json("twin", "history.csv", "--held-out", "40%", "--labels", "labels.csv", status=1)
    assert told["criteria"][-1]["name"] == "known anomalies found"
    assert told["challenger"]["figures"]["labelled"]["found"] == 2
    assert re.search(r", \d+ false alarms against \d+$", told["told"])
    assert told["challenger"]["figures"]["labelled"]["false_alarms"] == told["challenger"]["figures"]["alarms"] - 2
    Path("labels.csv").write_text("key,start,end\nother,2024-01-01,2024-01-02\n")
    gate("twin", "history.csv", "--labels", "labels.csv", status=2)
    assert "found none of the streams that the labels are of; expected some" in gate.err


def test_windows_by_event_time_and_another_profile(gate: Shell) -> None:
    """Whatever is configured is judged under it."""
    Path("driftline.toml").write_text(
        '[detector]\nrisk = 0.5\n[windows]\nkind = "time"\nsize = "1h"\nhop = "10min"\n[episodes]\nwarm_up = 100\n'
        '[gate]\nheld_out = "1d"\nmargin = 3.0\n'
    )
    told = gate.json("shipped", "history.csv", "--champion", "worse", "--profile", "dense", status=1)
    assert (told["settings"]["profile"], told["settings"]["held_out"]) == ("dense", "1d")
    assert told["history"]["judged"] == 2 * KEYS * 144
    assert [one["name"] for one in told["criteria"] if not one["passed"]] == ["better forecasts"]


def test_several_sources_are_one_history(gate: Shell) -> None:
    """Cut in two files, the figures are those of one."""
    header, *rows = Path("history.csv").read_text().splitlines(keepends=True)
    for name, part in (("one.csv", rows[: len(rows) // 2]), ("two.csv", rows[len(rows) // 2 :])):
        Path(name).write_text(header + "".join(part))
    whole = gate.json("worse", "history.csv", status=1)
    parts = gate.json("worse", "one.csv", "two.csv", status=1)
    assert parts["gain"] == whole["gain"]
    assert parts["challenger"]["figures"] == whole["challenger"]["figures"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere", "history.csv"), "found no readable file"),
        (("worse", "nowhere.csv"), "nowhere.csv"),
        (("worse", "history.csv", "--held-out", "120%"), "--held-out"),
        (("worse", "history.csv", "--held-out", "some"), "expected a share such as '20%' or a duration such as '7d'"),
        (("worse", "history.csv", "--margin", "-1"), "--margin"),
        (("worse", "history.csv", "--from", "2030-01-01"), "found no records that can be used"),
        (("#3f2a", "history.csv"), "found no bundle 3f2a"),
        (("worse", "history.csv", "--champion", "worse", "--promote"), "the champion of the registry, which it would"),
        (("worse", "history.lanes", "history.csv"), "HISTORY: found the file of lanes history.lanes"),
        (("uncalibrated", "history.csv"), "found no calibration for the profile 'balanced'"),
        (("worse", "history.csv", "--out", "."), "found something that is not a gate's"),
    ],
)
def test_what_cannot_be_judged_is_told(gate: Shell, arguments: tuple[str, ...], told: str) -> None:
    """In a line, with exit status 2, and nothing is written."""
    _promoted("shipped")
    save_bundle(variant(calibration={}), Path("uncalibrated"))
    gate(*arguments, status=2)
    assert told in gate.err.replace("\n", " ")
    assert not Path("driftline-gate").exists()


def test_ctrl_c_decides_nothing(gate: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status tells the signal, and there is no report."""
    from pipeline.engine import PartitionEngine

    process, interrupts = PartitionEngine.process, iter([True])

    def interrupted(self: PartitionEngine, batch: Any) -> Any:
        if len(batch) > 1 and next(interrupts, False):
            os.kill(os.getpid(), signal.SIGINT)
        return process(self, batch)

    monkeypatch.setattr(PartitionEngine, "process", interrupted)
    gate("worse", "history.csv", status=130)
    assert "nothing was decided" in gate.err
    assert not Path("driftline-gate").exists()
