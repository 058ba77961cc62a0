"""Folders of files, on disk and on an object store that knows no folders."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import fsspec
import pytest
import zstandard

from pipeline.adapters.state.files import FileStateStore
from pipeline.adapters.state.pages import PAGE_BYTES
from pipeline.errors import CheckpointError
from tests.pipeline.adapters.state.bench import ANYWHERE, PLACE, Bench, content_of, make_state, read_all


class ObjectStore(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Objects by key, as S3 has them: folders are only what keys have in common; it can be made unreachable."""

    protocol = "objects"
    objects: ClassVar[dict[str, bytes]] = {}
    unreachable: ClassVar[set[str]] = set()

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT002  fsspec's own
        """What keys have behind a prefix, up to the next slash."""
        prefix = self._strip_protocol(path).rstrip("/") + "/"
        names = {prefix + key.removeprefix(prefix).split("/")[0] for key in self.objects if key.startswith(prefix)}
        if not names:
            raise FileNotFoundError(path)
        return sorted(names) if not detail else [{"name": one, "type": "file", "size": 0} for one in sorted(names)]

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT002  as above
        """There are none to make."""

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        """Write an object."""
        self.objects[self._strip_protocol(path)] = bytes(value)

    def cat_file(self, path: str, **_: Any) -> bytes:
        """Read an object."""
        if any(part in path for part in self.unreachable):
            raise ConnectionError("no route")
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def rm_file(self, path: str) -> None:
        """Remove an object; one that is not there is no error, as on S3."""
        self.objects.pop(path, None)

    def rm(self, path: str, **_: Any) -> None:
        """Remove all objects of a prefix."""
        for key in [key for key in self.objects if key.startswith(path)]:
            del self.objects[key]


fsspec.register_implementation("objects", ObjectStore, clobber=True)


@pytest.fixture
def objects() -> Iterator[Bench]:
    """A bench on the object store."""
    ObjectStore.objects.clear()
    ObjectStore.unreachable.clear()
    yield Bench(lambda: (FileStateStore("objects://bucket/state", "a group/1"), lambda: None, lambda: None))
    ObjectStore.unreachable.clear()


def _bench(path: Path) -> Bench:
    return Bench(lambda: (FileStateStore(f"file://{path}", "g"), lambda: None, lambda: None))


def _names(path: Path) -> list[str]:
    return sorted(one.name.lstrip("0").partition("-")[0] for one in (path / "g" / "in" / "1").iterdir())


def test_an_object_store_will_do(objects: Bench) -> None:
    """Without folders too, snapshots come back, the last two are kept, and nothing else is left."""
    assert objects.read() == (None, b"", [])
    interrupted = objects.store.writer(PLACE, 50, make_state(5))
    assert not interrupted.write(1)
    for offset in (100, 200, 300):
        objects.write(offset, offset)
    assert objects.read() == (300, content_of(make_state(300)), [])
    assert objects.read(299) == (200, content_of(make_state(200)), [])
    assert len(ObjectStore.objects) == 2 * 5


def test_a_store_that_cannot_be_reached_is_no_damage(objects: Bench) -> None:
    """A page or mark that cannot be read just now raises, so that it is tried again; nothing older is taken instead."""
    objects.write(100, 1)
    objects.write(200, 2)
    for what in ("page-00001", "complete.json"):
        ObjectStore.unreachable.add(what)
        with pytest.raises(CheckpointError, match=r"objects://bucket/state, state of in/1: .*no route"):
            objects.read()
        ObjectStore.unreachable.clear()
    assert objects.read() == (200, content_of(make_state(2)), [])


def test_two_writers_do_not_harm_each_other(tmp_path: Path) -> None:
    """Two processes that both write, the same snapshot and different ones, page by page in turn, leave whole ones."""
    one, two = _bench(tmp_path), _bench(tmp_path)
    for offsets in ((100, 100), (200, 300), (400, 350)):
        writers = [
            bench.store.writer(PLACE, offset, make_state(offset))
            for bench, offset in zip((one, two), offsets, strict=True)
        ]
        while writers:
            writers = [writer for writer in writers if not writer.write(1)]
        assert one.read() == (max(offsets), content_of(make_state(max(offsets))), [])
    one.write(500, 5)
    assert _names(tmp_path) == ["400", "500"]


