"""What a power cut may leave of a directory tree, told from the calls that change it and make it durable."""

import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

Tree = dict[str, bytes]
"""Content by path in the tree; a path that ends in '/' is a directory, without content."""

Names = Literal["synced", "renamed", "current"]
"""Which names of a directory have reached the disk: those when it was last synced, renamings since then too, or all."""


class Disk:
    """Records, at every such call, the trees that a power cut could leave then.

    Files hold what they held when they were last synced: nothing if they never were. Which names have reached the disk
    is another matter, and one for each directory.

    Args:
        root: of the tree, which has directories directly under it alone.
        monkeypatch: puts recorders around the system calls.

    Attributes:
        cuts: the trees, without repetitions, in order.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cuts: list[Tree] = []
        self._root = root
        self._contents: dict[int, bytes] = {}
        self._synced: dict[int, dict[str, int]] = {}
        self._renamed: dict[int, dict[str, int]] = {}
        self._held: list[int] = []
        monkeypatch.setattr(os, "fsync", self._recording(os.fsync, self._note_sync))
        for name in ("replace", "rename"):
            monkeypatch.setattr(os, name, self._recording(getattr(os, name), self._note_renaming))
        monkeypatch.setattr(os, "unlink", self._recording(os.unlink, lambda *_: None))

    def certain(self) -> Tree:
        """What a power cut now would leave in any case."""
        return self._tree("synced", "synced")

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in self._held:
            os.close(descriptor)

    def _recording(self, call: Callable[..., None], note: Callable[..., None]) -> Callable[..., None]:
        def recorder(*args: Any, **options: Any) -> None:
            call(*args, **options)
            note(*args)
            names: tuple[Names, ...] = ("synced", "renamed", "current")
            for at_root, below in itertools.product(names, names):
                tree = self._tree(at_root, below)
                if tree not in self.cuts:
                    self.cuts.append(tree)

        return recorder

    def _note_sync(self, descriptor: int) -> None:
        self._held.append(os.dup(descriptor))  # so that no later file gets the same number
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._synced[found.st_ino] = {
                name: os.stat(name, dir_fd=descriptor).st_ino for name in os.listdir(descriptor)
            }
            self._renamed[found.st_ino] = {}
        else:
            self._contents[found.st_ino] = os.pread(descriptor, found.st_size, 0)

    def _note_renaming(self, _: Path, target: Path) -> None:
        self._renamed.setdefault(target.parent.stat().st_ino, {})[target.name] = target.stat().st_ino

    def _tree(self, at_root: Names, below: Names) -> Tree:
        tree: Tree = {}
        directories = {path.stat().st_ino: path for path in (self._root, *self._root.iterdir()) if path.is_dir()}
        for name, number in self._names(self._root.stat().st_ino, directories, at_root).items():
            if number in directories or number in self._synced:
                tree[f"{name}/"] = b""
                for inner, content in self._names(number, directories, below).items():
                    tree[f"{name}/{inner}"] = self._contents.get(content, b"")
            else:
                tree[name] = self._contents.get(number, b"")
        return tree

    def _names(self, number: int, directories: dict[int, Path], which: Names) -> dict[str, int]:
        if which != "current":
            return self._synced.get(number, {}) | (self._renamed.get(number, {}) if which == "renamed" else {})
        if number not in directories:
            return {}
        return {path.name: path.stat().st_ino for path in directories[number].iterdir()}


def restore(tree: Tree, root: Path) -> None:
    """Make the tree that a cut left."""
    root.mkdir()
    for path, content in tree.items():
        if path.endswith("/"):
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
