"""A lease in a registry: of several that want to train, one does.

    <url>/lease/<sequence, 10 digits>.json

Who holds it is what the newest file says, until the time that it says. To take it, to renew it and to give it back
is to make the file that comes next, which one alone can do. The clocks of those who take part should agree to a few
seconds.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from pipeline.adapters.bundles.blobs import Blobs

_FOLDER = "lease"
_NAME = re.compile(r"\d{10}\.json", re.ASCII)
_KEPT = 2
"""Newest files that stay: one that is being read is not removed."""


class _Term(msgspec.Struct, frozen=True):
    """What a file says."""

    holder: str
    until: datetime


class Lease:
    """The lease as one holder sees it.

    Args:
        url: of the registry.
        holder: a name that nobody else has.
        lasts: from one renewal on.
        clock: the time, with a time zone.
        is_gone: whether a holder is known to be no more, so that its term need not be waited for.

    Raises:
        ConfigError: no such kind of URL, or a package for it is missing.
    """

    def __init__(
        self,
        url: str,
        holder: str,
        lasts: timedelta,
        clock: Callable[[], datetime],
        is_gone: Callable[[str], bool] = lambda _holder: False,
    ) -> None:
        self._blobs = Blobs(url)
        self._holder = holder
        self._lasts = lasts
        self._clock = clock
        self._is_gone = is_gone
        self._sequence = 0

    def take(self) -> bool:
        """Whether it is held from now on; not where somebody else holds it, or was first.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        sequence, term = self._newest()
        if term is not None and self._is_held(term):
            return False
        return self._make(sequence + 1, self._lasts)

    def renew(self) -> bool:
        """Whether it is held on; not where it ran out and somebody else has taken it. Raises as `take`."""
        return self._make(self._sequence + 1, self._lasts)

    def give_back(self) -> None:
        """Let others take it at once. Raises as `take`."""
        self._make(self._sequence + 1, timedelta())

    def holder(self) -> str:
        """Who holds it now; '' for nobody. Raises as `take`."""
        _, term = self._newest()
        return term.holder if term is not None and self._clock() < term.until else ""

    def _is_held(self, term: _Term) -> bool:
        """Whether somebody else may be about it."""
        return term.holder != self._holder and self._clock() < term.until and not self._is_gone(term.holder)

    def _newest(self) -> tuple[int, _Term | None]:
        names = self._names()
        if not names:
            return 0, None
        [raw] = self._blobs.get(names[-1:])
        try:
            term = None if raw is None else msgspec.json.decode(raw, type=_Term)
        except msgspec.DecodeError:
            term = None  # damaged, and so nobody's
        return int(names[-1].rpartition("/")[2][:10]), term

    def _make(self, sequence: int, lasts: timedelta) -> bool:
        term = msgspec.json.encode(_Term(self._holder, self._clock() + lasts))
        if not self._blobs.create(f"{_FOLDER}/{sequence:010d}.json", term):
            return False
        self._sequence = sequence
        for name in self._names()[:-_KEPT]:
            self._blobs.remove(name)
        return True

    def _names(self) -> list[str]:
        return [f"{_FOLDER}/{name}" for name in self._blobs.names(_FOLDER) if _NAME.fullmatch(name)]
