import json
import re
from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv

from detectors.fleet import FAULTS, make_fleet
from pipeline.adapters.files import ColumnMapping, open_source, read_labels
from pipeline.cli import run
from pipeline.demo import SEED, claim, write_fleet, write_water_flow
from pipeline.errors import ConfigError


def test_the_demonstration_shows_both_and_runs_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both streams are replayed, faults are found and told by kind, and a second run writes over the first."""
    out = tmp_path / "demo"
    for _ in range(2):
        assert run(["demo", "--out", str(out), "--lanes", "16"]) == 0
    told = capsys.readouterr().out
    assert told.count("1,268 = 1,118 scored + 150 warming") == 2
    for fault in FAULTS:
        assert re.search(rf"{fault.replace('_', ' ')} +1 +[01] ", told)
    assert len(re.findall(r"^ [a-z ]+ +1 +1 +\d", told, re.MULTILINE)) > 2 * 4
    for name in ("water-flow", "fleet"):
        assert (out / name / "replay" / "report.html").exists()
    evaluation = json.loads((out / "fleet" / "replay" / "summary.json").read_bytes())["evaluation"]
    assert evaluation["windows"] == len(FAULTS)
    assert evaluation["recall"] > 0.6


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """The demonstration writes into a new or empty directory, or over its own, and into no other."""
    for name in ("new", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        claim(tmp_path / name)
        (tmp_path / name / "report.html").touch()
        claim(tmp_path / name)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(ConfigError, match="found something that is not a demonstration's"):
        claim(other)
    with pytest.raises(ConfigError, match="expected a new or empty directory"):
        claim(other / "thesis.txt")


def test_the_water_flow_is_the_whole_real_stream(tmp_path: Path) -> None:
    """The file holds two months of hours, read with the columns found out."""
    source = open_source(write_water_flow(tmp_path / "flow"), ColumnMapping())
    (batch,) = source.partitions[0].batches(10_000)
    assert len(batch) == 1268
    assert np.isfinite(batch.values).all()


def test_the_fleet_in_files_is_the_fleet(tmp_path: Path) -> None:
    """Records and labels come back from the files as they were made."""
    records, labels, faults = write_fleet(tmp_path / "fleet", 16)
    fleet = make_fleet(SEED, 16)
    (batch,) = open_source(records, ColumnMapping()).partitions[0].batches(1_000_000)
    assert np.array_equal(batch.time_us, fleet.time_us)
    assert np.array_equal(batch.values[:, 0], fleet.values)
    assert [batch.key_names[code] for code in batch.key_codes[:50]] == [
        fleet.key_names[c] for c in fleet.key_codes[:50]
    ]
    assert faults == fleet.labels
    assert read_labels(labels) == {label.key: [(label.start_us, label.end_us)] for label in fleet.labels}
    assert csv.read_csv(labels)["fault"].to_pylist() == [label.fault for label in fleet.labels]
