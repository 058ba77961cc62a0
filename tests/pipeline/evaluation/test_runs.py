from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.evaluation.ranking import average_precision, vus_pr
from pipeline.cli import run
from pipeline.evaluation import evaluate_run, merge_spans
from tests.pipeline.cli.samples import write_stream


def test_a_run_is_measured_as_a_stream_is(tmp_path: Path) -> None:
    """Rankings are of all its points, those of the warm-up lowest; alerts are judged against the windows."""
    stream = write_stream(tmp_path / "machine.csv")
    assert run(["replay", str(stream), "--out", str(tmp_path / "o"), "--no-report", "--json", "--quiet"]) == 0
    table = pq.read_table(tmp_path / "o" / "verdicts.parquet")
    time_us = table["time"].cast(pa.int64()).to_numpy()
    score = np.nan_to_num(table["score"].to_numpy().astype(float))
    is_anomaly = np.zeros(600, bool)
    is_anomaly[450:460] = True
    found = evaluate_run(tmp_path / "o", {"machine": [(time_us[450], time_us[455]), (time_us[452], time_us[459])]})
    assert found["vus_pr"] == pytest.approx(vus_pr(score, is_anomaly))
    assert found["auc_pr"] == pytest.approx(average_precision(score, is_anomaly))
    assert (found["windows"], found["recall"], found["lanes"]) == (1, 1.0, 1)
    assert found["nab"]["standard"] > 80


def test_spans_that_overlap_are_one() -> None:
    """Those that share a moment are merged, by start; others stay apart."""
    assert merge_spans([(5, 9), (0, 2), (2, 3), (6, 7)]) == [(0, 3), (5, 9)]
