"""Two detectors over one history, and what is summed up of it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from detectors.detector import Detector
from pipeline.engine import EngineConfig
from pipeline.errors import InputError
from pipeline.gate.decision import Rule
from pipeline.gate.describing import Subject, describe
from pipeline.gate.tally import PROBABILITY_BINS, WORST_LOSS, Tally
from pipeline.gate.trial import Trial
from pipeline.records import JOINT, Batch, Disposition
from pipeline.silence import SilenceRule
from pipeline.windows import CountWindows, TimeWindows
from tests.fakes import (
    INTERVAL_US,
    START_US,
    make_batch,
    make_detector,
    make_engine,
    make_network,
    one_stream,
    process,
    seasonal,
)
from tests.pipeline.gate.samples import extent_of, streams, trial_of

HISTORY = streams()
OTHER = make_detector(gain=0.5, warm_up=50)
PAIR = (Subject("0" * 64, "champion", "test", None), Subject("1" * 64, "other", "test", "0" * 64))


def told(trial: Trial, parts: list[Batch]) -> dict[str, object]:
    """All of the report but what depends on the machine, and on how large batches were."""
    report = describe(trial, Rule(), PAIR, extent_of(parts), {}, {})
    return {name: value for name, value in report.items() if name != "speed"}


def test_a_bundle_against_itself_has_equal_figures() -> None:
    """Every sum of the one is the other's, to the bit."""
    tally = trial_of([HISTORY], make_detector(warm_up=50)).tally
    assert tally.judged.sum() > 1_900
    for sums in (tally.loss, tally.alarms, tally.time_loss, tally.time_covered, tally.time_alarms, tally.probabilities):
        assert sums[0].any()
        assert sums[0].tobytes() == sums[1].tobytes()


def test_another_network_that_forecasts_alike_has_equal_figures() -> None:
    """What a swap costs counts against neither: here two networks differ in a horizon that is not scored."""
    network = make_network()
    arrays = {name: array.copy() for name, array in network.arrays.items()}
    arrays["head_weight"][network.horizons.index(2)] += np.float32(1)
    alike = Detector(replace(network, arrays=arrays), OTHER.profile, make_detector(warm_up=50).decision)
    tally = trial_of([HISTORY], alike).tally
    assert tally.loss[0].tobytes() == tally.loss[1].tobytes()


@pytest.mark.parametrize(
    "config",
    [
        EngineConfig(),
        EngineConfig(windows=CountWindows(6, 3)),
        EngineConfig(windows=TimeWindows(4 * INTERVAL_US, 2 * INTERVAL_US, 3 * INTERVAL_US, "count")),
    ],
    ids=["one by one", "hop 3", "event time"],
)
def test_figures_do_not_depend_on_batches(config: EngineConfig) -> None:
    """Nor on how the history lies in partitions; with several fields, late records and every kind of window."""
    history = streams(fields=2, late=40)
    by_key = [
        Batch(
            ["key-0"],
            np.zeros(rows.sum(), np.int32),
            history.time_us[rows],
            history.values[rows],
            history.position[rows],
        )
        for rows in [history.key_codes == 0]
    ]
    others = history.key_codes != 0
    by_key.append(
        Batch(history.key_names, history.key_codes[others], history.time_us[others], history.values[others],
              history.position[others])
    )  # fmt: skip
    expected = told(trial_of([history], OTHER, config=config), [history])
    assert told(trial_of([history], OTHER, config=config, micro_batch=37), [history]) == expected
    assert told(trial_of(by_key, OTHER, config=config), by_key)["gain"] == expected["gain"]


def test_evicted_lanes_are_judged_like_the_others() -> None:
    """With room for four of ten keys the figures are the same."""
    crowded = trial_of([HISTORY], OTHER, keys_in_memory=6, micro_batch=100)
    assert told(crowded, [HISTORY]) == told(trial_of([HISTORY], OTHER), [HISTORY])


def test_one_may_evict_where_the_other_does_not() -> None:
    """Verdicts of the same records are put together even where each has cut them up in its own way."""
    tight = EngineConfig(max_state_bytes=6 * make_engine().lanes.bytes_per_lane)
    crowded = trial_of([HISTORY], OTHER, challenger_config=tight)
    assert told(crowded, [HISTORY]) == told(trial_of([HISTORY], OTHER), [HISTORY])


def test_sums_are_of_the_verdicts() -> None:
    """Loss, band, probabilities and alarms of a champion are those of its verdicts, by the book."""
    history = one_stream(np.concatenate([seasonal(np.random.default_rng(7), 900), np.full(3, 40.0), np.zeros(97)]))
    detector = make_detector(warm_up=50)
    trial = trial_of([history], OTHER, detector, held_out=0.3)
    # with no swap in between, but for what a swap costs in the first points
    outcome = process(make_engine(detector), [history])[0]
    table = outcome.verdicts[0]
    rows = np.flatnonzero((table.disposition == Disposition.SCORED) & np.isfinite(table.surprise))
    rows = rows[rows >= 700]
    density = stats.t.logpdf(
        table.surprise[rows].astype(np.float64) * np.exp(table.log_scale[rows].astype(np.float64)),
        table.freedom[rows].astype(np.float64),
        scale=np.exp(table.log_scale[rows].astype(np.float64)),
    )
    within = (table.value >= table.lower) & (table.value <= table.upper)
    tally = trial.tally
    assert tally.judged.sum() == tally.time_judged.sum() == len(rows)
    assert tally.loss[0].sum() == pytest.approx(-density.sum(), rel=0.02)
    assert tally.time_loss[0].sum() == pytest.approx(tally.loss[0].sum())
    assert abs(tally.covered[0] - within[rows].sum()) <= 3
    assert tally.probabilities[0].sum() == len(rows)
    opened = [one for one in outcome.anomalies if one.event == "opened" and one.position > 700]
    assert tally.alarms[0].sum() == tally.time_alarms[0].sum() == len(opened) > 0
    assert (trial.before, trial.within.consumed) == (700, 300)
    assert trial.seconds[0] == trial.seconds[1] > 0


