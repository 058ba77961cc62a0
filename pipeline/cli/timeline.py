"""Swaps of bundles that a service has told in its log, for a replay that goes over from one to the next as it did."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from pipeline.carrying import carry_state
from pipeline.engine import PartitionEngine
from pipeline.errors import ConfigError, InputError

SHOWN = 16


class Swap(NamedTuple):
    """Where a partition went over to another bundle.

    Attributes:
        offset: of the first record that it scored.
        before, bundle: short ids.
    """

    offset: int
    before: str
    bundle: str


Swaps: TypeAlias = Mapping[str, Sequence[Swap]]
"""By partition, rising."""


def first_of(swaps: Swaps) -> str:
    """Short id of the bundle that came before all swaps."""
    return next(mine[0].before for _, mine in sorted(swaps.items()))


def bundles_of(swaps: Swaps) -> set[str]:
    """Short ids of all bundles that score."""
    return {name for mine in swaps.values() for swap in mine for name in (swap.before, swap.bundle)}


def digest_of(swaps: Swaps) -> str:
    """What tells swaps from others."""
    return hashlib.sha256(json.dumps(told_of(swaps)).encode()).hexdigest()[:SHOWN]


def told_of(swaps: Swaps) -> dict[str, list[dict[str, Any]]]:
    """As a summary tells it."""
    return {name: [swap._asdict() for swap in mine] for name, mine in sorted(swaps.items())}


class EngineMaker(Protocol):
    """Makes engines of any of the bundles of a timeline."""

    def __call__(self, partition: str, bundle: str) -> AbstractContextManager[PartitionEngine]:
        """A fresh engine, to be used within the block."""


def read_swaps(log: Path, topic: str) -> Swaps:
    """Swaps of a topic by partition, from a log of `driftline serve` in JSON; other lines and topics are passed over.

    A swap that was told and then not committed, as its process was killed, is undone by one told later at the same
    offset or before it.

    Raises:
        InputError: the file cannot be read, or tells no swap of the topic.
        ConfigError: the configuration was changed on the way.
    """
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError as exc:
        raise InputError(
            str(log), found=f"no readable file ({exc.strerror})", expected="a log of `driftline serve`"
        ) from exc
    found: dict[str, list[Swap]] = {}
    for event in filter(None, map(_swapped, lines)):
        name, _, partition = str(event["place"]).rpartition("/")
        if name != topic:
            continue
        if event["configuration"][0] != event["configuration"][1]:
            raise ConfigError(
                f"{log}: found the configuration changed at offset {event['offset']} of {event['place']}; expected one "
                "for the whole replay: replay the ranges before and behind it on their own"
            )
        before, bundle = event["bundle"]
        mine = found.setdefault(partition, [])
        mine[:] = [swap for swap in mine if swap.offset < event["offset"]]
        mine.append(Swap(event["offset"], before, bundle))
    if not found:
        raise InputError(
            str(log),
            found=f"no swap of the topic {topic!r}",
            expected='lines with "event": "swapped", as `driftline serve` writes them with log.format = "json"',
        )
    return found


def _swapped(line: str) -> dict[str, Any] | None:
    if '"swapped"' not in line:
        return None
    try:
        event = json.loads(line[line.index("{") :])
    except ValueError:
        return None
    known = isinstance(event, dict) and {"place", "offset", "bundle", "configuration"} <= event.keys()
    return event if known and event.get("event") == "swapped" else None


@dataclass(slots=True)
class SwapTimeline:
    """Fulfils `pipeline.replay.Timeline`.

    Args:
        swaps: by partition, rising.
        first: short id of the bundle that the others begin with.
        make_engine: of any bundle.
        points_per_message: see `Origin`.
    """

    swaps: Swaps
    first: str
    make_engine: EngineMaker
    points_per_message: int = 1
    _held: ExitStack = field(default_factory=ExitStack, init=False)

    def make(self, partition: str, after: int) -> PartitionEngine:
        """See `Timeline`."""
        self._held.close()
        mine = self.swaps.get(partition, [])
        passed = [swap.bundle for swap in mine if self._position(swap) <= after]
        first = mine[0].before if mine else self.first
        return self._held.enter_context(self.make_engine(partition, passed[-1] if passed else first))

    def next_swap(self, partition: str, after: int) -> int | None:
        """See `Timeline`."""
        positions = map(self._position, self.swaps.get(partition, []))
        return next((position for position in positions if position > after), None)

    def swap(self, partition: str, position: int, engine: PartitionEngine) -> PartitionEngine:
        """See `Timeline`.

        Raises:
            ConfigError: the lanes of one bundle do not fit the other.
        """
        swap = next(one for one in self.swaps[partition] if self._position(one) == position)
        with self._held.pop_all():  # what the engine before has evicted is there until it is taken over
            new = self._held.enter_context(self.make_engine(partition, swap.bundle))
            if not carry_state(engine, new):
                raise ConfigError(
                    f"{partition}, offset {swap.offset}: found lanes of bundle {swap.before} that do not fit bundle "
                    f"{swap.bundle}; expected the same layout"
                )
        return new

    def close(self) -> None:
        """Let go of what the last engine has evicted."""
        self._held.close()

    def _position(self, swap: Swap) -> int:
        return swap.offset * self.points_per_message
