"""A newer bundle on probation: is the service worse off with it than with the one before?

Points are looked at in blocks. Of the bundle before, the last blocks give a band: the usual level of residuals with its
usual spread, and the usual rate of alarms. A newer one leaves the band upward when

- the mean residual of its last five blocks is above the usual one by a fifth and by four standard errors, or
- it has raised so many alarms that chance would do so once in 100,000 times at half more than the usual rate, or the
  rate that the risk allows where that is higher (a Poisson count).

Then the service had better go back. A bundle that stays in the band for long enough has passed, and sets the next band.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

LEVEL_BLOCKS = 5
LEVEL_RISE = 1.2
LEVEL_ERRORS = 4.0
ALARM_RISE = 1.5
ALARM_CHANCE = 1e-5
LEAST_BLOCKS = 10
"""Blocks of the bundle before without which there is no band to compare with."""


class Block(NamedTuple):
    """Some points that were scored.

    Attributes:
        points: scored, behind the warm-up of their lanes.
        residual: sum of their absolute one-step residuals, each in standard deviations of its lane.
        alarms: episodes opened.
    """

    points: int = 0
    residual: float = 0.0
    alarms: int = 0

    def __add__(self, other: object) -> "Block":
        """Both together."""
        if not isinstance(other, Block):
            return NotImplemented
        return Block(self.points + other.points, self.residual + other.residual, self.alarms + other.alarms)


class Standing(Enum):
    """What is known of the bundle that scores."""

    TRUSTED = "trusted"
    PROBATION = "probation"
    FAILED = "failed"


@dataclass(slots=True)
class Probation:
    """Watches the bundle that scores.

    Args:
        block_points: points of a block.
        pass_points: scored points after which a newer bundle has passed.
        allowed: alarms per point that the risk allows.
        memory: blocks that the band is of.
    """

    block_points: int = 5_000
    pass_points: int = 200_000
    allowed: float = 0.001
    memory: int = 100
    standing: Standing = field(default=Standing.TRUSTED, init=False)
    reason: str = field(default="", init=False)
    _usual: deque[Block] = field(init=False)
    _new: list[Block] = field(default_factory=list, init=False)
    _current: Block = field(default=Block(), init=False)

    def __post_init__(self) -> None:
        self._usual = deque(maxlen=self.memory)

    def begin(self) -> None:
        """A newer bundle scores from now on; without enough of a band from before, it is trusted at once."""
        self._current = Block()
        self._new.clear()
        self.reason = ""
        if len(self._usual) >= LEAST_BLOCKS:
            self.standing = Standing.PROBATION
        else:
            self._usual.clear()

    def go_back(self) -> None:
        """The bundle from before scores again, and so does its band hold."""
        self._current = Block()
        self._new.clear()
        self.standing = Standing.TRUSTED

    def add(self, block: Block) -> Standing:
        """Take some points that were scored, and tell how the bundle stands."""
        self._current += block
        if self._current.points < self.block_points:
            return self.standing
        done, self._current = self._current, Block()
        if self.standing is Standing.TRUSTED:
            self._usual.append(done)
        elif self.standing is Standing.PROBATION:
            self._judge(done)
        return self.standing

    def _judge(self, block: Block) -> None:
        self._new.append(block)
        self.reason = self._level_left() or self._alarms_left()
        if self.reason:
            self.standing = Standing.FAILED
        elif sum(one.points for one in self._new) >= self.pass_points:
            self.standing = Standing.TRUSTED
            self._usual.clear()
            self._usual.extend(self._new)
            self._new.clear()

    def _level_left(self) -> str:
        if len(self._new) < LEVEL_BLOCKS:
            return ""
        usual, now = _levels(self._usual), _levels(self._new[-LEVEL_BLOCKS:]).mean()
        error = usual.std(ddof=1) * np.sqrt(1 / LEVEL_BLOCKS + 1 / len(usual))
        limit = max(LEVEL_RISE * usual.mean(), usual.mean() + LEVEL_ERRORS * error)
        if now <= limit:
            return ""
        return f"found a mean residual of {now:.3g} standard deviations; expected at most {limit:.3g}"

    def _alarms_left(self) -> str:
        before, now = sum(self._usual, Block()), sum(self._new, Block())
        # one more than there were, since none among few is no promise
        expected = now.points * ALARM_RISE * max((before.alarms + 1) / before.points, self.allowed)
        if poisson.sf(now.alarms - 1, expected) >= ALARM_CHANCE:
            return ""
        return f"found {now.alarms} alarms in {now.points} points; expected about {expected / ALARM_RISE:.3g}"


def _levels(blocks: Iterable[Block]) -> NDArray[np.float64]:
    """Mean residual of each."""
    return np.array([block.residual / max(block.points, 1) for block in blocks])
