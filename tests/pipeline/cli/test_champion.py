"""The champion of a registry, as the service takes it over and leaves it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.adapters.bundles import Bundle
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli.champion import ChampionWatch
from pipeline.errors import BundleError
from tests.pipeline.adapters.bundles.bench import act, damage, example, fill
from tests.pipeline.cli.samples import until
from tests.pipeline.service.fakes import Notes


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of an empty registry."""
    return f"file://{tmp_path}/models"


@contextmanager
def _watching(url: str, notes: Notes, refused: str = "") -> Iterator[ChampionWatch]:
    def require_usable(bundle: Bundle) -> None:
        if bundle.manifest.id == refused:
            raise BundleError("found it of no use")

    view = RegistryView(url)
    watch = ChampionWatch(
        Registry(url), view, [], view.load(view.find("champion")), require_usable, notes, interval_s=0.01
    )
    watch.start()
    yield watch
    watch.close()


def test_a_newer_champion_is_taken_once(url: str) -> None:
    """A promotion is found, read and handed over once; of several the newest counts."""
    registry, notes = Registry(url), Notes()
    first, second, third = fill(registry, 3)
    registry.promote(first, act())
    with _watching(url, notes) as watch:
        time.sleep(0.05)
        assert watch.newer() is None
        registry.promote(second, act())
        until(lambda: "champion_found" in notes.names())
        taken = watch.newer()
        assert taken is not None
        assert taken.manifest.id == second
        assert watch.newer() is None
        registry.promote(first, act())
        until(lambda: notes.names().count("champion_found") == 2)
        registry.promote(third, act())
        until(lambda: notes.names().count("champion_found") == 3)
        taken = watch.newer()
        assert taken is not None
        assert taken.manifest.id == third


def test_what_is_of_no_use_is_told_once_and_the_next_is_taken(url: str) -> None:
    """A champion that is damaged, or that this service cannot score with, changes nothing and is told once."""
    registry, notes = Registry(url), Notes()
    first, second, third = fill(registry, 3)
    registry.promote(first, act())
    with _watching(url, notes, refused=second) as watch:
        registry.promote(second, act())
        until(lambda: "champion_refused" in notes.names())
        time.sleep(0.05)
        assert notes.names().count("champion_refused") == 1
        assert watch.newer() is None
        registry.promote(third, act())
        until(lambda: "champion_found" in notes.names())
        assert watch.newer() is not None


def test_a_registry_in_trouble_is_told_once_until_it_is_well_again(url: str) -> None:
    """While the registry cannot be read nothing changes; what was promoted in the meantime is found afterwards."""
    registry, notes = Registry(url), Notes()
    first, second = fill(registry, 2)
    registry.promote(first, act())
    with _watching(url, notes) as watch:
        event = registry.history()[-1]
        kept = Path(url.removeprefix("file://")) / "history" / f"{event.sequence:010d}.json"
        content = kept.read_bytes()
        damage(url, f"history/{event.sequence:010d}.json", lambda raw: raw[:-5])
        until(lambda: "registry_trouble" in notes.names())
        time.sleep(0.05)
        assert notes.names().count("registry_trouble") == 1
        assert watch.newer() is None
        kept.write_bytes(content)
        Registry(url).promote(second, act())
        until(lambda: "champion_found" in notes.names())


def test_leaving_rolls_back_and_holds_promotion(url: str) -> None:
    """The registry goes back to the champion before, which is handed over, and holds promotion with the reason."""
    registry, notes = Registry(url), Notes()
    first, second = fill(registry, 2)
    registry.promote(first, act())
    registry.promote(second, act())
    with _watching(url, notes) as watch:
        watch.leave(second[:16], "found it worse")
        until(lambda: "rolled_back" in notes.names())
        until(lambda: "champion_found" in notes.names())
        taken = watch.newer()
        assert taken is not None
        assert taken.manifest.id == first
    standing = registry.standing()
    assert standing.champion == first
    assert standing.hold is not None
    assert (standing.hold.actor, standing.hold.reason) == ("driftline serve", "found it worse")


def test_what_a_roll_back_was_good_for_is_told(url: str) -> None:
    """With the command that frees promotion, and without having freed it."""
    registry, notes = Registry(url), Notes()
    first, second = fill(registry, 2)
    registry.promote(first, act())
    registry.promote(second, act())
    with _watching(url, notes) as watch:
        watch.leave(second[:16], "found it worse")
        until(lambda: "rolled_back" in notes.names())
        watch.learned(second[:16], "the streams have changed")
    (told,) = [fields for name, fields in notes.events if name == "rollback_explained"]
    assert told == {
        "bundle": second[:16], "lesson": "the streams have changed", "release": "driftline models release",
    }  # fmt: skip
    assert registry.standing().hold is not None


def test_a_bundle_that_was_left_already_is_not_left_twice(url: str) -> None:
    """Where another process has rolled back, or another bundle was promoted since, nothing is done."""
    registry, notes = Registry(url), Notes()
    first, second, third = fill(registry, 3)
    registry.promote(first, act())
    registry.promote(second, act())
    registry.promote(third, act())
    with _watching(url, notes) as watch:
        watch.leave(second[:16], "found it worse")
        time.sleep(0.1)
    assert registry.champion() == third
    assert registry.standing().hold is None


def test_bundles_of_snapshots_are_found_by_their_short_id(url: str) -> None:
    """A bundle that is not champion any more is still found; one that never was there is told and None."""
    registry, notes = Registry(url), Notes()
    first, second = fill(registry, 2)
    registry.promote(second, act())
    with _watching(url, notes) as watch:
        found = watch.find(first[:16])
        assert found is not None
        assert found.manifest == registry.load(first).manifest
        assert watch.find(example(seed=999).short_id) is None
        assert "bundle_unusable" in notes.names()
