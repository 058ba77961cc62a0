from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from pipeline.adapters.bundles.lease import Lease
from tests.pipeline.adapters.bundles.bench import NOON

LASTS = timedelta(seconds=60)


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = NOON


def _lease(folder: Path, holder: str, clock: Clock, gone: str = "") -> Lease:
    return Lease(str(folder), holder, LASTS, lambda: clock.now, lambda one: one == gone)


def test_one_holds_it_until_it_gives_it_back(tmp_path: Path) -> None:
    """Others do not get it meanwhile, and get it at once afterwards."""
    clock = Clock()
    ann, bob = _lease(tmp_path, "ann", clock), _lease(tmp_path, "bob", clock)
    assert ann.take()
    assert not bob.take()
    assert bob.holder() == "ann"
    ann.give_back()
    assert bob.holder() == ""
    assert bob.take()
    assert not ann.take()


def test_it_is_held_as_long_as_it_is_renewed(tmp_path: Path) -> None:
    """One that runs out is taken by another, and the first is told when it wants to renew."""
    clock = Clock()
    ann, bob = _lease(tmp_path, "ann", clock), _lease(tmp_path, "bob", clock)
    assert ann.take()
    for _ in range(5):
        clock.now += timedelta(seconds=50)
        assert ann.renew()
        assert not bob.take()
    clock.now += LASTS
    assert bob.take()
    assert not ann.renew()
    ann.give_back()
    assert bob.holder() == "bob"
    assert bob.renew()


def test_of_those_who_are_known_to_be_gone_it_is_taken_at_once(tmp_path: Path) -> None:
    """Their term is not waited for; nobody else's is cut short."""
    clock = Clock()
    assert _lease(tmp_path, "ann", clock).take()
    assert not _lease(tmp_path, "bob", clock, gone="carl").take()
    assert _lease(tmp_path, "bob", clock, gone="ann").take()


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    """However they race."""
    clock = Clock()
    for _ in range(20):
        rivals = [_lease(tmp_path, str(n), clock) for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda one: one.take(), rivals)) == 1
        clock.now += LASTS


def test_few_files_are_left(tmp_path: Path) -> None:
    """However often it is renewed; and a damaged one is nobody's."""
    clock = Clock()
    ann = _lease(tmp_path, "ann", clock)
    assert ann.take()
    for _ in range(20):
        assert ann.renew()
    files = sorted((tmp_path / "lease").iterdir())
    assert len(files) <= 2
    files[-1].write_bytes(b"{")
    assert _lease(tmp_path, "bob", clock).take()