def test_what_vanishes_while_it_is_removed_is_no_failure(tmp_path: Path) -> None:
    """Another writer that removes the same old snapshot at the same moment does not make this one's fail."""
    bench = _bench(tmp_path)
    bench.write(100, 1)
    bench.write(200, 2)
    store = bench.store
    assert isinstance(store, FileStateStore)
    seen = store.snapshots(PLACE)
    with patch.object(store, "snapshots", lambda _: [f"{tmp_path}/g/in/1/{0:020d}-{0:012d}", *seen]):
        bench.write(300, 3)
    assert _names(tmp_path) == ["200", "300"]


def test_an_interrupted_mark_is_no_damage(tmp_path: Path) -> None:
    """A writer killed before it had written a byte of its mark leaves an incomplete snapshot, not a damaged one."""
    bench = _bench(tmp_path)
    bench.write(100, 1)
    bench.write(200, 2)
    (max((tmp_path / "g" / "in" / "1").iterdir()) / "complete.json").write_bytes(b"")
    assert bench.read() == (100, content_of(make_state(1)), [])


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """What else lies in the folder is neither read nor removed."""
    bench = _bench(tmp_path)
    folder = tmp_path / "g" / "in" / "1"
    (folder / "0-lost+found").mkdir(parents=True)
    (folder / ".DS_Store").write_text("x")
    for offset in (100, 200, 300):
        bench.write(offset, offset)
    assert bench.read() == (300, content_of(make_state(300)), [])
    assert (folder / "0-lost+found").exists()
    assert (folder / ".DS_Store").exists()


def test_the_snapshot_of_the_note_comes_first(tmp_path: Path) -> None:
    """A newer one that the group does not know of, as of a history given up, is taken only where that one is gone."""
    bench = _bench(tmp_path)
    note = bench.write(100, 1)
    bench.write(200, 2)
    assert bench.read(note=note)[0] == 100
    assert bench.read()[0] == 200
    damaged = min((tmp_path / "g" / "in" / "1").iterdir()) / "page-00000.zst"
    damaged.write_bytes(b"")
    offset, _, damages = bench.read(note=note)
    assert (offset, len(damages)) == (200, 1)


@pytest.mark.parametrize("size", [PAGE_BYTES + 1, 2**62])
def test_a_page_that_claims_to_be_huge_is_damage(tmp_path: Path, size: int) -> None:
    """A damaged length within a page is told; no memory is taken for it."""
    bench = _bench(tmp_path)
    bench.write(100, 1)
    bench.write(200, 2)
    header = bytes([0x28, 0xB5, 0x2F, 0xFD, 0xE0]) + struct.pack("<Q", size)
    assert zstandard.frame_content_size(header) == size
    page = max((tmp_path / "g" / "in" / "1").iterdir()) / "page-00000.zst"
    page.write_bytes(header + page.read_bytes()[13:])
    offset, _, damages = bench.read()
    assert offset == 100
    assert len(damages) == 1


def test_every_damaged_byte_of_a_small_snapshot_is_found(tmp_path: Path) -> None:
    """Whichever byte of page or mark is changed, the damage is told and the snapshot before taken."""
    bench = _bench(tmp_path)
    bench.write(100, 1, size=80)
    bench.write(200, 2, size=80)
    newest = max((tmp_path / "g" / "in" / "1").iterdir())
    for path in newest.iterdir():
        whole = path.read_bytes()
        for at in range(len(whole)):
            damaged = bytearray(whole)
            damaged[at] ^= 0x10
            path.write_bytes(damaged)
            offset, content, damages = read_all(bench.make()[0].reader(PLACE, ANYWHERE, ""))
            if content != content_of(make_state(2, 80)):  # else a bit that says nothing of the content
                assert (offset, len(damages)) == (100, 1)
        path.write_bytes(whole)
