"""The evicted keys of a checkpoint, left where they are in its content: read in order, and searched.

Three stretches of the content hold them: the names as one JSON array in order, the length of each one's rows as int64,
and the rows. Of every few keys the first one's name and places are kept in memory; the rest is read when it is asked
for.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Sequence
from typing import Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.records import KeyedRows

_FEW = 64
"""Keys that are read at once."""
_STEP_BYTES = 2**18
_NAME = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)

Stretch: TypeAlias = tuple[int, int]
"""Where something lies in a content: from, to before."""


class Content(Protocol):
    """Bytes that are read by slices; those of a memoryview, or of a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes | memoryview: ...


class StoredRows(KeyedRows):
    """Evicted keys in a content; see `index_rows`.

    Args:
        firsts: name of every `_FEW`-th key.
        names: where each of these begins in the content, and where the one behind the last would.
        lengths: where the lengths of all keys lie.
        rows: where the rows of each of `firsts` begin.
    """

    def __init__(
        self, content: Content, firsts: list[str], names: NDArray[np.int64], lengths: Stretch, rows: NDArray[np.int64]
    ) -> None:
        self._content = content
        self._firsts = firsts
        self._names = names
        self._lengths = lengths
        self._rows = rows

    def behind(self, key: str | None) -> list[tuple[str, bytes]]:
        """See `KeyedRows`."""
        group = 0 if key is None else max(bisect_right(self._firsts, key) - 1, 0)
        while group < len(self._firsts):
            names, ends = self._read(group)
            start = 0 if key is None else bisect_right(names, key)
            if start < len(names):
                offset, until = int(ends[start]), int(ends[-1])
                content = bytes(self._content[offset:until])
                places = (ends[start:] - offset).tolist()
                return [
                    (name, content[first:end])
                    for name, first, end in zip(names[start:], places[:-1], places[1:], strict=True)
                ]
            group += 1
        return []

    def find(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `KeyedRows`."""
        found: dict[str, bytes] = {}
        held, names, ends = -1, list[str](), np.zeros(1, np.int64)
        for key in sorted(keys):
            group = bisect_right(self._firsts, key) - 1
            if group < 0:
                continue
            if group != held:
                names, ends = self._read(group)
                held = group
            at = bisect_left(names, key)
            if at < len(names) and names[at] == key:
                found[key] = bytes(self._content[int(ends[at]) : int(ends[at + 1])])
        return found

    def _read(self, group: int) -> tuple[list[str], NDArray[np.int64]]:
        """(names of a group, where the rows of each begin and of the last end)."""
        start, stop = (int(at) for at in self._names[group : group + 2])
        names = msgspec.json.decode(b"[%b]" % bytes(self._content[start : stop - 1]), type=list[str])
        first = self._lengths[0] + 8 * _FEW * group
        lengths = np.frombuffer(self._content[first : first + 8 * len(names)], "<i8")
        return names, self._rows[group] + np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def index_rows(content: Content, names: Stretch, lengths: Stretch, rows: Stretch) -> Generator[None, None, StoredRows]:
    """The evicted keys of a content, after some steps of a few milliseconds.

    Args:
        names: where the JSON array lies.
        lengths: where the int64 lie.
        rows: where the rows lie.
    """
    firsts: list[str] = []
    starts: list[int] = []
    count, rest = 0, b""
    for start in range(*names, _STEP_BYTES):
        some = rest + content[start : min(start + _STEP_BYTES, names[1])]
        end = 0
        for name in _NAME.finditer(some):
            if count % _FEW == 0:
                firsts.append(msgspec.json.decode(name[0], type=str))
                starts.append(start - len(rest) + name.start())
            count += 1
            end = name.end()
        rest = some[end:]
        yield
    sizes = [np.full(1, rows[0])]
    for start in range(*lengths, _STEP_BYTES):
        each = np.frombuffer(content[start : min(start + _STEP_BYTES, lengths[1])], "<i8")
        sizes.append(np.add.reduceat(each, np.arange(0, len(each), _FEW)))
        yield
    return StoredRows(content, firsts, np.array([*starts, names[1]]), lengths, np.cumsum(np.concatenate(sizes)))
