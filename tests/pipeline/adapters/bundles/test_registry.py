"""What a registry does, on a local disk and on a store without folders or links."""

import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipeline.adapters.bundles import load_bundle
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry
from pipeline.errors import BundleError, ConflictError, RegistryError
from tests.pipeline.adapters.bundles.bench import NOON, act, damage, example, fill


def test_an_empty_registry_has_nothing(url: str) -> None:
    """A folder that is not there is a registry without bundles, champion and history, and is not made by reading."""
    registry = Registry(url)
    assert registry.champion() is None
    assert registry.history() == ()
    assert not registry.standing().published
    with pytest.raises(RegistryError, match="found no champion; expected one: driftline models promote"):
        registry.find("champion")
    assert not fsspec.core.url_to_fs(url)[0].exists(url)


def test_what_is_published_comes_back(url: str) -> None:
    """To the bit, from another process as well, and as a plain folder of a bundle on a disk."""
    bundle = example()
    name = Registry(url).publish(bundle, act(reason="first"))
    other = Registry(url)
    assert name == bundle.manifest.id == other.find(name[:8])
    assert other.load(name).manifest == bundle.manifest
    assert other.manifests([name]) == [bundle.manifest]
    (event,) = other.history()
    assert (event.kind, event.bundle, event.actor, event.at, event.reason) == ("published", name, "ann", NOON, "first")
    assert event.size_bytes is not None
    assert event.size_bytes > 1000
    if url.startswith("file"):
        folder = Path(url.removeprefix("file://")) / "bundles" / name
        assert load_bundle(folder).manifest == bundle.manifest
        assert {path.name for path in folder.iterdir()} == {"manifest.json", "weights.safetensors"}
        assert [*(folder.parents[1] / "partial").iterdir()] == []


def test_publishing_again_changes_nothing_but_mends(url: str) -> None:
    """The same bundle is published once; where its files are damaged they are written anew."""
    registry, bundle = Registry(url), example()
    name = registry.publish(bundle, act())
    damage(url, f"bundles/{name}/weights.safetensors")
    with pytest.raises(BundleError, match="is damaged or of another bundle"):
        registry.load(name)
    assert registry.publish(bundle, act(1)) == name
    assert registry.load(name).manifest == bundle.manifest
    assert len(registry.history()) == 1


def test_the_champion_is_the_one_promoted(url: str) -> None:
    """Promotion needs a bundle that is there and whole; promoting the champion again is no event."""
    registry = Registry(url)
    first, second = fill(registry, 2)
    assert registry.champion() is None
    assert registry.promote(first, act(3)) is not None
    assert Registry(url).champion() == first
    assert registry.promote(first, act(4)) is None
    registry.promote(second, act(5, actor="trainer", reason="better by 3 %"))
    event = registry.history()[-1]
    assert (event.kind, event.bundle, event.champion, event.reason) == ("promoted", second, second, "better by 3 %")
    assert Registry(url).champion() == second
    assert (registry.find("champion"), registry.find("previous")) == (second, first)
    with pytest.raises(RegistryError, match="found no bundle ffff"):
        registry.promote("f" * 64, act(6))
    damage(url, f"bundles/{first}/weights.safetensors")
    with pytest.raises(BundleError, match="damaged"):
        registry.promote(first, act(7))
    assert Registry(url).champion() == second


def test_promotion_compares_and_sets(url: str) -> None:
    """A challenger compared with a champion that is not in service any more is not promoted."""
    registry = Registry(url)
    first, second, third = fill(registry, 3)
    registry.promote(first, act(4), expected="")
    with pytest.raises(ConflictError, match=r"found the champion \w{16}; expected none"):
        registry.promote(second, act(4), expected="")
    registry.promote(second, act(4), expected=first)
    with pytest.raises(ConflictError, match=f"found the champion {second[:16]}; expected {first[:16]}"):
        registry.promote(third, act(4), expected=first)
    with pytest.raises(ConflictError):
        registry.rollback(act(4), expected=first)
    assert registry.champion() == second


def test_rolling_back_goes_further_each_time(url: str) -> None:
    """To the one before, then to the one before that; what was rolled back is not gone back to."""
    registry = Registry(url)
    a, b, c, d = fill(registry, 4)
    for bundle in (a, b, c):
        registry.promote(bundle, act(5))
    assert registry.rollback(act(6, reason="alarms")).champion == b
    assert registry.rollback(act(7)).champion == a
    with pytest.raises(RegistryError, match=rf"found no champion before {a[:16]} to go back to; expected one"):
        registry.rollback(act(8))
    registry.promote(d, act(9))
    assert registry.find("previous") == a
    assert Registry(url).rollback(act(10)).champion == a
    registry.promote(b, act(11))
    registry.promote(a, act(12))
    assert registry.rollback(act(13)).champion == b