def test_labels_tell_found_from_false() -> None:
    """An alarm within a labelled anomaly is not false; windows before the slice do not count."""
    history = one_stream(np.concatenate([seasonal(np.random.default_rng(7), 900), np.full(3, 40.0), np.zeros(97)]))
    times = history.time_us
    spans = {"a": [(int(times[100]), int(times[110])), (int(times[898]), int(times[910]))]}
    labelled = trial_of([history], OTHER, held_out=0.3, spans=spans).tally
    plain = trial_of([history], OTHER, held_out=0.3).tally
    assert labelled.detection(0).windows == labelled.detection(0).detected == 1
    assert 1 <= plain.false_alarms[0] - labelled.false_alarms[0] <= 2
    assert plain.false_alarms[0] == plain.alarms[0].sum()


def test_silences_and_ends_of_episodes_are_no_alarms() -> None:
    """Episodes of points that open are alarms; they, and what worsens them, can find an anomaly; nothing else can."""
    rng, rounds, keys = np.random.default_rng(7), 600, ("a", "b", "c")
    values = np.stack([seasonal(rng, rounds) for _ in keys], axis=1)
    values[450:453, 0] += 40.0
    rows = [(n, k) for n in range(rounds) for k in range(len(keys)) if k != 2 or n < 480]
    times = np.array([START_US + n * INTERVAL_US for n, _ in rows])
    history = make_batch([keys[k] for _, k in rows], times, np.array([[values[row]] for row in rows]))
    detector, config = make_detector(warm_up=50), EngineConfig(silence=SilenceRule(20.0, 60))
    spans = {key: [(START_US + 450 * INTERVAL_US, START_US + 460 * INTERVAL_US)] for key in keys}
    tally = trial_of([history], OTHER, detector, config=config, spans=spans).tally
    outcome = process(make_engine(detector, config, fields=("field-0",)), [history])[0]
    events = [one for one in outcome.anomalies if one.position > len(history) - tally.points.sum()]
    assert {"opened", "closed"} <= {one.event for one in events}
    assert any(one.kind == "silence" for one in events)
    told = [one for one in events if one.kind != "silence" and one.event != "closed"]
    assert tally.alarms[0].sum() == sum(one.event == "opened" for one in told)
    assert tally.detection(0).alerts == len(told)


def test_a_network_that_gives_no_number_is_not_left_out() -> None:
    """Points that the champion forecasts count, with the worst of losses, where the challenger's weights overflow."""
    network = make_network()
    arrays = {name: array.copy() for name, array in network.arrays.items()}
    arrays["head_weight"][:] = np.float32(3e38)
    broken = Detector(replace(network, arrays=arrays), OTHER.profile, OTHER.decision)
    tally = trial_of([HISTORY], broken).tally
    assert tally.judged.sum() > 1_900
    assert tally.loss[1].sum() > 0.1 * WORST_LOSS * tally.judged.sum()
    assert tally.probabilities[1].shape == (PROBABILITY_BINS,)


def test_a_history_without_a_past_is_judged_from_its_beginning() -> None:
    """A slice that is all of it has no record before, and its warm-up is not judged."""
    trial = trial_of([HISTORY], OTHER, held_out=0.9999999)
    assert (trial.before, trial.within.consumed) == (0, len(HISTORY))
    assert trial.tally.points.sum() == len(HISTORY) - 10 * 50


def test_a_history_that_runs_backward_is_refused() -> None:
    """Sorted newest first, most of its records are late."""
    backward = streams(keys=1)
    backward = replace(backward, time_us=backward.time_us[::-1].copy())
    with pytest.raises(InputError, match="times that go back: 499 of 500"):
        trial_of([backward], OTHER)


def test_different_points_are_not_compared() -> None:
    """Verdicts on other records than the champion's are a fault of the program, and raise."""
    ours, theirs = (process(make_engine(OTHER), [one_stream(np.zeros(count))])[0] for count in (60, 61))
    with pytest.raises(ValueError, match="different points"):
        Tally(0, 10**18).add(ours, theirs)


def test_joint_lanes_count_by_their_alarms_alone() -> None:
    """What their points are depends on who scores: they have no loss, but are scored, and what they raise counts."""
    history = streams(fields=2)
    history.values[4700:4703] += np.array([1.0, -1.0])
    tally = trial_of([history], OTHER).tally
    joint = [number for (_, field), number in tally.lanes.items() if field == JOINT]
    assert len(joint) == 10
    assert tally.points[joint].sum() > 1_000
    assert tally.alarms[:, joint].any()
    assert not tally.judged[joint].any()
    assert not tally.loss[:, joint].any()
