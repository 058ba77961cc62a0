"""What is marked, what is told behind a range, and that neither verdicts nor the size of batches have a part in it."""

import json
from collections.abc import Iterable, Sequence
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codec.anomalies import encode_anomalies, encode_anomaly
from pipeline.engine import EngineConfig, Outcome
from pipeline.feedback import KINDS, OPEN_US, Feedback, Ranges
from pipeline.records import Anomaly, Batch
from pipeline.silence import SilenceRule
from pipeline.suppression import Marker
from pipeline.windows import TimeWindows
from tests.fakes import INTERVAL_US, START_US, cut, every, make_batch, make_detector, make_engine, process

KEYS = ["a", "b", "c"]
POINTS = 420
SILENT = range(250, 330)
"""Rounds in which the last key is not heard of."""
CONFIGS = {
    "one by one": EngineConfig(silence=SilenceRule(20.0, 60)),
    "event time": EngineConfig(windows=TimeWindows(4 * INTERVAL_US, INTERVAL_US), silence=SilenceRule(20.0, 60)),
}


def _at(round_: int) -> int:
    return START_US + round_ * INTERVAL_US


@cache
def _stream() -> Batch:
    """Noise of three keys with faults: short ones, a long one, and a silence."""
    rng = np.random.default_rng(7)
    values = rng.normal(size=(POINTS, len(KEYS), 2))
    values[120:175, 0] += (6 * 1.2 ** np.arange(55))[:, None] * rng.choice([-1, 1], (55, 2))
    values[150:153, 1, 0] += 20
    values[300:303, 1, 1] += 20
    rows = [(n, k) for n in range(POINTS) for k in range(len(KEYS)) if k != 2 or n not in SILENT]
    return make_batch(
        [KEYS[k] for _, k in rows], np.array([_at(n) for n, _ in rows]), np.array([values[n, k] for n, k in rows])
    )


@cache
def _outcomes(config: str, size: int) -> tuple[Outcome, ...]:
    engine = make_engine(make_detector(gain=0, threshold=1.9, warm_up=60, rest=8), CONFIGS[config], fields=("x", "y"))
    return tuple(process(engine, cut(_stream(), every(_stream(), size))))


ORIGIN = make_engine().origin


def _mark(outcomes: Iterable[Outcome], said: Sequence[Feedback], *, drop: bool = False) -> list[Anomaly]:
    """The events as they are told, by way of what is saved and loaded behind every batch."""
    told: list[Anomaly] = []
    state: dict[str, object] = {}
    for outcome in outcomes:
        marker = Marker(lambda: Ranges(said), drop=drop)
        marker.load(json.loads(json.dumps(state)))
        marked = marker.mark(outcome, ORIGIN)
        assert marked.outcome.verdicts is outcome.verdicts
        assert marked.outcome.counts is outcome.counts
        told += marked.outcome.anomalies
        state = marker.save()
    return told


def _maintenance(key: str | None, first: int, last: int, **more: object) -> Feedback:
    return Feedback(id="m", kind="maintenance", key=key, from_us=_at(first), to_us=_at(last), **more)  # type: ignore[arg-type]


def _is(one: Anomaly) -> str:
    """'suppressed', 'outlasted' or ''."""
    for name in ("suppressed", "outlasted"):
        if getattr(one, name) is not msgspec.UNSET:
            return name
    return ""


@st.composite
def feedbacks(draw: st.DrawFn) -> list[Feedback]:
    """Some, about the faults and about what lies around them."""
    found = []
    for number in range(draw(st.integers(0, 5))):
        start = draw(st.integers(100, POINTS))
        end = draw(st.sampled_from([0, 3, 20, 60, 150, None]))
        found.append(
            Feedback(
                id=f"f{number}",
                kind=draw(st.sampled_from(KINDS)),
                key=draw(st.sampled_from([None, *KEYS])),
                field=draw(st.sampled_from([None, None, "x", "*"])),
                from_us=_at(start),
                to_us=OPEN_US if end is None else _at(start + end),
            )
        )
    return found


@settings(deadline=None, max_examples=80)
@given(said=feedbacks(), config=st.sampled_from(sorted(CONFIGS)), size=st.sampled_from([1, 7, 100, 333]))
def test_where_batches_end_changes_nothing(said: list[Feedback], config: str, size: int) -> None:
    """The same events in the same order however the stream was cut, and dropping leaves out just what marking marks."""
    whole = _mark(_outcomes(config, 10_000), said)
    assert encode_anomalies(_mark(_outcomes(config, size), said)) == encode_anomalies(whole)
    dropped = _mark(_outcomes(config, 10_000), said, drop=True)
    assert encode_anomalies(dropped) == encode_anomalies(one for one in whole if _is(one) != "suppressed")


