"""What happened to a registry's bundles, as events in a chain, and what follows from them.

The history is the one truth: a bundle is in the registry when an event says that it was published, and the champion is
what the newest event says. Each event bears the digest of the one before, so that one that is missing, swapped or
edited is found.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import msgspec

from pipeline.errors import RegistryError

FORMAT = "driftline-registry-event"
VERSION = 1
Kind = Literal["published", "promoted", "rolled_back", "held", "released", "pinned", "unpinned", "collected"]


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something to a registry, when and why.

    Attributes:
        actor: name of a person or a program.
        at: with a time zone.
        reason: in words; may be empty.
    """

    actor: str
    at: datetime
    reason: str = ""


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of the history.

    Attributes:
        format: always 'driftline-registry-event'.
        version: of this format.
        sequence: number, from 1.
        previous: digest of the event before; '' for the first.
        kind: what happened.
        actor: who did it.
        at: when, by the clock of whoever did it.
        reason: why.
        digest: SHA-256 in hex of all the rest.
        bundle: id of the bundle that it happened to; with 'rolled_back' the one gone back to.
        champion: id of the bundle in service from then on; None before the first promotion.
        held: whether promotion is held from then on.
        parent: with 'published': id of the bundle that it was trained on from.
        size_bytes: with 'published'.
        collected: with 'collected': ids of the bundles removed.
        skipped: with 'rolled_back': ids that were damaged or gone, and passed over.
    """

    format: str
    version: int
    sequence: int
    previous: str
    kind: Kind
    actor: str
    at: datetime
    reason: str
    digest: str
    bundle: str | None = None
    champion: str | None = None
    held: bool = False
    parent: str | None = None
    size_bytes: int | None = None
    collected: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in a registry after an event.

    Attributes:
        head: that event; None before the first.
        published: by id, the event that brought each bundle that is there.
        line: ids that were in service, the one that is last; what was rolled back is not among them.
        hold: the event since which promotion is held; None when it is not.
        pinned: by id, the event that keeps a bundle from being collected.
        gone: by id, the event that collected a bundle which has not come back.
    """

    head: Event | None = None
    published: Mapping[str, Event] = field(default_factory=dict)
    line: tuple[str, ...] = ()
    hold: Event | None = None
    pinned: Mapping[str, Event] = field(default_factory=dict)
    gone: Mapping[str, Event] = field(default_factory=dict)

    @property
    def champion(self) -> str | None:
        """Id of the bundle in service."""
        return self.line[-1] if self.line else None

    @property
    def earlier(self) -> tuple[str, ...]:
        """Ids that can be rolled back to, the one that comes first first; some may be gone."""
        return tuple(dict.fromkeys(one for one in reversed(self.line) if one != self.champion))

    @property
    def previous(self) -> str | None:
        """Id of the bundle that a roll back goes to, unless it turns out damaged."""
        return next((one for one in self.earlier if one in self.published), None)


def short(bundle: str | None) -> str:
    """First 16 digits of an id, as shown to people; 'none' for none."""
    return bundle[:16] if bundle else "none"


def next_event(
    standing: Standing,
    act: Act,
    kind: Kind,
    bundle: str | None = None,
    *,
    held: bool | None = None,
    parent: str | None = None,
    size_bytes: int | None = None,
    collected: tuple[str, ...] = (),
    skipped: tuple[str, ...] = (),
) -> Event:
    """The event that is to come after `standing`; see `Event` for what it is made of.

    Args:
        held: None leaves the hold as it is.

    Raises:
        ValueError: the time has no time zone.
    """
    if act.at.tzinfo is None:
        raise ValueError(f"found the time {act.at}; expected one with a time zone")
    head = standing.head
    event = Event(
        FORMAT, VERSION, head.sequence + 1 if head else 1, head.digest if head else "", kind,
        act.actor, act.at, act.reason, "", bundle,
        champion=bundle if kind in {"promoted", "rolled_back"} else standing.champion,
        held=(standing.hold is not None) if held is None else held,
        parent=parent, size_bytes=size_bytes, collected=collected, skipped=skipped,
    )  # fmt: skip
    event = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    return msgspec.structs.replace(event, digest=_digest(event))


