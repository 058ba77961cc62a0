"""A newer bundle on probation: is the service worse off with it than with the one before?

Points are looked at in blocks. Of the bundle before, the last blocks give a band: the usual level of residuals with its
usual spread, and the usual rate of alarms. A newer one leaves the band upward when

- the mean residual of its last five blocks is above the usual one by a fifth and by four standard errors, or
- it has raised so many alarms that chance would do so once in 100,000 times at half more than the usual rate, or the
  rate that the risk allows where that is higher (a Poisson count).

Then the service had better go back. A bundle that stays in the band for long enough has passed, and sets the next band.

Behind the way back the bundle from before scores what comes, and is compared with its own band: where it leaves that,
too, the streams have changed, and the newer bundle need not have been worse. Here the level has a lower end as well:
lanes that have seen a large change take it for part of their usual spread, and have small residuals beside that. The
first blocks do not count, as the first forecasts that are answered in them were made by the bundle that was left.
"""

from collections import deque
from collections.abc import Iterable, Sequence
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
SKIPPED_BLOCKS = 10
"""Behind the way back, before the bundle from before is compared with its own band by the blocks that come next."""
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
    lesson: str = field(default="", init=False)
    """What the bundle from before does behind the way back from a newer one that has failed; '' before it is known."""
    _usual: deque[Block] = field(init=False)
    _new: list[Block] = field(default_factory=list, init=False)
    _current: Block = field(default=Block(), init=False)
    _again: list[Block] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._usual = deque(maxlen=self.memory)

    def begin(self) -> None:
        """A newer bundle scores from now on; without enough of a band from before, it is trusted at once."""
        self._current = Block()
        self._new.clear()
        self._again = None
        self.reason = self.lesson = ""
        if len(self._usual) >= LEAST_BLOCKS:
            self.standing = Standing.PROBATION
        else:
            self._usual.clear()

    def go_back(self) -> None:
        """The bundle from before scores again, and so does its band hold."""
        self._again = [] if self.standing is Standing.FAILED else None
        self._current = Block()
        self._new.clear()
        self.standing = Standing.TRUSTED

    def add(self, block: Block) -> Standing:
        """Take some points that were scored, and tell how the bundle stands."""
        self._current += block
        if self._current.points < self.block_points:
            return self.standing
        done, self._current = self._current, Block()
        if self._again is not None:
            self._look_again(done)
        elif self.standing is Standing.TRUSTED:
            self._usual.append(done)
        elif self.standing is Standing.PROBATION:
            self._judge(done)
        return self.standing

    def _judge(self, block: Block) -> None:
        self._new.append(block)
        self.reason = self._level_left() or self._alarms_left(self._new)
        if self.reason:
            self.standing = Standing.FAILED
        elif sum(one.points for one in self._new) >= self.pass_points:
            self.standing = Standing.TRUSTED
            self._usual.clear()
            self._usual.extend(self._new)
            self._new.clear()

    def _look_again(self, block: Block) -> None:
        """Whether the bundle from before is in its own band; once, behind which the band goes on or begins anew."""
        again = self._again or []
        self._again = again = [*again, block]
        if len(again) < SKIPPED_BLOCKS + LEVEL_BLOCKS:
            return
        counted = again[SKIPPED_BLOCKS:]
        now, least, most = self._level(counted)
        level, band = f"a mean residual of {now:.3g} standard deviations", f"its own band of {least:.3g} to {most:.3g}"
        if not least <= now <= most:
            changed = f"has {level} now, outside {band}"
        elif alarms := self._alarms_left(counted):
            changed = f"is outside its own band now, too ({alarms})"
        else:
            changed = ""
        if changed:
            self.lesson = (
                f"the bundle from before {changed}: the streams have changed, and the newer bundle need not have been "
                "worse"
            )
            self._usual.clear()
        else:
            self.lesson = (
                f"the bundle from before has {level} again, within {band}: the streams are as they were, and the newer "
                "bundle was worse, unless something disturbed them for a while"
            )
        self._usual.extend(counted)
        self._again = None

    def _level_left(self) -> str:
        if len(self._new) < LEVEL_BLOCKS:
            return ""
        now, _, most = self._level(self._new)
        if now <= most:
            return ""
        return f"found a mean residual of {now:.3g} standard deviations; expected at most {most:.3g}"

    def _level(self, blocks: Sequence[Block]) -> tuple[float, float, float]:
        """Mean residual of the newest blocks, and the least and the most of the band."""
        usual, now = _levels(self._usual), _levels(blocks[-LEVEL_BLOCKS:]).mean()
        mean, error = usual.mean(), usual.std(ddof=1) * np.sqrt(1 / LEVEL_BLOCKS + 1 / len(usual))
        width = LEVEL_ERRORS * error
        return float(now), float(min(mean / LEVEL_RISE, mean - width)), float(max(mean * LEVEL_RISE, mean + width))

    def _alarms_left(self, blocks: Iterable[Block]) -> str:
        before, now = sum(self._usual, Block()), sum(blocks, Block())
        # one more than there were, since none among few is no promise
        expected = now.points * ALARM_RISE * max((before.alarms + 1) / before.points, self.allowed)
        if poisson.sf(now.alarms - 1, expected) >= ALARM_CHANCE:
            return ""
        return f"found {now.alarms} alarms in {now.points} points; expected about {expected / ALARM_RISE:.3g}"


def _levels(blocks: Iterable[Block]) -> NDArray[np.float64]:
    """Mean residual of each."""
    return np.array([block.residual / max(block.points, 1) for block in blocks])
