"""Which bundles are removed, and what is left of a removal that was interrupted."""

from datetime import timedelta

import fsspec
import pytest

from pipeline.adapters.bundles.collection import Rule
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry
from pipeline.errors import RegistryError
from tests.pipeline.adapters.bundles.bench import act, example, fill

STRICT = Rule(ancestors=0, events=0, younger_than=timedelta(0))


def test_what_no_rule_keeps_is_collected(url: str) -> None:
    """Champion, the one before, pinned, ancestors, recent and young ones stay; the rest is gone, files and all."""
    registry = Registry(url)
    ids = fill(registry, 9)
    registry.promote(ids[5], act(9))
    registry.promote(ids[7], act(9))
    registry.pin(ids[0], act(9))
    assert registry.pin(ids[0], act(9)) is None
    rule = Rule(ancestors=2, events=2, younger_than=timedelta(days=2))
    plan = registry.plan(rule, act(9.5))
    assert plan.going == (ids[1], ids[2], ids[3], ids[4])
    assert plan.kept == {
        ids[0]: ("pinned", "in the last 2 events"),
        ids[5]: ("to roll back to", "ancestor of the champion"),
        ids[6]: ("ancestor of the champion",),
        ids[7]: ("champion", "in the last 2 events"),
        ids[8]: ("young",),
    }
    assert plan.bytes_freed == sum(registry.history()[number].size_bytes or 0 for number in (1, 2, 3, 4))
    assert len(Registry(url).standing().published) == 9
    assert registry.collect(rule, act(9.5)).going == plan.going
    assert [*Registry(url).standing().published] == [ids[0], *ids[5:]]
    files, root = fsspec.core.url_to_fs(url)
    assert sorted(name.rpartition("/")[2] for name in files.ls(f"{root}/bundles", detail=False)) == sorted(
        [ids[0], *ids[5:]]
    )
    with pytest.raises(RegistryError, match=f"bundle {ids[1][:8]} was collected 2026-12-05 00:00 by ann"):
        registry.find(ids[1][:8])
    with pytest.raises(RegistryError, match="was collected"):
        registry.promote(ids[1], act(10))
    registry.publish(example(), act(10))
    registry.unpin(ids[0], act(10))
    assert registry.unpin(ids[0], act(10)) is None
    assert registry.plan(STRICT, act(11)).going == (ids[0], ids[6], ids[8])


def test_a_collected_bundle_can_come_back(url: str) -> None:
    """Publishing it anew makes it one like any other, as young as that."""
    registry = Registry(url)
    fill(registry, 2)
    assert len(registry.collect(STRICT, act(50)).going) == 2
    assert registry.collect(STRICT, act(51)).going == ()
    name = registry.publish(example(), act(52))
    assert registry.find(name[:6]) == name
    assert registry.load(name).manifest.id == name
    assert registry.plan(Rule(events=0), act(53)).kept == {name: ("young",)}
    assert len(registry.history()) == 4


def test_what_is_promoted_while_collecting_stays(url: str) -> None:
    """A promotion that comes between a collection's plan and its event makes the collection think again."""
    registry, other = Registry(url), Registry(url)
    first, second = fill(registry, 2)
    create = registry._blobs.create
    meddled: list[str] = []

    def meddle(name: str, content: bytes) -> bool:
        if not meddled:
            meddled.append(name)
            other.promote(first, act(60))
        return create(name, content)

    registry._blobs.create = meddle  # type: ignore[method-assign]
    assert registry.collect(STRICT, act(60)).going == (second,)
    assert meddled
    assert Registry(url).load(first).manifest.id == first


def test_remains_of_a_killed_publication_are_invisible_and_go_when_old(url: str) -> None:
    """Files without an event are no bundle; a day later a collection removes them, and nothing that is young."""
    registry = Registry(url)
    (first,) = fill(registry, 1)
    stray = example(seed=99)
    registry._blobs.put(f"bundles/{stray.manifest.id}/weights.safetensors", b"half")
    registry._blobs.put("bundles/notes.txt", b"mine")
    registry._blobs.put("partial/0123", b"half")
    assert [*Registry(url).standing().published] == [first]
    now = registry._blobs.newest("partial/0123")
    assert now is not None
    keep = Rule(younger_than=timedelta(days=36_500))
    assert registry.plan(keep, Act("ann", now + timedelta(hours=1))).strays == ()
    plan = registry.collect(keep, Act("ann", now + timedelta(days=2)))
    assert plan.strays == (f"bundles/{stray.manifest.id}", "bundles/notes.txt", "partial/0123")
    assert len(registry.history()) == 1
    assert registry._blobs.names("bundles") == [first]
    assert registry._blobs.names("partial") == []
