"""What of Prometheus' answers is a fault, and what is not."""

from dataclasses import replace
from typing import Any

import pytest

from tests.healthy.findings import Alert, Findings, faults, stretches

STEP_S = 15.0
SENT = 100
FINE = Findings(
    0.0,
    0.0,
    alerts=[Alert("Stale", "pending", 900.0, 900.0)],
    series={"driftline": (345.0, 345.0), "driftline-trainer": (31.0, 31.0)},
    figures={"records in": float(SENT), "records of lag at the end": 0.0},
)


def _series(name: str, state: str, *times: float) -> dict[str, Any]:
    return {"metric": {"alertname": name, "alertstate": state}, "values": [[at, "1"] for at in times]}


def test_a_stretch_ends_where_samples_are_missing() -> None:
    """An alert that came twice has two stretches, each with the state it was in and the time it waits."""
    series = [_series("Stale", "pending", 0, 15, 30, 300), _series("Down", "firing", 15, 30)]
    assert list(stretches(series, STEP_S, {"Stale": 900.0, "Down": 120.0})) == [
        Alert("Stale", "pending", 30.0, 900.0),
        Alert("Stale", "pending", 0.0, 900.0),
        Alert("Down", "firing", 15.0, 120.0),
    ]


def test_what_is_well_has_no_fault() -> None:
    """An alert that waits as long as it should and goes away is none."""
    assert list(faults(FINE, SENT, STEP_S, 0)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"alerts": [Alert("Down", "firing", 0.0, 120.0)]}, "Down fired for 0 s and more"),
        (
            {"alerts": [Alert("Down", "pending", 140.0, 120.0)]},
            "Down was pending for 140 s, though it fires after 120 s",
        ),
        ({"unhealthy": {"Down": "no such metric"}}, "Down cannot be evaluated: no such metric"),
        ({"down": ["127.0.0.1:1"]}, "127.0.0.1:1 did not answer Prometheus"),
        ({"restarted": ["127.0.0.1:1"]}, "127.0.0.1:1 was started anew"),
        (
            {"series": {**FINE.series, "driftline": (345.0, 350.0)}},
            "driftline had 345 to 350 series; expected as many all the time",
        ),
        (
            {"series": {"driftline": (345.0, 345.0)}},
            "found series of ['driftline']; expected ['driftline', 'driftline-trainer']",
        ),
        ({"figures": {"records in": 99.0}}, "99 records were consumed of 100 sent"),
        ({"figures": {**FINE.figures, "records of lag at the end": 7.0}}, "7 records were left unread"),
    ],
)
def test_what_is_amiss_is_told(change: dict[str, Any], told: str) -> None:
    """Each thing that a healthy installation would not show is one line."""
    assert list(faults(replace(FINE, **change), SENT, STEP_S, 0)) == [told]


def test_how_the_service_ended_counts() -> None:
    """A service that does not end well has not been well."""
    assert list(faults(FINE, SENT, STEP_S, 1)) == ["the service ended with 1"]
