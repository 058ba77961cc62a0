from dataclasses import replace

import numpy as np
import pytest

from detectors.series import least_steps
from pipeline.errors import UserError
from pipeline.training.history import History
from tests.fakes import INTERVAL_US, START_US, cut, every, make_batch, make_detector, make_engine, process, seasonal

pytestmark = pytest.mark.torch
COUNT = 900


def history_of(*lanes: np.ndarray) -> History:
    """A history of keys of one field each."""
    keys, count = len(lanes), len(lanes[0])
    time_us = np.repeat(START_US + INTERVAL_US * np.arange(count), keys)
    batch = make_batch([f"k{n}" for n in range(keys)] * count, time_us, np.stack(lanes, 1).reshape(-1, 1))
    history = History(10**9, 100)
    for outcome in process(make_engine(make_detector(gain=0, threshold=1e9)), cut(batch, every(batch, 500))):
        history.add(outcome.verdicts, outcome.anomalies)
    history.publish()
    return history


def test_dead_lanes_teach_nothing() -> None:
    """A lane of one value is left out; one that is stuck for a whole excerpt is masked there, and seen all the same."""
    from detectors.training import TrainingConfig
    from pipeline.training.fit import FitConfig
    from pipeline.training.gathering import gather

    config = FitConfig(TrainingConfig(horizons=(1, 4), context=30), length=50)
    lively = seasonal(np.random.default_rng(7), COUNT)
    stuck, short = lively.copy(), lively.copy()
    stuck[300:380], short[300:379] = 7.0, 7.0
    gathered = gather(history_of(lively, np.full(COUNT, 3.0), stuck, short), config.gathering)
    assert (len(gathered.series), gathered.dead, gathered.too_short) == (3, 1, 0)
    whole, masked, unmasked = (np.isfinite(series.targets[:, 0]) for series in gathered.series)
    assert (whole & ~masked).nonzero()[0].tolist() == list(range(299, 380))
    assert (whole == unmasked).all()
    with pytest.raises(UserError, match="found 2 series, of which all points are of incidents or of one value"):
        gather(history_of(np.full(COUNT, 3.0), np.full(COUNT, 4.0)), config.gathering)


def test_what_is_new_is_learned_from_with_the_states_of_all() -> None:
    """From an event time on, or as much of the newest as a series needs; of a key's fields together as well."""
    from detectors.training import TrainingConfig
    from pipeline.training.fit import FitConfig
    from pipeline.training.gathering import gather

    history = history_of(seasonal(np.random.default_rng(7), COUNT))
    for fields in ((), ("value",)):
        config = FitConfig(TrainingConfig(horizons=(1, 4), context=30, fields=fields), length=50)
        (whole,) = gather(history, config.gathering).series
        for at, begin in ((100, 100), (COUNT - 1, COUNT - least_steps((1, 4)))):
            gathered = gather(history, replace(config, learn_from_us=START_US + INTERVAL_US * at).gathering)
            series = gathered.series[0]
            assert series.begin == begin
            assert series.split == COUNT - (COUNT - begin) // 5
            assert series.inputs.tobytes() == whole.inputs.tobytes()


@pytest.mark.parametrize("fields", [(), ("value",)])
def test_what_is_new_is_shown_as_it_will_be(fields: tuple[str, ...]) -> None:
    """Beside each series are three in which what is new has come before; what is held back is the same."""
    from detectors.training import TrainingConfig
    from pipeline.training.fit import FitConfig
    from pipeline.training.gathering import gather

    lane = seasonal(np.random.default_rng(7), COUNT)
    lane[500:] += 3 * lane.std()
    config = FitConfig(TrainingConfig(horizons=(1, 4), context=100, fields=fields), length=50)
    new = replace(config, learn_from_us=START_US + INTERVAL_US * 500)
    gathered = gather(history_of(lane, lane[::-1].copy()), new.gathering)
    assert (len(gathered.series), gathered.prolonged) == (8, 6)
    series, *later = gathered.series[:4]
    held_back = len(series.inputs) - series.split
    assert [len(one.inputs) - one.split for one in later] == [held_back] * 3
    # the level is higher than usual, and the less so the longer it has been
    levels = [float(one.inputs[-held_back:, 0].mean()) for one in (series, *later)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 2 * levels[-1]
    for one in later:
        assert np.isfinite(one.targets[:, 0]).argmax() == one.begin + 40
    assert gather(history_of(lane), config.gathering).prolonged == 0
