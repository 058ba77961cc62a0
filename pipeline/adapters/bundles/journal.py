"""The history of a registry at its URL: events read in order, and new ones written behind the newest."""

import re
from collections.abc import Callable, Sequence

from pipeline.adapters.bundles.blobs import Blobs
from pipeline.adapters.bundles.history import Event, Standing, after, decode_event, encode_event
from pipeline.errors import ConflictError, RegistryError

_FOLDER = "history"
_NAME = re.compile(r"\d{10}\.json", re.ASCII)
_TRIES = 50


class Journal:
    """Events as files numbered from 1, of which none is ever changed; whatever else lies there is passed over."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._events: list[Event] = []
        self._standing = Standing()

    def newest(self) -> Event | None:
        """The newest event, read by itself; None for none.

        Raises:
            RegistryError: it is damaged, or the registry cannot be reached.
        """
        names = self._names()
        return self._read(names[-1:])[0] if names else None

    def standing(self) -> Standing:
        """What is in the registry now; of events read before only the new ones are read.

        Raises:
            RegistryError: an event is damaged or missing, or the registry cannot be reached.
        """
        names = self._names()
        if len(names) < len(self._events):
            self._events, self._standing = [], Standing()  # another registry lies there now
        for number, name in enumerate(names, 1):
            if name != _name(number):
                raise RegistryError(
                    f"registry {self._blobs.shown}: found {_FOLDER}/{name} with no event {number} before it; expected "
                    f"a history without holes: restore the folder {_FOLDER} from a copy"
                )
        for event in self._read(names[len(self._events) :]):
            self._standing = after(self._standing, event)
            self._events.append(event)
        return self._standing

    def events(self) -> Sequence[Event]:
        """All events, the oldest first; raises as `standing` does."""
        self.standing()
        return tuple(self._events)

    def record(self, propose: Callable[[Standing], Event | None]) -> Event | None:
        """Write the event that `propose` makes of what is there; proposed anew where another one came first.

        Args:
            propose: gives the event that is to come next, or None for none; raises what keeps it from that.

        Raises:
            ConflictError: others keep coming first.
            RegistryError: as `standing`.
        """
        for _ in range(_TRIES):
            event = propose(self.standing())
            if event is None or self._blobs.create(f"{_FOLDER}/{_name(event.sequence)}", encode_event(event)):
                return event
        raise ConflictError(
            f"registry {self._blobs.shown}: found that others were first {_TRIES} times; expected a quiet moment: try "
            "again, and see driftline models history for what they do"
        )

    def _names(self) -> list[str]:
        return [name for name in self._blobs.names(_FOLDER) if _NAME.fullmatch(name)]

    def _read(self, names: Sequence[str]) -> list[Event]:
        events = []
        for name, raw in zip(names, self._blobs.get([f"{_FOLDER}/{name}" for name in names]), strict=True):
            path = f"{self._blobs.shown}/{_FOLDER}/{name}"
            event = decode_event(path, raw or b"")
            if _name(event.sequence) != name:
                raise RegistryError(f"{path}: found event {event.sequence}; expected its own: restore it from a copy")
            events.append(event)
        return events


def _name(sequence: int) -> str:
    return f"{sequence:010d}.json"
