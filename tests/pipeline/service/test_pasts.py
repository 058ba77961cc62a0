"""The service with keys that begin with a file of lanes, made and used as configured."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli import run as driftline
from pipeline.cli.pasts import past_of
from pipeline.cli.workshop import EngineWorkshop
from pipeline.config import Config
from pipeline.errors import ConfigError, LossError, UserError
from tests.pipeline.service.fakes import Crash, MemoryLog, Trap, point
from tests.pipeline.service.test_service import MESSAGES, PLACES, START_MS, Run, _files, _outputs, _state

STEP_MS, PAST = 60_000, 200
KEYS = 4
"""The last of them comes late."""
SPIKES = {4, 135}
"""Records that are faults: the second ones of two keys."""


def _values(seed: int, count: int) -> Any:
    rng = np.random.default_rng(seed)
    return np.round(np.sin(np.arange(count) / 9) + rng.normal(0, 0.05, count), 4).tolist()


def _log() -> MemoryLog:
    log = MemoryLog()
    for place in PLACES:
        values = _values(place.partition, MESSAGES)
        for n, value in enumerate(values):
            key = n % 3 if n < 130 else n % KEYS
            spike = 9 if n in SPIKES else 0
            log.append(place, b"key-%d" % key, point(START_MS + n * STEP_MS, value + spike))
    return log


def _history(path: Path, seed: int) -> Path:
    lines = [
        json.dumps({"key": f"key-{key}", "time": START_MS - (PAST - n) * STEP_MS + key, "value": value}) + "\n"
        for key in range(KEYS)
        for n, value in enumerate(_values(seed + key, PAST))
    ]
    path.write_text("".join(sorted(lines, key=lambda line: json.loads(line)["time"])))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds two files of lanes, old.lanes and new.lanes."""
    folder = tmp_path_factory.mktemp("lanes")
    for seed, name in enumerate(("old", "new")):
        history = _history(folder / f"{name}.jsonl", 10 * seed)
        assert driftline(["warm", str(history), "--time-field", "time", "--out", str(folder / f"{name}.lanes")]) == 0
    return folder


def _config(warm_from: Path | str | None) -> Config:
    chosen = None if warm_from is None else str(warm_from)
    return Config.model_validate({"source": {"time_field": "time"}, "state": {"warm_from": chosen}})


Make = Callable[[str | None], EngineWorkshop]


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Iterator[Make]:
    """Makes workshops whose keys begin with the lanes of a name, or anew."""
    bundle = load_bundle(shipped_bundle_path())
    made = []

    def workshop(name: str | None) -> EngineWorkshop:
        made.append(EngineWorkshop(_config(None if name is None else folder / f"{name}.lanes"), bundle, tmp_path))
        return made[-1]

    yield workshop
    for one in made:
        for place in PLACES:
            one.release(place)


def _verdicts(log: MemoryLog) -> list[dict[str, Any]]:
    found = log.contents("verdicts")
    return [json.loads(line) for part in found.values() for _, value, _ in part for line in value.splitlines()]


