import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.excerpts import Excerpts
from detectors.frontend import see_series
from detectors.network import joint_inputs
from detectors.series import Track, is_dead, joint_series, lane_series, least_steps
from tests.fakes import INTERVAL_US, START_US, seasonal

HORIZONS = (1, 4)
COUNT = 400


def make_track(values: NDArray[np.float64], **changes: NDArray[np.int64] | NDArray[np.bool_]) -> Track:
    """A lane of regular points, changed where told."""
    count = len(values)
    whole = {
        "time_us": START_US + INTERVAL_US * np.arange(count),
        "step": np.arange(count),
        "is_masked": np.zeros(count, np.bool_),
    }
    return Track(values, **whole | changes)  # type: ignore[arg-type]


def values(seed: int = 7) -> NDArray[np.float64]:
    """A daily rhythm."""
    return seasonal(np.random.default_rng(seed), COUNT)


def test_targets_are_the_values_that_came_later() -> None:
    """Behind the first 40 points a target is the value so many points later, in units of the normaliser now."""
    series, seen = lane_series(make_track(values()), HORIZONS), see_series(values(), make_track(values()).time_us)
    assert series.inputs.tobytes() == seen.inputs.tobytes()
    expected = np.arcsinh((values()[104] - seen.mean[100]) / seen.sd[100])
    assert series.targets[100, 1] == np.float32(expected)
    assert np.isnan(series.targets[:40]).all()
    assert np.isfinite(series.targets[40 : series.split - 4]).all()


def test_no_target_leads_across_the_split() -> None:
    """What a forecast from before the last fifth is of lies before it too; behind it targets begin anew."""
    series = lane_series(make_track(values()), HORIZONS)
    assert series.split == 320
    assert np.isfinite(series.targets[:, 0]).nonzero()[0].tolist() == [*range(40, 319), *range(320, 399)]
    assert np.isfinite(series.targets[:, 1]).nonzero()[0].tolist() == [*range(40, 316), *range(320, 396)]


def test_what_is_learned_from_a_step_on_has_the_states_of_all() -> None:
    """Inputs are those of the whole series; targets, what is held back and excerpts are of what comes behind it."""
    whole, series = (lane_series(make_track(values()), HORIZONS, begin=begin) for begin in (0, 250))
    assert series.inputs.tobytes() == whole.inputs.tobytes()
    assert series.split == 370
    assert np.isfinite(series.targets[:, 0]).nonzero()[0].tolist() == [*range(250, 369), *range(370, 399)]
    drawn = Excerpts([series], 64, 32).choose(np.random.default_rng(7), 2_000).stop
    assert (drawn.min(), drawn.max()) == (282, 370)
    joint = joint_series([make_track(values()), make_track(values(8))], COUNT, HORIZONS, begin=250)
    assert joint.split == 370
    assert np.isfinite(joint.targets).any(axis=1).argmax() == 250


def test_what_is_masked_is_neither_forecast_nor_a_target() -> None:
    """Neither from a masked point nor of one is anything learned, and the inputs are what they were."""
    masked = np.zeros(COUNT, np.bool_)
    masked[200:210] = True
    whole = lane_series(make_track(values()), HORIZONS)
    series = lane_series(make_track(values(), is_masked=masked), HORIZONS)
    assert series.inputs.tobytes() == whole.inputs.tobytes()
    lost = np.isnan(series.targets) & np.isfinite(whole.targets)
    assert lost[:, 0].nonzero()[0].tolist() == list(range(199, 210))
    assert lost[:, 1].nonzero()[0].tolist() == list(range(196, 210))


def test_no_target_leads_across_a_gap() -> None:
    """As when scoring, forecasts from before a gap are not answered behind it."""
    time_us = START_US + INTERVAL_US * np.arange(COUNT)
    time_us[200:] += 100 * INTERVAL_US
    whole, series = (
        lane_series(make_track(values(), time_us=at), HORIZONS) for at in (make_track(values()).time_us, time_us)
    )
    lost = np.isnan(series.targets) & np.isfinite(whole.targets)
    assert lost[:, 0].nonzero()[0].tolist() == [199]
    assert lost[:, 1].nonzero()[0].tolist() == list(range(196, 200))


def test_a_joint_series_has_each_field_in_its_place() -> None:
    """A field has inputs and targets where it is there, 0 and NaN where it is not; the first that is tells the time."""
    there = np.flatnonzero(np.arange(COUNT) % 3 > 0)
    second = make_track(values(8))
    first = Track(values()[there], second.time_us[there], there, np.zeros(len(there), np.bool_))
    series = joint_series([first, second], COUNT, HORIZONS)
    assert series.inputs.shape == (COUNT, joint_inputs(2))
    missing = np.arange(COUNT) % 3 == 0
    assert (series.inputs[missing, :8] == 0).all()
    assert (series.inputs[there, 7] == 1).all()
    assert (series.inputs[:, 15] == 1).all()
    alone = lane_series(Track(first.values, first.time_us, first.step, first.is_masked), HORIZONS)
    np.testing.assert_array_equal(series.inputs[there, :7], alone.inputs[:, :7])
    np.testing.assert_array_equal(series.inputs[there, -3:], alone.inputs[:, -3:])
    np.testing.assert_array_equal(series.inputs[missing, -3:], lane_series(second, HORIZONS).inputs[missing, -3:])
    assert np.isnan(series.targets[missing, :2]).all()
    # four points of its own later, whatever the other field has meanwhile
    assert series.targets[there[100], 1] == alone.targets[100, 1]
    np.testing.assert_array_equal(series.targets[:, 2:], lane_series(second, HORIZONS).targets)


