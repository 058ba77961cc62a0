"""Watches what a newer bundle does in service, and has it left when it turns out worse than the one before."""

from collections.abc import Callable

from msgspec import UNSET

from pipeline.engine import Outcome
from pipeline.service.probation import Block, Probation, Standing


class Guard:
    """Told of all that is scored, and of every swap; asks once to go back.

    Args:
        bundle: id of the one that scores at first.
        leave: called with the id of a bundle that is to be left, and why.
        learned: called with the id of a bundle that was left, and whether the one from before did better since.
    """

    def __init__(
        self,
        bundle: str,
        probation: Probation,
        leave: Callable[[str, str], None],
        learned: Callable[[str, str], None],
    ) -> None:
        self._bundle = bundle
        self._before = ""
        self._probation = probation
        self._leave = leave
        self._learned = learned

    @property
    def is_on_probation(self) -> bool:
        """Whether a newer bundle is being compared with the one before."""
        return self._probation.standing is Standing.PROBATION

    def swapped(self, bundle: str) -> None:
        """A partition has gone over to a bundle; the first one to do so speaks for all."""
        if bundle == self._bundle:
            return
        if bundle == self._before:
            self._probation.go_back()
        else:
            self._probation.begin()
        self._before, self._bundle = self._bundle, bundle

    def scored(self, outcome: Outcome) -> bool:
        """Points were scored with the bundle; whether that was the moment to ask for another one."""
        alarms = sum(
            one.event == "opened" and one.kind != "silence" and one.suppressed is UNSET for one in outcome.anomalies
        )
        residuals = outcome.residuals
        before = self._probation.standing
        known = self._probation.lesson
        standing = self._probation.add(Block(residuals.points, residuals.total, alarms))
        if self._probation.lesson != known:
            self._learned(self._before, self._probation.lesson)
        if standing is not Standing.FAILED or before is Standing.FAILED:
            return False
        self._leave(self._bundle, self._probation.reason)
        return True
