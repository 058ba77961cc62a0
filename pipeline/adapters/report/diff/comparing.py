"""Compares two runs: everything that differs, as plain values, and the points of the streams that differ most."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from pipeline.adapters.report.diff.agreement import Agreement
from pipeline.adapters.report.diff.alarms import Alarm, Name, pair_alarms
from pipeline.adapters.report.diff.aligning import align
from pipeline.adapters.report.diff.runs import Run
from pipeline.adapters.report.diff.settings import differences
from pipeline.adapters.report.limits import Limits
from pipeline.adapters.report.survey import Survey, survey
from pipeline.adapters.report.thin import thin
from pipeline.adapters.report.verdicts import Points, Verdicts
from pipeline.records import Severity

FORMAT = 1
USUAL_STEPS = 10
"""Alarms that are no more than so many usual steps of their lane apart are the same, unless a time is given."""
MOST_TOLD = 10_000
"""Alarms and lanes that are told; of all of them there are counts."""
PLOTTED = 12
_LIMITS = Limits(ordinary_points=PLOTTED * 900, whole_points=PLOTTED * 600, flagged_points=PLOTTED * 300)
_QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it.

    Attributes:
        told: plain values, as `driftline report diff --json` prints them; docs/report-diff.md describes them.
        alarms: of both runs, in order of time.
        plotted: lanes that differ most, with their points in both runs, none where a run has none.
        agreement: None where verdicts were not compared.
    """

    told: dict[str, Any]
    alarms: list[Alarm]
    plotted: list[tuple[Name, Points | None, Points | None]]
    agreement: Agreement | None

    @property
    def is_equal(self) -> bool:
        """Whether both runs say the same of every point."""
        return bool(self.told["equal"])


def compare(
    a: Run, b: Run, *, tolerance_ms: float | None = None, moved: Callable[[int], None] = lambda _rows: None
) -> Comparison:
    """Everything in which two runs differ. Walks three times over the verdicts, in chunks.

    Args:
        a, b: with the same parts.
        tolerance_ms: most time between alarms that are one; None for ten usual steps of their lane.
        moved: told of rows that have been walked over.

    Raises:
        InputError: the verdicts of a run cannot be read.
    """
    surveys: tuple[Survey, Survey] | None = None
    agreement = None
    lanes: dict[Name, int] = {}
    if a.verdicts is not None and b.verdicts is not None:
        lanes = b.verdicts.lanes = a.verdicts.lanes
        surveys = survey(_told_of(a.verdicts, moved)), survey(_told_of(b.verdicts, moved))
        agreement = Agreement()
        for aligned in align(a.verdicts, b.verdicts):
            agreement.add(aligned, len(lanes))
            moved(len(aligned.a) * 2 + len(aligned.only_a) + len(aligned.only_b))
    steps = _usual_steps_ms(lanes, surveys)
    alarms = pair_alarms(
        a.episodes or (), b.episodes or (),
        lambda lane: steps.get(lane, 0.0) * USUAL_STEPS if tolerance_ms is None else tolerance_ms,
    )  # fmt: skip
    settings = differences(a.summary, b.summary) if a.summary is not None and b.summary is not None else {}
    rows = _lanes(lanes, alarms, agreement)
    told = {
        "format": FORMAT,
        "a": _run(a),
        "b": _run(b),
        "equal": _is_equal(settings, alarms, agreement),
        "settings": {group: [one._asdict() for one in found] for group, found in settings.items()},
        "alarms": _alarms(alarms, tolerance_ms) if a.episodes is not None else None,
        "verdicts": None if agreement is None else _verdicts(agreement, list(lanes)),
        "lanes_in_all": len(rows),
        "lanes": rows[:MOST_TOLD],
    }
    return Comparison(told, alarms, _plotted(rows, lanes, surveys, a.verdicts, b.verdicts, moved), agreement)


def _told_of(verdicts: Verdicts, moved: Callable[[int], None]) -> Iterator[Points]:
    for chunk in verdicts.chunks():
        yield chunk
        moved(len(chunk))


def _is_equal(settings: dict[str, Any], alarms: Iterable[Alarm], agreement: Agreement | None) -> bool:
    if any(found for group, found in settings.items() if group != "run"):
        return False
    if not all(alarm.is_same for alarm in alarms):
        return False
    return agreement is None or not any(agreement.count(name).any() for name in ("only_a", "only_b", "differing"))


def _usual_steps_ms(lanes: dict[Name, int], surveys: tuple[Survey, Survey] | None) -> dict[Name, float]:
    """Mean time between the points of a lane, in the run that has more of them."""
    steps: dict[Name, float] = {}
    for found in surveys or ():
        for lane, number in lanes.items():
            if number < len(found.points) and found.points[number] > 1:
                span = float(found.last_us[number] - found.first_us[number]) / 1000
                steps[lane] = max(steps.get(lane, 0.0), span / float(found.points[number] - 1))
    return steps


def _run(run: Run) -> dict[str, Any]:
    summary = run.summary or {}
    return {"path": str(run.path), **{name: summary.get(name) for name in ("source", "bundle", "config_hash")}}


def _alarms(alarms: list[Alarm], tolerance_ms: float | None) -> dict[str, Any]:
    return {
        "tolerance_s": None if tolerance_ms is None else tolerance_ms / 1000,
        "usual_steps": USUAL_STEPS if tolerance_ms is None else None,
        "both": sum(one.a is not None and one.b is not None for one in alarms),
        "both_the_same": sum(one.is_same for one in alarms),
        "only_a": sum(one.b is None for one in alarms),
        "only_b": sum(one.a is None for one in alarms),
        "told": [_alarm(one) for one in sorted(alarms, key=_by_interest)[:MOST_TOLD] if not one.is_same],
    }