def test_excerpts_are_drawn_from_every_series_before_the_split() -> None:
    """Series are drawn from alike, however long; nothing drawn is held back, and contexts teach nothing."""
    short, long = lane_series(make_track(values()), HORIZONS), lane_series(make_track(np.tile(values(8), 5)), HORIZONS)
    excerpts = Excerpts([short, long], 30, 50)
    drawn = excerpts.draw(np.random.default_rng(7), 400)
    assert drawn.inputs.shape == (400, 80, 10)
    assert np.isnan(drawn.targets[:, :30]).all()
    trained = {row.tobytes() for series in (short, long) for row in series.inputs[: series.split]}
    assert {row.tobytes() for excerpt in drawn.inputs for row in excerpt} <= trained
    of_short = sum(excerpt[0].tobytes() in {row.tobytes() for row in short.inputs} for excerpt in drawn.inputs)
    assert 150 < of_short < 250
    again = excerpts.draw(np.random.default_rng(7), 400)
    assert again.inputs.tobytes() == drawn.inputs.tobytes()


def test_what_is_held_back_is_judged_and_nothing_else() -> None:
    """Excerpts to judge by have the targets of the last fifth, each once, and of nothing before it."""
    series = lane_series(make_track(values()), HORIZONS)
    held = Excerpts([series], 30, 40).held_back(8)
    assert np.isfinite(held.targets[..., 0]).sum() == 79
    assert len(held.inputs) == 2


def test_fields_are_taken_away_in_training_alone() -> None:
    """Joint excerpts to train on lack a field over a part now and then, with its targets; those to judge by never."""
    series = joint_series([make_track(values()), make_track(values(8))], COUNT, HORIZONS)
    excerpts = Excerpts([series], 30, 50, fields=2)
    drawn = excerpts.draw(np.random.default_rng(7), 200)
    gone = drawn.inputs[..., 7] == 0
    assert 0.02 < gone.mean() < 0.2
    assert (drawn.inputs[gone][:, :8] == 0).all()
    assert np.isnan(drawn.targets[gone][:, :2]).all()
    assert (excerpts.held_back(4).inputs[..., 7] == 1).all()


@pytest.mark.parametrize("fields", [1, 2])
def test_one_excerpt_in_three_begins_as_behind_a_swap(fields: int) -> None:
    """Before the window there is nothing, and in it no look-back; behind the context all is there, and targets stay."""
    tracks = [make_track(np.tile(values(seed), 3)) for seed in (7, 8)]
    lane, joint = lane_series(tracks[0], HORIZONS, begin=800), joint_series(tracks, 3 * COUNT, HORIZONS, begin=800)
    series = lane if fields == 1 else joint
    excerpts = Excerpts([series], 100, 50, fields=fields)
    for cut in (excerpts.draw(np.random.default_rng(7), 9), excerpts.held_back(2)):
        begins = np.arange(len(cut.inputs)) % 3 == 0
        assert ((cut.inputs[:, :36] == 0).all(axis=(1, 2)) == begins).all()
        for base in range(0, 8 * fields, 8):
            look_back = cut.inputs[:, 36:100, base + 2 : base + 7]
            assert ((look_back == 0).all(axis=(1, 2)) == begins).all()
            assert (cut.inputs[begins, 36, base + 1] == 0).all()
        clock = {row[-3:].tobytes() for row in series.inputs}
        assert all(row[-3:].tobytes() in clock for excerpt in cut.inputs for row in excerpt[36:])
        assert np.isfinite(cut.targets[begins]).any()


def test_excerpts_longer_than_a_series_are_refused() -> None:
    """An excerpt has to fit before what is held back of the shortest series."""
    series = lane_series(make_track(values()), HORIZONS)
    with pytest.raises(ValueError, match="found excerpts of 300 and 50 steps; expected at most 320 together"):
        Excerpts([series], 300, 50)
    assert least_steps((1, 96)) == 680


def test_a_lane_that_tells_nothing_for_long_is_dead() -> None:
    """Runs of so many equal values are dead from their first point to their last; shorter ones are not."""
    lane = np.array([1.0, 1, 1, 2, 2, 3, 3, 3, 3, 4])
    assert is_dead(lane, 3).nonzero()[0].tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert is_dead(lane, 4).nonzero()[0].tolist() == [5, 6, 7, 8]
    assert not is_dead(lane, 5).any()
    assert is_dead(lane[:0], 1).tolist() == []