@settings(deadline=None, max_examples=80)
@given(said=feedbacks(), config=st.sampled_from(sorted(CONFIGS)))
def test_an_episode_is_told_from_its_first_flagged_point_that_is_not_suppressed(
    said: list[Feedback], config: str
) -> None:
    """Against the rule spelled out: an episode that began in a range is told once at the first point behind it."""
    (outcome,) = _outcomes(config, 10_000)
    (table,) = outcome.verdicts
    ranges = Ranges(said)
    flagged: dict[tuple[str, str, int], list[int]] = {}
    for at in np.flatnonzero(table.is_anomaly).tolist():
        lane = table.key_names[table.key[at]], table.field_names[table.field[at]]
        flagged.setdefault((*lane, int(table.episode[at])), []).append(int(table.time_us[at]))
    marked = [one for one in _mark([outcome], said) if one.kind != "silence"]
    natural = {one.id for one in outcome.anomalies}
    for (key, field, position), of_episode in flagged.items():
        times = sorted(of_episode)
        events = [
            one for one in marked if (one.key, one.field) == (key, field) and one.episode.split("/")[2] == str(position)
        ]
        free = [at for at in times if ranges.suppressing(key, field, at) is None]
        is_held = ranges.suppressing(key, field, times[0]) is not None
        assert _is(events[0]) == ("suppressed" if is_held else "")
        told = [one for one in events if _is(one) == "outlasted"]
        assert len(told) == (1 if is_held and free else 0)
        if told:
            assert told[0].event == "worsened"
            assert _us(told[0].time) == free[0]
            rows = np.flatnonzero((table.time_us == free[0]) & (table.episode == position))
            assert (told[0].position, told[0].index) in {ORIGIN.place(int(of)) for of in table.position[rows]}
            assert told[0].points == sum(at <= free[0] for at in times)
        for one in events:
            if one.event == "closed":
                assert _is(one) == ("suppressed" if is_held and not free else "")
            elif one.event == "worsened" and _is(one) != "outlasted":
                assert _is(one) == ("suppressed" if ranges.suppressing(key, field, _us(one.time)) else "")
    assert len({one.id for one in marked}) == len(marked)
    kept = [one for one in marked if one.id in natural]
    plain = [msgspec.structs.replace(one, suppressed=msgspec.UNSET, outlasted=msgspec.UNSET) for one in kept]
    assert encode_anomalies(plain) == encode_anomalies(one for one in outcome.anomalies if one.kind != "silence")


def _us(iso: str) -> int:
    return int(np.datetime64(iso.removesuffix("Z"), "us").astype(np.int64))


def _flagged_until(one: Anomaly) -> int:
    """Flagged points of an episode up to an event."""
    (table,) = _outcomes("one by one", 10_000)[0].verdicts
    of_lane = (table.key == table.key_names.index(one.key)) & (table.field == table.field_names.index(one.field))
    within = (table.time_us >= _us(one.opened_at)) & (table.time_us <= _us(one.time))
    return int((table.is_anomaly & of_lane & within).sum())


def test_an_alarm_that_outlasts_maintenance_is_told_when_that_is_over() -> None:
    """A fault that began in a window and goes on is one event more, at the first flagged point behind the window."""
    told = [
        one
        for one in _mark(_outcomes("one by one", 50), [_maintenance("a", 90, 140, note="bearing")])
        if one.key == "a"
    ]
    reminders = [one for one in told if one.id.endswith("/outlasted")]
    assert {one.field for one in reminders} >= {"x"}
    for one in reminders:
        assert one.outlasted == msgspec.convert(
            {"id": "m", "kind": "maintenance", "note": "bearing"}, type(one.outlasted)
        )
        assert _at(140) < _us(one.time) <= _at(146)
        assert one.reason.startswith("goes on behind maintenance, in which it was suppressed")
        assert one.observed is not None
        assert one.expected is not None
        assert one.reason.endswith(" was forecast")
        assert one.points == _flagged_until(one)
        opened = next(other for other in told if other.id == one.episode)
        assert _is(opened) == "suppressed"
        assert b'"suppressed":{"id":"m","kind":"maintenance","note":"bearing"}' in encode_anomaly(opened)
    assert b"suppressed" not in encode_anomaly(next(one for one in _outcomes("one by one", 50)[-1].anomalies))


