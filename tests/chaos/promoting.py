"""Bundles that take turns as champion while members die, and kills that are aimed at the moments of their swaps."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

from detectors.structure import Structure
from pipeline.adapters.bundles.registry import Registry
from tests.chaos.service import Serving
from tests.pipeline.adapters.bundles.bench import act
from tests.pipeline.cli.bundles import structure_variant, variant

_GAINS = (1.0, 0.98, 1.02)
_STRUCTURES = (Structure("gru"), Structure(convolution=4, attention=8))
_WAIT_S = 5.0
_POLL_S = 0.002
_MOMENTS = ("promoted", "champion_found", "swapped")
"""When to kill: soon after the promotion; as a member has read the bundle; as one goes over to it."""
_DELAYS_S = {"promoted": 0.4, "champion_found": 0.1, "swapped": 0.03}


class Champions:
    """A registry with the shipped network and two others: slightly changed ones, or of other structures.

    Args:
        url: of the registry.
        structures: whether they are of other structures.
    """

    def __init__(self, url: Path, dice: random.Random, *, structures: bool) -> None:
        self.url = url
        self.bundles = (
            [variant(), *map(structure_variant, _STRUCTURES)]
            if structures
            else [variant(gain=gain, seed=n) for n, gain in enumerate(_GAINS)]
        )
        """The first is champion at first."""
        self._dice = dice
        self._registry = Registry(str(url))
        self._ids = [self._registry.publish(bundle, act()) for bundle in self.bundles]
        self._at = 0
        self._promotions = 0
        self._registry.promote(self._ids[0], act())

    @property
    def newest(self) -> str:
        """The champion, by the short id that logs tell."""
        return self.bundles[self._at].short_id

    def promote(self) -> None:
        """Make another one champion."""
        self._at = (self._at + self._dice.randrange(1, len(self._ids))) % len(self._ids)
        self._promotions += 1
        self._registry.promote(self._ids[self._at], act(self._promotions))

    def promote_and_aim(self, members: Sequence[Serving]) -> tuple[str, int]:
        """The moment of a swap that has come now, and which member to kill; another one has been made champion.

        The members' logs tell of the moment; if they do not, as none of them holds anything, it is any time.
        """
        moment = self._dice.choice(_MOMENTS)
        before = [one.told.count(f'"{moment}"') for one in members]
        self.promote()
        at = self._dice.randrange(len(members))
        if moment != "promoted":
            deadline = time.monotonic() + _WAIT_S
            while time.monotonic() < deadline:
                there = [n for n, one in enumerate(members) if one.told.count(f'"{moment}"') > before[n]]
                if there:
                    at = there[0]
                    break
                time.sleep(_POLL_S)
            else:
                moment = "none"
        time.sleep(self._dice.uniform(0.0, _DELAYS_S.get(moment, 0.0)))
        return moment, at
