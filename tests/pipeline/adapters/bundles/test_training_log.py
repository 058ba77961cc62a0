from pathlib import Path

import pytest

from pipeline.adapters.bundles.training_log import TrainingLog, new_name
from pipeline.errors import RegistryError
from pipeline.learning.records import Run, Signal
from tests.pipeline.adapters.bundles.bench import NOON, damage


def _signal(name: str) -> Signal:
    return Signal(name=name, kind="requested", at=NOON, by="ann", reason=f"why {name}")


def _run(name: str) -> Run:
    return Run(name=name, at=NOON, by="t", trigger="schedule", outcome="refused", since=NOON, until=NOON)


def test_what_is_kept_is_found_in_order(tmp_path: Path) -> None:
    """By whoever reads, new ones as well; an empty registry has none."""
    url = f"file://{tmp_path}/models"
    writer, reader = TrainingLog(url), TrainingLog(url)
    assert reader.signals() == []
    assert reader.runs() == []
    for name in ("b", "a"):
        writer.tell(_signal(name))
        writer.keep(_run(name))
        assert reader.signals()[0].name == name
    assert [one.name for one in reader.signals()] == [one.name for one in reader.runs()] == ["a", "b"]
    writer.remove(["a", "gone"])
    assert [one.name for one in reader.signals()] == ["b"]


def test_nothing_is_changed_once_it_is_kept(tmp_path: Path) -> None:
    """A signal may be told again, as where it is not known whether it was kept; of runs a name is used once."""
    log = TrainingLog(str(tmp_path))
    log.tell(_signal("a"))
    log.tell(Signal(name="a", kind="requested", at=NOON, by="bob"))
    assert [one.by for one in log.signals()] == ["ann"]
    log.keep(_run("a"))
    with pytest.raises(RegistryError, match="found a run a; expected none of this name"):
        log.keep(_run("a"))


def test_reports_lie_beside_runs_and_are_none(tmp_path: Path) -> None:
    """Their names are made of that of the run."""
    log = TrainingLog(str(tmp_path))
    names = log.attach("20261126T000000Z-00000000", [("gate.json", b"{}"), ("gate.html", b"<html>")])
    log.keep(_run("20261126T000000Z-00000000"))
    assert [(tmp_path / "runs" / name).read_bytes() for name in names] == [b"{}", b"<html>"]
    assert len(log.runs()) == 1
    assert log.damaged == {}


def test_a_damaged_file_is_passed_over_and_told(tmp_path: Path) -> None:
    """The others are there."""
    log = TrainingLog(str(tmp_path))
    for name in ("a", "b"):
        log.tell(_signal(name))
    damage(str(tmp_path), "signals/a.json", lambda content: content[:40])
    log = TrainingLog(str(tmp_path))
    assert [one.name for one in log.signals()] == ["b"]
    assert log.damaged.keys() == {"signals/a.json"}


def test_names_sort_by_time_and_differ() -> None:
    """However many are given in a second."""
    names = [new_name(NOON, "drift") for _ in range(100)]
    assert len(set(names)) == 100
    assert max(names) < new_name(NOON.replace(second=1))
