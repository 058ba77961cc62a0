"""What is kept of a run, so that it can be gone on with."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from numpy.typing import NDArray


class RunIdentity(msgspec.Struct, frozen=True, omit_defaults=True):
    """What makes a run the run it is; a checkpoint of another is not continued from.

    Attributes:
        past: what its keys begin with; '' where all begin anew.
    """

    config_hash: str
    bundle: str
    source: str
    past: str = ""


class KeyedRows(ABC):
    """Keys with their rows, in order of the keys, that stay as they are and need not be in memory."""

    @abstractmethod
    def behind(self, key: str | None) -> list[tuple[str, bytes]]:
        """The next few behind a key, or the first few; none only where there are no more."""

    @abstractmethod
    def find(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows of those of the keys that are among them."""

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        few = self.behind(None)
        while few:
            yield from few
            few = self.behind(few[-1][0])


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The state of a run behind one record.

    Attributes:
        run: whose state it is.
        meta: position, counts, clocks and the like, as JSON can hold them; floats finite.
        arrays: by name, of any shape and of any dtype without Python objects, structured ones included.
        key_names: names of the keys in the arrays, in their order.
        spilled: evicted keys with their rows, in order of the keys; there may be far more than fit into memory.
    """

    run: RunIdentity
    meta: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    key_names: list[str]
    spilled: Iterable[tuple[str, bytes]] = ()