def after(standing: Standing, event: Event) -> Standing:
    """What is in the registry once `event` has happened.

    Raises:
        RegistryError: it does not follow on what was there.
    """
    head = standing.head
    expected = (head.sequence + 1, head.digest) if head else (1, "")
    if (event.sequence, event.previous) != expected:
        raise RegistryError(
            f"event {event.sequence}: found that it follows on {event.previous[:16] or 'nothing'}; expected it to "
            f"follow on {expected[1][:16] or 'nothing'}: an event before it is of another registry: restore the folder "
            "history from a copy"
        )
    hold = (standing.hold or event) if event.held else None
    result = replace(_CHANGES[event.kind](standing, event), head=event, hold=hold)
    if result.champion != event.champion:
        raise RegistryError(
            f"event {event.sequence}: found that it makes {event.champion} champion; expected {result.champion}, which "
            "follows from the events before: restore the folder history from a copy"
        )
    return result


def _publish(standing: Standing, event: Event) -> Standing:
    bundle = event.bundle or ""
    gone = {one: how for one, how in standing.gone.items() if one != bundle}
    return replace(standing, published={**standing.published, bundle: event}, gone=gone)


def _roll_back(standing: Standing, event: Event) -> Standing:
    line = standing.line
    while line and line[-1] != event.bundle:
        line = line[:-1]
    return replace(standing, line=line)


def _collect(standing: Standing, event: Event) -> Standing:
    published = {one: how for one, how in standing.published.items() if one not in event.collected}
    return replace(standing, published=published, gone={**standing.gone, **dict.fromkeys(event.collected, event)})


_CHANGES: Mapping[Kind, Callable[[Standing, Event], Standing]] = {
    "published": _publish,
    "promoted": lambda standing, event: replace(standing, line=(*standing.line, event.bundle or "")),
    "rolled_back": _roll_back,
    "held": lambda standing, _: standing,
    "released": lambda standing, _: standing,
    "pinned": lambda standing, event: replace(standing, pinned={**standing.pinned, event.bundle or "": event}),
    "unpinned": lambda standing, event: replace(
        standing, pinned={one: how for one, how in standing.pinned.items() if one != event.bundle}
    ),
    "collected": _collect,
}


def encode_event(event: Event) -> bytes:
    """The one form of an event as bytes: indented, keys sorted."""
    return msgspec.json.format(msgspec.json.encode(event, order="sorted"), indent=2) + b"\n"


def decode_event(path: str, raw: bytes) -> Event:
    """The checked event of a file.

    Args:
        path: for messages.

    Raises:
        RegistryError: damaged in any byte, or of another format or version.
    """
    mend = "restore it from a copy; where there is none and it is the newest, remove it, which undoes what it says"
    try:
        header = msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RegistryError(f"{path}: found text that is no event ({exc}); expected a JSON object: {mend}") from exc
    name, version = header.get("format"), header.get("version")
    if (name, version) != (FORMAT, VERSION):
        raise RegistryError(
            f"{path}: found format {name!r}, version {version!r}; expected {FORMAT!r}, version {VERSION}: upgrade "
            "driftline where the version is a later one"
        )
    try:
        event = msgspec.convert(header, type=Event)
    except msgspec.ValidationError as exc:
        raise RegistryError(f"{path}: {exc}: {mend}") from exc
    if encode_event(event) != raw or _digest(event) != event.digest:
        raise RegistryError(f"{path}: found content that does not match its digest; expected what was written: {mend}")
    return event


def _digest(event: Event) -> str:
    """SHA-256 in hex of an event without its digest."""
    bare = msgspec.structs.replace(event, digest="")
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()
