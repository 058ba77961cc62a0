"""When a newer bundle is found to be worse."""

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.service.probation import Block, Probation, Standing

RATE = 0.001


def _blocks(count: int, *, level: float = 0.3, rate: float = RATE, seed: int = 3) -> Iterator[Block]:
    """Blocks of a fleet whose residual level moves by a tenth from one to the next."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield Block(5_000, 5_000 * level * rng.normal(1.0, 0.1), int(rng.poisson(5_000 * rate)))


def _experienced() -> Probation:
    probation = Probation(allowed=RATE)
    for block in _blocks(60):
        assert probation.add(block) is Standing.TRUSTED
    return probation


def _fate(probation: Probation, blocks: Iterator[Block]) -> tuple[Standing, int]:
    """(standing, blocks after which it was reached) of a newer bundle."""
    probation.begin()
    for n, block in enumerate(blocks, 1):
        standing = probation.add(block)
        if standing is not Standing.PROBATION:
            return standing, n
    return Standing.PROBATION, n


@pytest.mark.parametrize("seed", range(20))
def test_an_equal_bundle_passes(seed: int) -> None:
    """A newer bundle that is no worse passes after 200,000 points, and its blocks are the next band."""
    assert _fate(_experienced(), _blocks(100, seed=100 + seed)) == (Standing.TRUSTED, 40)


@pytest.mark.parametrize("seed", range(5))
def test_higher_residuals_fail(seed: int) -> None:
    """Residuals higher by half are found within ten blocks; ones higher by a twentieth are within the band."""
    probation = _experienced()
    standing, after = _fate(probation, _blocks(100, level=0.45, seed=seed))
    assert standing is Standing.FAILED
    assert after <= 10
    assert "found a mean residual of 0.4" in probation.reason
    assert _fate(_experienced(), _blocks(100, level=0.315, seed=seed))[0] is Standing.TRUSTED


def test_more_alarms_fail_and_a_few_more_do_not() -> None:
    """Five times the usual alarms fail soon; 1.3 times, and any number within the risk, do not."""
    probation = _experienced()
    standing, after = _fate(probation, _blocks(100, rate=5 * RATE))
    assert standing is Standing.FAILED
    assert after <= 3
    assert "00 points; expected about" in probation.reason
    assert _fate(_experienced(), _blocks(100, rate=1.3 * RATE))[0] is Standing.TRUSTED
    quiet = Probation(allowed=RATE)
    for block in _blocks(60, rate=RATE / 20):
        quiet.add(block)
    assert _fate(quiet, _blocks(100, rate=RATE))[0] is Standing.TRUSTED


def test_the_band_outlives_a_failure() -> None:
    """Behind a way back the band of before holds, and the next newer bundle is judged by it."""
    probation = _experienced()
    assert _fate(probation, _blocks(100, level=0.6))[0] is Standing.FAILED
    assert probation.add(Block(5_000, 3_000.0, 0)) is Standing.FAILED  # what comes before the way back changes nothing
    probation.go_back()
    for block in _blocks(5):
        assert probation.add(block) is Standing.TRUSTED
    assert _fate(probation, _blocks(100, level=0.6))[0] is Standing.FAILED


def test_without_a_band_a_bundle_is_trusted() -> None:
    """A service that has seen little has nothing to compare with, and begins its band with the newer bundle."""
    probation = Probation()
    for block in _blocks(5, level=0.1):
        probation.add(block)
    probation.begin()
    assert probation.standing is Standing.TRUSTED
    for block in _blocks(60, level=0.5):
        probation.add(block)
    assert _fate(probation, _blocks(100, level=0.5, seed=9))[0] is Standing.TRUSTED


def test_small_batches_make_blocks() -> None:
    """However the points come, a block is judged when it is full."""
    probation = _experienced()
    probation.begin()
    standings = [probation.add(Block(10, 10 * 0.9, 0)) for _ in range(6 * 500)]
    assert standings.index(Standing.FAILED) + 1 == 5 * 500
