"""The joint lane at the engine: one more lane of a key, that its fields know nothing of."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.thresholds import ThresholdTable, make_decision
from pipeline.engine import EngineConfig, Outcome, PartitionEngine
from pipeline.episodes import iso_time
from pipeline.records import JOINT, Anomaly, Batch, Disposition
from pipeline.silence import SilenceRule
from pipeline.windows import CountWindows, TimeWindows, WindowSpec
from pipeline.wording import brief
from tests.fakes import (
    INTERVAL_US,
    START_US,
    cut,
    every,
    make_batch,
    make_detector,
    make_engine,
    one_stream,
    process,
    rows_by_lane,
    tables_of,
)

FIELDS = ("flow", "heat", "load")
DETECTOR = make_detector(gain=0, threshold=1.9, warm_up=60, quiet=10)
WINDOWS: dict[str, WindowSpec] = {
    "points": CountWindows(),
    "hop": CountWindows(64, 8),
    "means": TimeWindows(12 * INTERVAL_US, 2 * INTERVAL_US, allowed_lateness_us=INTERVAL_US, aggregate="mean"),
    "sums": TimeWindows(INTERVAL_US, INTERVAL_US, aggregate="sum", silence_panes=8),
}


def _together(rng: np.random.Generator, count: int, fields: int = 3) -> NDArray[np.float64]:
    """Fields that go up and down together, in units of their own."""
    factor = np.convolve(rng.normal(size=count + 20), np.ones(21) / 21**0.5, "valid")
    return (factor[:, None] + 0.2 * rng.normal(size=(count, fields))) * 10.0 ** np.arange(fields) + 5


def _engine(windows: str = "points", *, joint: bool = True, keys_in_memory: int | None = None) -> PartitionEngine:
    config = EngineConfig(windows=WINDOWS[windows], joint=joint, silence=SilenceRule(heard_points=50))
    return make_engine(DETECTOR, config, fields=FIELDS, keys_in_memory=keys_in_memory)


def _fleet() -> Batch:
    """Several keys in turn, with values missing, a field that breaks away, and keys that pause."""
    rng = np.random.default_rng(7)
    records = []
    for key in range(6):
        values = _together(rng, 300)
        values[180 + key : 220 + key, key % 3] = values[180 + key : 220 + key, key % 3][::-1]
        missing = rng.random(values.shape) < 0.08
        missing[:200] = False  # with a hop above 1, fields that lack a value are out of step from then on
        values[missing] = np.nan
        there = (np.arange(300) < 120) | (np.arange(300) >= 130 + 5 * key)
        records += [(START_US + key * 1_000 + INTERVAL_US * n, f"key{key}", *values[n]) for n in np.flatnonzero(there)]
    records.sort()
    times, names, *columns = zip(*records, strict=True)
    return make_batch(names, np.array(times), np.array(columns).T)


BATCH = _fleet()


def _joint_rows(outcomes: Sequence[Outcome], name: str) -> NDArray[np.float64]:
    return np.concatenate(
        [getattr(table, name)[table.field == table.field_names.index(JOINT)] for table in tables_of(outcomes)]
    )


def _joint_lanes(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], dict[str, bytes]]:
    return {
        lane: {name: column for name, column in columns.items() if name != "released_by"}
        for lane, columns in rows_by_lane(outcomes).items()
        if lane[1] == JOINT
    }


def _joint_reports(outcomes: Sequence[Outcome]) -> list[Anomaly]:
    return [anomaly for outcome in outcomes for anomaly in outcome.anomalies if anomaly.field == JOINT]


def test_fields_say_the_same_without_it() -> None:
    """Every verdict of a field is the same bits, and so is every report but those of joint lanes."""
    with_it, without = process(_engine(), [BATCH]), process(_engine(joint=False), [BATCH])
    lanes = rows_by_lane(with_it)
    joint = {lane for lane in lanes if lane[1] == JOINT}
    assert len(joint) == 6
    assert {lane: rows for lane, rows in lanes.items() if lane not in joint} == rows_by_lane(without)
    told = [anomaly for outcome in with_it for anomaly in outcome.anomalies if anomaly.field != JOINT]
    assert told == [anomaly for outcome in without for anomaly in outcome.anomalies]


def test_a_field_that_leaves_the_others_raises_an_alarm_of_all() -> None:
    """Each field alone is as usual; together they are odd, and the field that broke away has the largest share."""
    rng = np.random.default_rng(7)
    values, others = _together(rng, 1600), _together(rng, 1600)
    n = np.arange(1600)
    away = np.sqrt(np.clip(np.minimum(n - 1200, 1280 - n) / 20, 0, 1))  # there and back again without a jump
    values[:, 1] = np.sqrt(1 - away**2) * (values[:, 1] - 5) + away * (others[:, 1] - 5) + 5
    outcomes = process(make_engine(DETECTOR, fields=FIELDS), [one_stream(values)])
    anomalies = [anomaly for outcome in outcomes for anomaly in outcome.anomalies if anomaly.event != "closed"]
    found = [anomaly for anomaly in anomalies if 1200 < anomaly.position <= 1300]
    assert {anomaly.field for anomaly in found} == {JOINT}
    assert found[0].contributions.keys() == {*FIELDS}
    assert max(found[0].contributions, key=found[0].contributions.__getitem__) == "heat"
    assert sum(found[0].contributions.values()) == pytest.approx(1, abs=1e-3)
    assert found[0].kind == "point"
    assert f"/{JOINT}/" in found[0].id
    assert found[0].observed is not None
    assert found[0].observed > 2
    heat = brief(values[found[0].position - 1, 1])
    assert found[0].reason.startswith(f"the fields do not go together as usual, above all heat at {heat} (")
    assert f"({found[0].contributions['heat']:.0%} of what is odd)" in found[0].reason


def test_joint_lanes_can_have_thresholds_of_their_own() -> None:
    """Then theirs decide, and tell how rare a score is, in joint lanes alone; fields say what they say without."""
    tables = (
        ThresholdTable((60, 500), (-4.0, -2.0), ((high, low), (high, low))) for high, low in ((2.6, 1.9), (2.4, 1.3))
    )
    one, other = (
        dataclasses.replace(DETECTOR, decision=make_decision(table, 10.0, warm_up=60, quiet=10), table=table)
        for table in tables
    )
    batch = _fleet()
    alike = process(make_engine(one, fields=FIELDS), [batch])
    apart = process(make_engine(dataclasses.replace(one, joint_lanes=other), fields=FIELDS), [batch])
    judged = [np.isfinite(_joint_rows(outcomes, "score")) for outcomes in (alike, apart)]
    assert set(_joint_rows(alike, "threshold")[judged[0]]) == {np.float32(1.9)}
    assert set(_joint_rows(apart, "threshold")[judged[1]]) == {np.float32(1.3)}

    def of_fields(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], dict[str, bytes]]:
        return {lane: rows for lane, rows in rows_by_lane(outcomes).items() if lane[1] != JOINT}

    assert of_fields(alike) == of_fields(apart)
    opened = [
        (anomaly.score, anomaly.once_in)
        for anomaly in _joint_reports(apart)
        if anomaly.event == "opened" and anomaly.score is not None and 1.3 < anomaly.score < 2.3
    ]
    assert len(opened) > len([one for one in _joint_reports(alike) if one.event == "opened"])
    assert [once_in for _, once_in in opened] == pytest.approx(
        [10 ** (2 + 2 * (score - 1.3) / 1.1) for score, _ in opened], rel=0.06
    )


def test_a_relation_that_turns_around_is_told_once_and_accepted() -> None:
    """Its episode ends as a level shift of the relation, in words, not in levels of what nobody has measured."""
    values = _together(np.random.default_rng(8), 3000, 6)
    values[1200:, 1] = 10 - values[1200:, 1]
    outcomes = process(make_engine(DETECTOR, fields=tuple("abcdef")), [one_stream(values)])
    (shift,) = [anomaly for anomaly in _joint_reports(outcomes) if anomaly.kind == "level_shift"]
    assert shift.reason.startswith("the fields go together less closely than before, and that stayed; closed after ")


def test_values_are_told_of_the_record_they_belong_to() -> None:
    """Several keys in one batch, and panes that end together, do not mix: each reason names values of its own key."""
    touchy = make_detector(gain=0, threshold=1.6, warm_up=60, quiet=10)
    for windows in ("points", "hop", "sums"):
        outcomes = process(make_engine(touchy, EngineConfig(WINDOWS[windows]), fields=FIELDS), [BATCH])
        values: dict[tuple[str, str], set[str]] = {}
        for table in tables_of(outcomes):
            for key, time_us, value in zip(
                table.key.tolist(), table.time_us.tolist(), table.value.tolist(), strict=True
            ):
                values.setdefault((table.key_names[key], iso_time(time_us)), set()).add(brief(value))
        told = [a for a in _joint_reports(outcomes) if a.event != "closed" and " at " in a.reason]
        assert told
        for anomaly in told:
            named = re.findall(r" at ([-\d.,e+]+) \(", anomaly.reason)
            assert named
            assert {*named} <= values[anomaly.key, anomaly.time]


def test_forecasts_of_joint_lanes_are_no_residuals() -> None:
    """How far forecasts are off tells of the bundle, so it is measured on what was measured: fields alone."""
    for windows in WINDOWS:
        with_it, without = process(_engine(windows), [BATCH])[0], process(_engine(windows, joint=False), [BATCH])[0]
        assert with_it.residuals.points == without.residuals.points > 0
        assert with_it.residuals.total == without.residuals.total


@pytest.mark.parametrize("windows", list(WINDOWS))
@pytest.mark.parametrize("size", [1, 13, 400])
def test_micro_batches_do_not_show(windows: str, size: int) -> None:
    """Verdicts and reports of joint lanes are the same bits however records are cut."""
    whole = process(_engine(windows), [BATCH])
    assert (_joint_rows(whole, "disposition") == Disposition.SCORED).any()
    parts = process(_engine(windows), cut(BATCH, every(BATCH, size)))
    assert _joint_lanes(parts) == _joint_lanes(whole)
    assert _joint_reports(parts) == _joint_reports(whole)


@pytest.mark.parametrize("windows", list(WINDOWS))
def test_evictions_do_not_show(windows: str) -> None:
    """A joint lane of a key that was evicted says the same, with windows by event time later."""
    engine = _engine(windows, keys_in_memory=4)
    found = _joint_lanes(process(engine, cut(BATCH, every(BATCH, 13))))
    assert engine.lanes.evictions > 0
    for lane, columns in _joint_lanes(process(_engine(windows), [BATCH])).items():
        for name, column in columns.items():
            assert column.startswith(found[lane][name])
            assert len(found[lane][name]) > 0.9 * len(column)


@pytest.mark.parametrize("windows", list(WINDOWS))
def test_a_saved_engine_goes_on_to_the_bit(windows: str) -> None:
    """What joint lanes and their relations are is in the rows."""
    whole = process(_engine(windows), [BATCH])
    first, second = _engine(windows), _engine(windows)
    before = process(first, [BATCH.slice(0, 900)])
    second.load(first.save(), first.counts.to_dict())
    after = process(second, [BATCH.slice(900, len(BATCH))])
    assert _joint_lanes([*before, *after]) == _joint_lanes(whole)
    assert _joint_reports([*before, *after]) == _joint_reports(whole)


def test_each_key_says_what_it_says_alone() -> None:
    """The other keys of a partition change no bit of a joint lane."""
    together = rows_by_lane(process(_engine(), [BATCH]))
    for code, name in enumerate(BATCH.key_names):
        mine = BATCH.key_codes == code
        alone = Batch(
            [name], np.zeros(int(mine.sum()), np.int32), BATCH.time_us[mine], BATCH.values[mine], BATCH.position[mine]
        )
        assert rows_by_lane(process(_engine(), [alone]))[name, JOINT] == together[name, JOINT]


def test_a_joint_verdict_depends_on_nothing_after_its_record() -> None:
    """Cutting the stream short changes no earlier one."""
    whole, short = process(_engine(), [BATCH]), process(_engine(), [BATCH.slice(0, 1100)])
    for lane, rows in rows_by_lane(short).items():
        for name, column in rows.items():
            assert rows_by_lane(whole)[lane][name].startswith(column)


def test_points_are_counted_of_fields_alone() -> None:
    """Joint verdicts are derived: accounts hold records and fields, events hold those of joint lanes as well."""
    with_it, without = _engine(), _engine(joint=False)
    process(with_it, [BATCH])
    process(without, [BATCH])
    assert with_it.counts.balance() == 0
    assert with_it.counts.points == without.counts.points
    assert with_it.counts.gaps == without.counts.gaps
    assert with_it.counts.events["opened"] > without.counts.events["opened"]


def test_a_joint_lane_is_never_silent() -> None:
    """Silences are told of fields, also while the joint lane has no points for want of them."""
    rng = np.random.default_rng(7)
    values, other = _together(rng, 400), _together(rng, 400)
    values[200:, 1:] = np.nan
    keys = ["a", "b"] * 400
    both = np.stack([values, other], axis=1).reshape(800, 3)
    batch = make_batch(keys, START_US + INTERVAL_US * np.repeat(np.arange(400), 2), both)
    silences = [a for outcome in process(_engine(), [batch]) for a in outcome.anomalies if a.kind == "silence"]
    assert {(anomaly.key, anomaly.field) for anomaly in silences} == {("a", "heat"), ("a", "load")}


def test_an_incident_of_a_field_is_not_told_twice() -> None:
    """Of two fields, none is left to compare while one has an episode of its own, and the joint lane says nothing."""
    values = _together(np.random.default_rng(7), 600, 2)
    values[400:420, 0] += 40
    outcomes = process(make_engine(DETECTOR, fields=FIELDS[:2]), [one_stream(values)])
    (table,) = outcomes[0].verdicts
    open_at = set(table.position[(table.episode >= 0) & (table.field < 2)].tolist())
    assert set(range(401, 421)) <= open_at
    assert not open_at & set(table.position[table.field == 2].tolist())


def test_one_field_has_no_joint_lane() -> None:
    """Nor have several where it is switched off: names and bytes are as before."""
    assert make_engine(fields=("value",)).lane_names == ("value",)
    assert _engine(joint=False).lane_names == FIELDS
    assert _engine().lane_names == (*FIELDS, JOINT)
    assert make_engine().lanes.bytes_per_lane == _engine(joint=False).lanes.bytes_per_lane
    assert _engine().lanes.bytes_per_lane == _engine(joint=False).lanes.bytes_per_lane + 8 + 4 * len(FIELDS)


def test_a_field_of_its_name_is_refused() -> None:
    """The name is reserved, so that whoever reads it knows what it stands for."""
    for config in (EngineConfig(), EngineConfig(joint=False)):
        with pytest.raises(ValueError, match=r"found a field '\*'; expected another name"):
            make_engine(config=config, fields=("flow", JOINT))
