"""What can be asked of a registry of bundles: which there are, which is in service, what happened."""

from collections.abc import Callable, Sequence

from pipeline.adapters.bundles.blobs import Blobs
from pipeline.adapters.bundles.form import Bundle, Manifest
from pipeline.adapters.bundles.history import Event, Standing
from pipeline.adapters.bundles.journal import Journal
from pipeline.adapters.bundles.names import find
from pipeline.adapters.bundles.shelf import Shelf
from pipeline.errors import BundleError, RegistryError

REPORTS = "reports"
"""Folder of what was reported on bundles, in a folder each by the name of their id."""


class RegistryView:
    """A registry that is read; nothing of this class writes.

    Args:
        url: of the folder; one that is not there is a registry without bundles.

    Attributes:
        shown: the URL as it may be printed.

    Raises:
        ConfigError: no such kind of URL, or a package for it is missing.
    """

    def __init__(self, url: str) -> None:
        self._blobs = Blobs(url)
        self._journal = Journal(self._blobs)
        self._shelf = Shelf(self._blobs)
        self.shown = self._blobs.shown

    def champion(self) -> str | None:
        """Id of the bundle in service; None before the first promotion. Reads the newest event alone.

        Raises:
            RegistryError: it is damaged, or the registry cannot be reached.
        """
        newest = self._journal.newest()
        return newest.champion if newest else None

    def standing(self) -> Standing:
        """What is in the registry now; of events read before only the new ones are read.

        Raises:
            RegistryError: an event is damaged or missing, or the registry cannot be reached.
        """
        return self._journal.standing()

    def history(self) -> Sequence[Event]:
        """All events, the oldest first; raises as `standing` does."""
        return self._journal.events()

    def find(self, name: str) -> str:
        """Id of the bundle of a name: the first digits of its id, 'champion', or 'previous' for the one before.

        Raises:
            RegistryError: none, several, or as `standing` raises.
        """
        try:
            return find(name, self.standing())
        except LookupError as exc:
            raise self._refusal(str(exc)) from exc

    def load(self, bundle: str) -> Bundle:
        """The bundle of an id, read and checked to the byte.

        Raises:
            BundleError: it is missing, damaged, or of another format or version.
            RegistryError: the registry cannot be reached.
        """
        return self._shelf.load(bundle)

    def manifests(self, bundles: Sequence[str]) -> list[Manifest | BundleError]:
        """The manifest of each bundle, or what is wrong with it; weights are not looked at.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        return self._shelf.manifests(bundles)

    def reports(self, bundle: str) -> list[str]:
        """Names of the reports kept with the bundle of an id, in order.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        return self._blobs.names(f"{REPORTS}/{bundle}")

    def report(self, bundle: str, name: str) -> bytes:
        """Content of a report.

        Raises:
            RegistryError: there is none of this name, or the registry cannot be reached.
        """
        [content] = self._blobs.get([f"{REPORTS}/{bundle}/{name}"])
        if content is None:
            raise self._refusal(
                f"found no report {name} of {bundle[:16]}; expected one that driftline models show lists"
            )
        return content

    def verify(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> dict[str, BundleError | None]:
        """Read every bundle and every event; by id, what is wrong with it, or None.

        Args:
            progress: called with (bundles read, bundles in all).

        Raises:
            RegistryError: as `standing`.
        """
        bundles = [*self.standing().published]
        found: dict[str, BundleError | None] = {}
        for number, bundle in enumerate(bundles, 1):
            try:
                self.load(bundle)
                found[bundle] = None
            except BundleError as exc:
                found[bundle] = exc
            progress(number, len(bundles))
        return found

    def _refusal(self, message: str) -> RegistryError:
        return RegistryError(f"registry {self.shown}: {message}")