def test_rolling_back_passes_over_what_is_damaged_or_gone(url: str) -> None:
    """The event names what was passed over; where nothing sound is left, nothing happens."""
    registry = Registry(url)
    a, b, c = fill(registry, 3)
    for bundle in (a, b, c):
        registry.promote(bundle, act(5))
    damage(url, f"bundles/{b}/manifest.json", lambda _: None)
    event = registry.rollback(act(6))
    assert (event.champion, event.skipped) == (a, (b,))
    registry.promote(c, act(7))
    damage(url, f"bundles/{a}/manifest.json")
    with pytest.raises(RegistryError, match=rf"\({a[:16]}: damaged or collected\)"):
        registry.rollback(act(8))
    assert registry.champion() == c


def test_a_hold_keeps_from_promoting_until_released(url: str) -> None:
    """It may come with a roll back, is told with its reason, and can be promoted in spite of."""
    registry = Registry(url)
    a, b, c = fill(registry, 3)
    registry.promote(a, act(4))
    registry.promote(b, act(4))
    event = registry.rollback(act(5, actor="watch", reason="residuals out of their band"), hold=True)
    assert (event.champion, event.held) == (a, True)
    with pytest.raises(RegistryError, match=r"held since 2026-11-30 12:00 by watch \(residuals out of their band\)"):
        Registry(url).promote(c, act(6))
    with pytest.raises(RegistryError, match="found promotion held already, since 2026-11-30 12:00 by watch"):
        registry.hold(act(6))
    registry.promote(c, act(7), despite_hold=True)
    assert registry.standing().hold is not None
    registry.release(act(8))
    with pytest.raises(RegistryError, match="found promotion free"):
        registry.release(act(8))
    assert registry.promote(b, act(9)) is not None
    registry.hold(act(10))
    assert registry.rollback(act(11)).held


def test_names_are_the_first_digits_of_an_id(url: str) -> None:
    """Ambiguous, too short, malformed and unknown ones are told apart, with what to do."""
    registry = Registry(url)
    first, second = fill(registry, 2)
    assert registry.find(first[:4]) == first
    assert registry.find(second) == second
    for name, told in {
        first[:3]: "expected 4 or more of the first hex digits",
        "": "expected 4 or more",
        first[:8].upper() + "Z": "expected 4 or more",
        "../" + first: "expected 4 or more",
        "previous": "found no previous",
    }.items():
        with pytest.raises(RegistryError, match=told):
            registry.find(name)
    alike = next(
        bundle for seed in range(100_000) if (bundle := example(seed=seed)).manifest.id[:4] == first[:4] and seed != 7
    )
    registry.publish(alike, act(3))
    with pytest.raises(RegistryError, match=f"found 2 bundles that begin with '{first[:4]}': .*{first[:16]}"):
        registry.find(first[:4])


def test_a_registry_put_in_place_of_another_is_read_anew(tmp_path: Path) -> None:
    """One that is held open does not go by what it had read before."""
    registry = Registry(str(tmp_path / "models"))
    fill(registry, 3)
    (tmp_path / "models").rename(tmp_path / "old")
    assert not registry.standing().published
    (name,) = fill(Registry(str(tmp_path / "models")), 1)
    assert [*registry.standing().published] == [name]


def test_of_two_that_promote_at_once_none_is_lost(tmp_path: Path) -> None:
    """Every promotion that returned is in the history once; of those that expect a champion just one comes first."""
    registry = Registry(str(tmp_path))
    ids = fill(registry, 6)
    registry.promote(ids[0], act(9))
    outcomes: list[Any] = []
    barrier = threading.Barrier(5)

    def promote(bundle: str, expected: str | None) -> None:
        mine = Registry(str(tmp_path))
        barrier.wait()
        try:
            outcomes.append(mine.promote(bundle, act(10), expected=expected))
        except ConflictError as exc:
            outcomes.append(exc)

    for expected, won in ((ids[0], 1), (None, 5)):
        outcomes.clear()
        before = len(registry.history())
        registry.promote(ids[0], act(10))
        before = len(registry.history())
        threads = [threading.Thread(target=promote, args=(bundle, expected)) for bundle in ids[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        events = [one for one in outcomes if not isinstance(one, ConflictError)]
        assert len(outcomes) == 5
        assert len(events) == won
        written = Registry(str(tmp_path)).history()[before:]
        assert sorted(one.bundle or "" for one in written) == sorted(one.bundle for one in events)


def test_times_need_a_zone(url: str) -> None:
    """A local time is a mistake of the caller."""
    with pytest.raises(ValueError, match="expected one with a time zone"):
        Registry(url).hold(Act("ann", NOON.replace(tzinfo=None)))