def test_every_record_has_a_verdict(make: Make, tmp_path: Path) -> None:
    """A fresh group that is given lanes warms nothing up, and finds a fault in the first records."""
    log = _log()
    Run(log, _files(tmp_path / "s"), workshop=make("old")).drain()
    verdicts = _verdicts(log)
    assert len(verdicts) == 2 * MESSAGES
    assert {one["disposition"] for one in verdicts} == {"scored"}
    flagged = {one["time"] // 1000 for one in verdicts if one["is_anomaly"]}
    assert flagged >= {START_MS + n * STEP_MS for n in SPIKES}
    cold = _log()
    Run(cold, _files(tmp_path / "t"), workshop=make(None)).drain()
    assert {one["disposition"] for one in _verdicts(cold)} == {"warming"}


@pytest.mark.parametrize("crashes", [[3], [12, 12], [20, 1, 9], [31], [25, 0, 0, 17]])
def test_a_crash_does_not_show(make: Make, tmp_path: Path, crashes: list[int]) -> None:
    """Wherever processes crash, keys begin with the same lanes: outputs and state are those of an unbroken run."""
    whole, log = _log(), _log()
    Run(whole, _files(tmp_path / "whole"), workshop=make("old")).drain()
    for calls in crashes:
        with pytest.raises(Crash):
            Run(log, _files(tmp_path / "s"), Trap(calls), workshop=make("old"), snapshot_interval_s=9.0).drain()
    Run(log, _files(tmp_path / "s"), workshop=make("old")).drain()
    assert _outputs(log) == _outputs(whole)
    assert _state(tmp_path / "s") == _state(tmp_path / "whole")


def test_other_lanes_are_taken_up_at_the_committed_offset(make: Make, tmp_path: Path) -> None:
    """Stopped in good order, the service goes over to other lanes behind a snapshot; keys that it knows go on."""
    log = _log()
    for place in PLACES:
        del log.partitions[place][120:]
    Run(log, _files(tmp_path / "s"), workshop=make("old")).drain()
    at = {f"in/{place.partition}": log.committed[place].offset for place in PLACES}
    rest = _log()
    for place in PLACES:
        log.partitions[place] += rest.partitions[place][120:]
    run = Run(log, _files(tmp_path / "s"), workshop=make("new"))
    run.drain()
    swaps = [fields for name, fields in run.notes.events if name == "swapped"]
    names = [past_of(lanes) for name in ("old", "new") if (lanes := make(name).lanes) is not None]
    assert {swap["place"]: swap["offset"] for swap in swaps} == at
    assert all(swap["keys_begin_with"] == names for swap in swaps)
    assert {one["disposition"] for one in _verdicts(log)} == {"scored"}

    whole = _log()
    Run(whole, _files(tmp_path / "t"), workshop=make("old")).drain()
    known, late = (
        [[one for one in _verdicts(each) if (one["key"] == "key-3") is is_late] for each in (log, whole)]
        for is_late in (False, True)
    )
    assert known[0] == known[1]
    assert late[0] != late[1]


@pytest.mark.parametrize(("calls", "found"), [(3, "no snapshot, and fresh lanes"), (27, "a snapshot at offset")])
def test_other_lanes_are_refused_while_records_have_to_be_done_again(
    make: Make, tmp_path: Path, calls: int, found: str
) -> None:
    """Behind a crash the lanes that keys began with are needed once more; the message names them."""
    log = _log()
    with pytest.raises(Crash):
        Run(log, _files(tmp_path / "s"), Trap(calls), workshop=make("old"), snapshot_interval_s=9.0).drain()
    lanes = make("old").lanes
    assert lanes is not None
    for other in ("new", None):
        with pytest.raises(LossError, match=f"{found}.*begi?a?n.* with lanes {lanes.id}"):
            Run(log, _files(tmp_path / "s"), workshop=make(other)).drain()
    Run(log, _files(tmp_path / "s"), workshop=make("old")).drain()
    whole = _log()
    Run(whole, _files(tmp_path / "whole"), workshop=make("old")).drain()
    assert _outputs(log) == _outputs(whole)


def test_lanes_can_be_given_later_and_taken_away(make: Make, tmp_path: Path) -> None:
    """Keys known without lanes go on as they are, and those that come later begin with them; or anew, without."""
    log = _log()
    for place in PLACES:
        del log.partitions[place][120:]
    Run(log, _files(tmp_path / "s"), workshop=make(None)).drain()
    rest = _log()
    for place in PLACES:
        log.partitions[place] += rest.partitions[place][120:200]
    Run(log, _files(tmp_path / "s"), workshop=make("old")).drain()
    fates = {(one["key"], one["disposition"]) for one in _verdicts(log)}
    assert fates == {("key-0", "warming"), ("key-1", "warming"), ("key-2", "warming"), ("key-3", "scored")}
    for place in PLACES:
        log.partitions[place] += rest.partitions[place][200:]
    run = Run(log, _files(tmp_path / "s"), workshop=make(None))
    run.drain()
    assert run.notes.names().count("swapped") == 2


@pytest.mark.parametrize(
    ("name", "error", "found"),
    [
        ("gone.lanes", UserError, "gone.lanes: found no readable file"),
        ("old.jsonl", ConfigError, "expected one file of lanes.*driftline warm .*old.jsonl --out"),
    ],
)
def test_what_is_no_file_of_lanes_ends_the_start(
    folder: Path, tmp_path: Path, name: str, error: type[Exception], found: str
) -> None:
    """A missing file and a history are refused, with the command that makes what is needed."""
    with pytest.raises(error, match=found):
        EngineWorkshop(_config(folder / name), load_bundle(shipped_bundle_path()), tmp_path)


def test_lanes_of_other_fields_end_the_start(folder: Path, tmp_path: Path) -> None:
    """Lanes of fields that the messages do not have are refused, both by name."""
    config = _config(folder / "old.lanes")
    other = config.model_copy(update={"source": config.source.model_copy(update={"value_fields": ("load",)})})
    with pytest.raises(UserError, match="found lanes of fields value; expected fields load"):
        EngineWorkshop(other, load_bundle(shipped_bundle_path()), tmp_path)