def test_an_alarm_that_ends_in_maintenance_is_suppressed_to_its_end() -> None:
    """Its close too, which comes some quiet points behind the window."""
    told = [one for one in _mark(_outcomes("one by one", 50), [_maintenance("b", 145, 155)]) if one.key == "b"]
    of_window = [one for one in told if _at(145) <= _us(one.opened_at) <= _at(155)]
    assert {one.event for one in of_window} >= {"opened", "closed"}
    assert {_is(one) for one in of_window} == {"suppressed"}
    assert {_is(one) for one in told if one not in of_window} == {""}


def test_an_alarm_from_before_maintenance_is_told_to_its_end() -> None:
    """Whoever was told of an alarm is told of its end, though that lies in a window."""
    told = [one for one in _mark(_outcomes("one by one", 50), [_maintenance(None, 153, 300)]) if one.key == "b"]
    closed = next(one for one in told if one.event == "closed" and _us(one.opened_at) < _at(153) < _us(one.time))
    assert _is(closed) == ""


def test_a_silence_that_outlasts_maintenance_is_told() -> None:
    """When it has gone on behind the window for as long as it took to be noticed; one that ends by then is not."""
    told = [one for one in _mark(_outcomes("one by one", 50), [_maintenance("c", 240, 280)]) if one.kind == "silence"]
    assert [(one.event, one.field, _is(one)) for one in told] == [
        ("opened", "x", "suppressed"), ("opened", "y", "suppressed"),
        ("worsened", "x", "outlasted"), ("worsened", "y", "outlasted"),
        ("closed", "x", ""), ("closed", "y", ""),
    ]  # fmt: skip
    waited = _us(told[0].time) - _us(told[0].opened_at)
    assert _us(told[2].time) == _at(280) + waited + INTERVAL_US
    assert told[2].reason == "still no value behind maintenance, in which the silence was noticed"
    told = [one for one in _mark(_outcomes("one by one", 50), [_maintenance("c", 240, 320)]) if one.kind == "silence"]
    assert [(one.event, _is(one)) for one in told] == [("opened", "suppressed")] * 2 + [("closed", "suppressed")] * 2


def test_a_silence_is_told_at_the_record_that_shows_it() -> None:
    """By event time that is the record which closed the window, not the one that the window's point stands for."""
    outcome = _outcomes("event time", 10_000)[0]
    (table,) = outcome.verdicts
    (one, _) = (
        one
        for one in _mark([outcome], [_maintenance("c", 240, 280)])
        if one.kind == "silence" and _is(one) == "outlasted"
    )
    rows = table.time_us == _us(one.time)
    assert one.position in {ORIGIN.place(int(position))[0] for position in table.released_by[rows]}
    assert one.position not in {ORIGIN.place(int(position))[0] for position in table.position[rows]}


def test_what_is_withdrawn_is_told_with_the_next_flagged_point() -> None:
    """An episode that was held back is told once nothing holds it back any more."""
    said = [_maintenance("a", 90, 400)]
    marker = Marker(lambda: Ranges(said))
    told = []
    for outcome in _outcomes("one by one", 7):
        for one in marker.mark(outcome, ORIGIN).outcome.anomalies:
            told.append(one)
            if one.key == "a" and _is(one) == "suppressed":
                said = []
    mine = [one for one in told if one.key == "a"]
    assert _is(mine[0]) == "suppressed"
    assert "outlasted" in {_is(one) for one in mine}


@pytest.mark.parametrize("kind", ["maintenance", "false_alarm"])
def test_a_true_anomaly_is_told_in_any_range(kind: str) -> None:
    """What somebody has confirmed is suppressed by nothing."""
    window = _maintenance("b", 145, 155)
    said = [
        Feedback(id="w", kind=kind, key="b", from_us=window.from_us, to_us=window.to_us),  # type: ignore[arg-type]
        Feedback(id="t", kind="true_anomaly", key="b", field="x", from_us=window.from_us, to_us=window.to_us),
    ]
    told = [one for one in _mark(_outcomes("one by one", 50), said) if one.key == "b" and one.field == "x"]
    assert told
    assert {_is(one) for one in told} == {""}
