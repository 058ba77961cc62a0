import numpy as np
import pytest
from scipy.signal import lfilter

from detectors.synthetic import DAY_US, Corpus, generate
from detectors.waves import autoregressive


def test_streams_are_finite_regular_and_never_constant() -> None:
    """Every stream has finite values that differ, and times a whole number of which make a day."""
    streams = generate(np.random.default_rng(7), 400, 300)
    assert streams.values.shape == streams.time_us.shape == (400, 300)
    assert np.isfinite(streams.values).all()
    assert np.all(np.ptp(streams.values, axis=1) > 0)
    assert np.all(np.diff(streams.time_us, axis=1) == streams.interval_us[:, None])
    assert set(DAY_US // streams.interval_us) == {24, 48, 96, 144, 288, 1440}
    assert len(np.unique(streams.time_us[:, 0] % DAY_US)) > 100


def test_constant_streams_are_drawn_again() -> None:
    """Counts that happen to be all zero do not survive: over many short streams, none is constant."""
    streams = generate(np.random.default_rng(7), 4000, 61, faults=False)
    assert np.all(np.ptp(streams.values, axis=1) > 0)


def test_fault_free_streams_are_calmer() -> None:
    """Without faults there are fewer stuck stretches and smaller one-step jumps in the tail."""
    with_faults = generate(np.random.default_rng(7), 2000, 400).values
    without = generate(np.random.default_rng(7), 2000, 400, faults=False).values

    def typical_largest_jump(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        jumps = np.abs(np.diff(values, axis=1))
        return float(np.median(jumps.max(axis=1) / jumps.mean(axis=1)))

    assert typical_largest_jump(without) < 0.8 * typical_largest_jump(with_faults)


def test_fault_free_streams_have_habits() -> None:
    """What half a stream has not shown is rare in the other half: spikes come often, and no tail grows without end."""
    values = generate(np.random.default_rng(7), 2000, 1000, faults=False).values
    growth = np.ptp(values, axis=1) / np.maximum(np.ptp(values[:, :500], axis=1), 1e-9)
    assert np.mean(growth > 3) < 0.025
    assert np.quantile(growth, 0.99) < 6


def test_many_streams_follow_the_day() -> None:
    """More than a quarter of the hourly streams correlate with themselves a day earlier, and some do not at all."""
    streams = generate(np.random.default_rng(7), 2000, 480, faults=False)
    hourly = streams.values[streams.interval_us == DAY_US // 24]
    z = (hourly - hourly.mean(axis=1, keepdims=True)) / hourly.std(axis=1, keepdims=True)
    correlation = (z[:, 24:] * z[:, :-24]).mean(axis=1)
    assert np.mean(correlation > 0.5) > 0.25
    assert np.mean(np.abs(correlation) < 0.1) > 0.1


def test_autoregression_obeys_its_recursion() -> None:
    """x[t] = phi x[t-1] + noise[t], for a different phi in each row."""
    rng = np.random.default_rng(7)
    noise, phi = rng.normal(size=(3, 50)), np.array([[0.1], [0.9], [0.999]])
    expected = [lfilter([1.0], [1.0, -p], row) for row, p in zip(noise, phi[:, 0], strict=True)]
    np.testing.assert_allclose(autoregressive(noise, phi), expected, rtol=1e-12)


def test_blocks_are_independent_and_reproducible() -> None:
    """Any block can be made again by itself; other blocks, parts and seeds hold other streams."""
    corpus = Corpus(seed=7, part=0, count=4, length=100)
    third = corpus.block(3).values
    assert np.array_equal(third, Corpus(seed=7, part=0, count=4, length=100).block(3).values)
    for other in (corpus.block(2), Corpus(7, 1, 4, 100).block(3), Corpus(8, 0, 4, 100).block(3)):
        assert not np.array_equal(third, other.values)


def test_what_is_hashed_covers_values_and_times() -> None:
    """The bytes by which streams are told apart are those of their values and of their times."""
    block = Corpus(seed=7, part=0, count=4, length=100).block(1)
    assert block.to_bytes() == block.values.tobytes() + block.time_us.tobytes()


@pytest.mark.parametrize(("count", "length"), [(0, 100), (1, 60)])
def test_sizes_out_of_range_are_refused(count: int, length: int) -> None:
    """No streams, or streams too short for a fault, are refused."""
    with pytest.raises(ValueError, match=r"found count \d+ and length \d+; expected"):
        generate(np.random.default_rng(7), count, length)