def _by_interest(alarm: Alarm) -> tuple[bool, int, float, float]:
    """Sorts those of one run alone first, and the worst of them."""
    _, severity, peak = alarm.either.rank
    return alarm.a is not None and alarm.b is not None, -severity, -peak, alarm.either.opened_ms


def _alarm(alarm: Alarm) -> dict[str, Any]:
    episode = alarm.either
    return {
        "in": "both" if alarm.a and alarm.b else "a" if alarm.a else "b",
        "key": episode.key,
        "field": episode.field,
        "kind": episode.kind,
        "opened": [None if one is None else _iso(one.opened_ms * 1000) for one in (alarm.a, alarm.b)],
        "severity": [None if one is None else Severity(one.severity).name.lower() for one in (alarm.a, alarm.b)],
        "peak_score": [None if one is None else one.peak_score for one in (alarm.a, alarm.b)],
        "reason": episode.reason,
    }


def _verdicts(agreement: Agreement, names: list[Name]) -> dict[str, Any]:
    both, judged = int(agreement.count("both").sum()), int(agreement.count("judged").sum())
    flagged = {name: int(agreement.count(f"flagged_{name}").sum()) for name in ("a", "b", "both")}
    scored, largest = agreement.scored, agreement.largest
    return {
        "both": both,
        "only_a": int(agreement.count("only_a").sum()),
        "only_b": int(agreement.count("only_b").sum()),
        "identical": both - int(agreement.count("differing").sum()),
        "flagged": {
            "both": flagged["both"], "only_a": flagged["a"] - flagged["both"], "only_b": flagged["b"] - flagged["both"],
        },
        "scores": {
            "both": scored,
            "correlation": agreement.correlation,
            "mean_difference": float(agreement.moments[1] - agreement.moments[0]) / scored if scored else None,
            "mean_absolute_difference": float(agreement.sum("apart").sum()) / scored if scored else None,
            "quantiles": {
                f"{share:g}": [agreement.quantile(side, share) for side in (0, 1)] for share in _QUANTILES
            },
            "largest": [
                {
                    "key": names[lane][0], "field": names[lane][1], "time": _iso(at),
                    "a": float(ours), "b": float(theirs),
                }
                for lane, at, ours, theirs in zip(largest.lane, largest.time_us, largest.a, largest.b, strict=True)
            ],
        },
        "forecasts": {
            "both": judged,
            "closer": dict(zip(("a", "b", "neither"), agreement.closer.tolist(), strict=True)),
            "in_band": [int(one) / judged if judged else None for one in agreement.covered],
        },
    }  # fmt: skip


def _lanes(lanes: dict[Name, int], alarms: Iterable[Alarm], agreement: Agreement | None) -> list[dict[str, Any]]:
    """A row for each lane, those that differ most first."""
    by_lane: dict[Name, list[int]] = {lane: [0, 0, 0] for lane in lanes}
    for alarm in alarms:
        place = 0 if alarm.a and alarm.b else 1 if alarm.a else 2
        by_lane.setdefault(alarm.lane, [0, 0, 0])[place] += 1
    rows = []
    for lane, (both, only_a, only_b) in by_lane.items():
        row: dict[str, Any] = {
            "key": lane[0], "field": lane[1], "alarms": {"both": both, "only_a": only_a, "only_b": only_b},
        }  # fmt: skip
        if agreement is not None and lane in lanes:
            at = lanes[lane]
            judged = int(agreement.count("judged")[at])
            row |= {
                "points": {name: int(agreement.count(name)[at]) for name in ("both", "only_a", "only_b", "differing")},
                "flagged": [int(agreement.count(f"flagged_{side}")[at]) for side in "ab"],
                "mean_error": [float(agreement.sum(f"error_{side}")[at]) / judged if judged else None for side in "ab"],
                "largest_difference": float(agreement.apart[at]),
            }
        rows.append(row)
    return sorted(rows, key=_rank)


def _rank(row: dict[str, Any]) -> tuple[Any, ...]:
    alarms, flagged = row["alarms"], row.get("flagged", [0, 0])
    apart = row.get("largest_difference", 0.0)
    return -(alarms["only_a"] + alarms["only_b"]), -abs(flagged[0] - flagged[1]), -apart, row["key"], row["field"]


def _plotted(
    rows: list[dict[str, Any]],
    lanes: dict[Name, int],
    surveys: tuple[Survey, Survey] | None,
    a: Verdicts | None,
    b: Verdicts | None,
    moved: Callable[[int], None],
) -> list[tuple[Name, Points | None, Points | None]]:
    if surveys is None or a is None or b is None:
        return []
    names = [(row["key"], row["field"]) for row in rows[:PLOTTED]]
    numbers = [lanes.get(name, -1) for name in names]
    points = []
    for verdicts, found in ((a, surveys[0]), (b, surveys[1])):
        there = [one for one in numbers if 0 <= one < len(found.points) and found.points[one]]
        points.append(thin(_told_of(verdicts, moved), found, np.array(sorted(there), np.int64), _LIMITS))
    return [(name, points[0].get(number), points[1].get(number)) for name, number in zip(names, numbers, strict=True)]


def _iso(time_us: float) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(time_us))
    return at.isoformat().replace("+00:00", "Z")
