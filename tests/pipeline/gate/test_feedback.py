"""What people have said, in the gate."""

import numpy as np

from pipeline.cli.gate.known import known_anomalies
from pipeline.feedback import KINDS, Feedback, Kind, Ranges
from pipeline.gate.decision import Rule
from pipeline.gate.describing import Subject, describe
from pipeline.gate.tally import Tally
from pipeline.gate.trial import Trial
from tests.fakes import make_detector
from tests.pipeline.gate.samples import extent_of, streams, trial_of

HISTORY = streams()
OTHER = make_detector(gain=0.5, warm_up=50)
FIRST_US, LAST_US = int(HISTORY.time_us.min()), int(HISTORY.time_us.max())


def _said(kind: Kind, key: str | None = None, **more: int) -> Feedback:
    return Feedback(id=kind, kind=kind, key=key, **{"from_us": FIRST_US, "to_us": LAST_US} | more)  # type: ignore[arg-type]


def _tally(*said: Feedback, spans: dict[str, list[tuple[int, int]]] | None = None) -> Tally:
    return _trial(*said, spans=spans).tally


def _trial(*said: Feedback, spans: dict[str, list[tuple[int, int]]] | None = None) -> Trial:
    return trial_of([HISTORY], OTHER, spans=spans, feedback=Ranges(said))


PLAIN = _tally()
KEY = next(key for (key, _), lane in PLAIN.lanes.items() if PLAIN.alarms[:, lane].all())
"""With alarms of both sides."""


def test_alarms_in_maintenance_are_not_counted() -> None:
    """Neither as alarms nor as false ones nor as found; forecasts are judged as before."""
    of_key = [lane for (key, _), lane in PLAIN.lanes.items() if key == KEY]
    assert PLAIN.alarms[:, of_key].sum(axis=1).all()
    tally = _tally(_said("maintenance", KEY))
    assert tally.loss.tobytes() == PLAIN.loss.tobytes()
    assert tally.left_out.tolist() == PLAIN.alarms[:, of_key].sum(axis=1).tolist()
    assert (tally.false_alarms + tally.left_out).tolist() == PLAIN.false_alarms.tolist()
    assert (tally.time_alarms.sum(axis=1) + tally.left_out).tolist() == PLAIN.time_alarms.sum(axis=1).tolist()
    labelled = _tally(_said("maintenance"), spans={KEY: [(FIRST_US, LAST_US)]})
    assert [labelled.detection(side).detected for side in (0, 1)] == [0, 0]
    assert not labelled.false_alarms.any()


def test_alarms_in_a_false_alarm_are_false_whatever_labels_say() -> None:
    """They count as false alarms, and find no labelled anomaly."""
    spans = {KEY: [(FIRST_US, LAST_US)]}
    believed, doubted = _tally(spans=spans), _tally(_said("false_alarm", KEY), spans=spans)
    assert [believed.detection(side).detected for side in (0, 1)] == [1, 1]
    assert [doubted.detection(side).detected for side in (0, 1)] == [0, 0]
    assert (believed.false_alarms < PLAIN.false_alarms).all()
    assert doubted.false_alarms.tolist() == PLAIN.false_alarms.tolist()
    assert _tally(_said("false_alarm")).false_alarms.tolist() == PLAIN.false_alarms.tolist()


def test_a_true_anomaly_is_found_in_maintenance_too() -> None:
    """What was confirmed counts, whatever else was said of its time."""
    spans = {KEY: [(FIRST_US, LAST_US)]}
    tally = _tally(*(_said(kind, KEY) for kind in KINDS), spans=spans)
    assert [tally.detection(side).detected for side in (0, 1)] == [1, 1]
    assert not tally.left_out.any()


def test_true_anomalies_are_labelled_windows() -> None:
    """Beside those of a file of labels, merged with them, and alone; of keys that the history has, up to its end."""
    keys = {"key-1", "key-2"}
    labels = {"key-1": [(10, 20)]}
    notes: list[str] = []
    said = Ranges([
        Feedback(id="a", kind="true_anomaly", key="key-1", from_us=15, to_us=30),
        Feedback(id="b", kind="true_anomaly", keys="*-2", from_us=50),
        Feedback(id="c", kind="true_anomaly", key="key-9", from_us=50, to_us=60),
        Feedback(id="d", kind="maintenance", key="key-2", from_us=1, to_us=2),
        Feedback(id="e", kind="true_anomaly", key="key-2", from_us=200, to_us=300),
    ])  # fmt: skip
    both = known_anomalies("it", labels, said, keys, 100, notes.append)
    assert both == {"key-1": [(10, 30)], "key-2": [(50, 100)]}
    assert known_anomalies("it", None, said, keys, 100, notes.append) == {"key-1": [(15, 30)], "key-2": [(50, 100)]}
    assert known_anomalies("it", None, Ranges([_said("maintenance")]), keys, 100, notes.append) is None
    assert labels == {"key-1": [(10, 20)]}
    assert not notes


def test_the_report_tells_what_was_said() -> None:
    """How much of each kind, and the alarms left out of each side; nothing where nothing was said."""
    subjects = (Subject("0" * 64, "one", "test", None), Subject("1" * 64, "other", "test", None))
    trial = _trial(_said("maintenance", KEY))
    report = describe(trial, Rule(), subjects, extent_of([HISTORY]), {}, {})
    assert report["feedback"]["records"] == {"false_alarm": 0, "maintenance": 1, "true_anomaly": 0}
    left_out = report["feedback"]["alarms_left_out"]
    assert [left_out["champion"], left_out["challenger"]] == trial.tally.left_out.tolist()
    assert np.all(trial.tally.left_out > 0)
    assert describe(_trial(), Rule(), subjects, extent_of([HISTORY]), {}, {})["feedback"] is None
