"""Small files at a URL, whole or absent."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from pipeline.adapters.bundles.blobs import Blobs
from pipeline.errors import ConfigError, RegistryError, without_secrets
from tests.pipeline.adapters.state.test_files import ObjectStore


def test_a_file_is_made_by_one_writer(url: str) -> None:
    """The second is told that it came too late, and changes nothing."""
    blobs = Blobs(url)
    assert blobs.create("a/b.json", b"one")
    assert not Blobs(url).create("a/b.json", b"two")
    assert blobs.get(["a/b.json", "a/c.json", "d/e.json"]) == [b"one", None, None]
    assert blobs.names("a") == ["b.json"]
    assert blobs.names("nowhere") == []
    assert blobs.get([]) == []
    blobs.put("a/b.json", b"three")
    assert blobs.get(["a/b.json"]) == [b"three"]
    assert blobs.newest("a") is not None
    assert blobs.newest("nowhere") is None
    blobs.remove("a")
    blobs.remove("a")
    assert blobs.names("a") == []


def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    """What would be a wildcard is none on a disk; at any other URL it is refused."""
    folder = tmp_path / "a [b]*?" / "models"
    for url in (str(folder), f"file://{folder}"):
        blobs = Blobs(url)
        blobs.put("x/y", b"1")
        assert (blobs.get(["x/y"]), blobs.names("x")) == ([b"1"], ["y"])
        assert blobs.newest("x") is not None
        blobs.remove("x")
        assert blobs.names("x") == []
    with pytest.raises(ConfigError, match="found a wildcard in it"):
        Blobs("memory://bucket/a[b]")


def test_a_store_that_connects_at_once_may_be_away() -> None:
    """It is told wherever it is used, without the secrets of its URL, and keeps nobody from anything who does not."""
    blobs = Blobs("ftp://robot:hunter2@127.0.0.1:9/models")
    for use in (
        lambda: blobs.names("a"),
        lambda: blobs.get(["a"]),
        lambda: blobs.create("a", b""),
        lambda: blobs.newest("a"),
    ):
        with pytest.raises(RegistryError, match=r"cannot be reached .*refused") as told:
            use()
        assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A file that is there is left alone all the same, and nothing is left beside it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    blobs = Blobs(str(tmp_path))
    assert blobs.create("a/b", b"one")
    assert not blobs.create("a/b", b"two")
    assert (tmp_path / "a" / "b").read_bytes() == b"one"
    assert [*(tmp_path / "partial").iterdir()] == []


def test_a_store_without_conditions_will_do() -> None:
    """Where a file cannot be made on condition, it is looked whether one is there first."""

    class Unconditional(ObjectStore):
        protocol = "unconditional"

        def pipe_file(self, path: str, value: bytes, **how: object) -> None:
            if how:
                raise NotImplementedError
            super().pipe_file(path, value)

        def exists(self, path: str, **_: object) -> bool:
            return path in self.objects

    fsspec.register_implementation("unconditional", Unconditional, clobber=True)
    Unconditional.objects.clear()
    blobs = Blobs("unconditional://bucket/models")
    assert blobs.create("a", b"one")
    assert not blobs.create("a", b"two")
    assert blobs.get(["a"]) == [b"one"]


def test_a_write_that_another_one_overtook_is_told() -> None:
    """Where a store heeds no condition, the one that was overwritten finds that out."""

    class Careless(ObjectStore):
        protocol = "careless"

        def pipe_file(self, path: str, value: bytes, **how: object) -> None:
            super().pipe_file(path, b"another's" if how else value)

    fsspec.register_implementation("careless", Careless, clobber=True)
    assert not Blobs("careless://bucket/models").create("a", b"mine")


@pytest.mark.parametrize("url", ["nosuch://bucket", "s3//bucket://"])
def test_a_url_of_no_kind_is_refused(url: str) -> None:
    """With what is expected and how to get it."""
    with pytest.raises(ConfigError, match=r"expected the URL of a folder, such as file://.*pip install '"):
        Blobs(url)


def test_what_cannot_be_reached_is_told(tmp_path: Path) -> None:
    """A file in the way, or a store that does not answer, with the registry's name and no secret of its URL."""
    (tmp_path / "file").write_text("in the way")
    blobs = Blobs(f"{tmp_path}/file")
    for call in (lambda: blobs.put("a/b", b""), lambda: blobs.create("a/b", b""), lambda: blobs.get(["a/b"])):
        with pytest.raises(RegistryError, match=rf"registry {tmp_path}/file: found that it cannot be reached"):
            call()
    ObjectStore.unreachable.add("models")
    try:
        with pytest.raises(RegistryError, match=r"cannot be reached \(ConnectionError: no route\)"):
            Blobs("objects://bucket/models").get(["a"])
    finally:
        ObjectStore.unreachable.clear()


def test_secrets_are_masked() -> None:
    """Passwords, also such as have slashes and at signs in them, and queries; containers of Azure are no secrets."""
    assert without_secrets("ftp://ann:pa/s@s@host/x?sig=abc") == "ftp://ann:***@host/x?***"
    assert (
        without_secrets("abfs://models@account.dfs.core.windows.net/a")
        == "abfs://models@account.dfs.core.windows.net/a"
    )
    assert without_secrets("no route to sftp://bob:secret@host:22/a") == "no route to sftp://bob:***@host:22/a"
    with pytest.raises(ConfigError) as caught:
        Blobs("nosuch://ann:secret@host")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which none can be made")
@pytest.mark.parametrize("write", [Blobs.create, Blobs.put])
def test_a_folder_that_cannot_be_made_is_told(write: Callable[[Blobs, str, bytes], object]) -> None:
    """Where the registry would lie below what takes no folders, a write says so instead of ending in a traceback."""
    with pytest.raises(RegistryError, match=r"registry /proc/models: found that it cannot be made \(No such file"):
        write(Blobs("/proc/models"), "a/b", b"one")
