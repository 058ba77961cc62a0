"""Damaged and foreign files of a registry are refused, with the reason."""

from pathlib import Path

import msgspec
import pytest

from pipeline.adapters.bundles.history import _digest, encode_event
from pipeline.adapters.bundles.registry import Registry
from pipeline.errors import BundleError, RegistryError
from tests.pipeline.adapters.bundles.bench import act, damage, fill


@pytest.mark.parametrize("name", ["manifest.json", "weights.safetensors"])
def test_a_flipped_byte_of_a_bundle_is_refused(tmp_path: Path, name: str) -> None:
    """Anywhere in either file, by load, promote and verify, with the file named."""
    registry = Registry(str(tmp_path))
    (bundle,) = fill(registry, 1)
    file = tmp_path / "bundles" / bundle / name
    good = file.read_bytes()
    for position in range(0, len(good), max(1, len(good) // 60)):
        file.write_bytes(good[:position] + bytes([good[position] ^ 0x10]) + good[position + 1 :])
        with pytest.raises(BundleError, match=f"{bundle}/"):
            registry.load(bundle)
    with pytest.raises(BundleError):
        registry.promote(bundle, act(1))
    told = registry.verify()[bundle]
    assert isinstance(told, BundleError)
    file.write_bytes(good)
    moves: list[tuple[int, int]] = []
    assert registry.verify(lambda done, total: moves.append((done, total))) == {bundle: None}
    assert moves == [(1, 1)]


def test_a_bundle_in_the_folder_of_another_is_refused(url: str) -> None:
    """Even when it is whole in itself."""
    registry = Registry(url)
    first, second = fill(registry, 2)
    for name in ("manifest.json", "weights.safetensors"):
        content = registry._blobs.get([f"bundles/{second}/{name}"])[0] or b""
        damage(url, f"bundles/{first}/{name}", lambda _, content=content: content)  # type: ignore[misc]
    with pytest.raises(BundleError, match=f"found bundle {second[:16]}; expected the one that the folder is named"):
        registry.load(first)
    found = registry.manifests([first, second])
    assert isinstance(found[0], BundleError)
    assert not isinstance(found[1], BundleError)


def test_a_bundle_of_a_later_version_is_refused_with_what_to_do(url: str) -> None:
    """Upgrade, it says."""
    registry = Registry(url)
    (bundle,) = fill(registry, 1)
    damage(url, f"bundles/{bundle}/manifest.json", lambda content: content.replace(b'"version": 1', b'"version": 9'))
    with pytest.raises(BundleError, match=r"version 9; expected .* upgrade driftline to read it"):
        registry.load(bundle)


def test_a_flipped_byte_of_the_history_is_found(tmp_path: Path) -> None:
    """Anywhere in an event; the champion is read from the newest alone, and is there while an older one is damaged."""
    registry = Registry(str(tmp_path))
    a, b = fill(registry, 2)
    registry.promote(a, act(3))
    registry.promote(b, act(4))
    old, new = tmp_path / "history" / "0000000003.json", tmp_path / "history" / "0000000004.json"
    for file in (old, new):
        good = file.read_bytes()
        for position in range(len(good)):
            file.write_bytes(good[:position] + bytes([good[position] ^ 0x04]) + good[position + 1 :])
            with pytest.raises(RegistryError, match=r"history/|event"):
                Registry(str(tmp_path)).standing()
        file.write_bytes(b"")
        with pytest.raises(RegistryError, match="is no event"):
            Registry(str(tmp_path)).history()
        if file == old:
            assert Registry(str(tmp_path)).champion() == b
        file.write_bytes(good)
    assert Registry(str(tmp_path)).champion() == b


def test_a_hole_and_a_foreign_event_are_found(tmp_path: Path) -> None:
    """An event that is missing, renamed, of another version or of another registry is told; other files are not."""
    ours, theirs = Registry(str(tmp_path / "ours")), Registry(str(tmp_path / "theirs"))
    fill(ours, 3)
    fill(theirs, 3)
    theirs.hold(act(4))
    ours.hold(act(5))
    history = tmp_path / "ours" / "history"
    for rubbish in (".DS_Store", "0000000005.json~", "notes", "\u0660" * 9 + "\u0665.json"):
        (history / rubbish).write_text("rubbish")
    (history / "0000000001").mkdir()
    assert len(Registry(str(tmp_path / "ours")).history()) == 4
    second = (history / "0000000002.json").read_bytes()
    (history / "0000000002.json").unlink()
    with pytest.raises(RegistryError, match=r"found history/0000000003.json with no event 2 before it"):
        Registry(str(tmp_path / "ours")).standing()
    (history / "0000000002.json").write_bytes((history / "0000000003.json").read_bytes())
    with pytest.raises(RegistryError, match=r"0000000002.json: found event 3; expected its own"):
        Registry(str(tmp_path / "ours")).standing()
    (history / "0000000002.json").write_bytes(second)
    foreign = (history / "0000000004.json").read_bytes()
    other = (tmp_path / "theirs" / "history" / "0000000004.json").read_bytes()
    ours.release(act(6))
    (history / "0000000004.json").write_bytes(other)
    with pytest.raises(RegistryError, match="event 5: found that it follows on"):
        Registry(str(tmp_path / "ours")).standing()
    (history / "0000000004.json").write_bytes(foreign.replace(b'"version": 1', b'"version": 2'))
    with pytest.raises(RegistryError, match="version 2; expected 'driftline-registry-event', version 1: upgrade"):
        Registry(str(tmp_path / "ours")).standing()


def test_an_event_that_contradicts_the_ones_before_is_found(tmp_path: Path) -> None:
    """An event that is right in itself but makes a champion of what its kind cannot is refused."""
    registry = Registry(str(tmp_path))
    a, b = fill(registry, 2)
    event = registry.promote(a, act(3))
    assert event is not None
    forged = msgspec.structs.replace(event, champion=b)
    forged = msgspec.structs.replace(forged, digest=_digest(forged))
    (tmp_path / "history" / "0000000003.json").write_bytes(encode_event(forged))
    with pytest.raises(RegistryError, match=f"makes {b} champion; expected {a}"):
        Registry(str(tmp_path)).standing()
