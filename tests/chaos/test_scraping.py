"""What looks at members must add up to, without members."""

from collections import Counter
from typing import Any

import pytest

from tests.chaos.scraping import Looks, compare_counts

_END = 100
_TALLIES = {0: {at: Counter({("records_consumed", ""): at, ("records", "scored"): at}) for at in range(_END + 1)}}


def _shown(counted: int, offset: int, commits: int, accounted: int | None = None) -> Any:
    place = (("partition", "0"), ("topic", "in"))
    return {
        ("driftline_records_consumed_total", ()): counted,
        ("driftline_records_total", (("disposition", "scored"),)): counted,
        ("driftline_commits_total", ()): commits,
        ("driftline_committed_offset", place): offset,
        ("driftline_accounting_records_total", (("disposition", "scored"), *place)): (
            offset if accounted is None else accounted
        ),
    }


def _killed_and_its_heir(counted: int = 40, start: int = 50, accounted: int | None = None) -> list[Looks]:
    """One that was last seen at 40, committed up to 50 and was killed; the other went on from there."""
    killed, heir = Looks(), Looks()
    killed.add(_shown(20, 20, 1), {0: 0})
    killed.add(_shown(counted, 40, 2, accounted), {0: 0})
    heir.add(_shown(_END - 50, _END, 3), {0: start})
    return [killed, heir]


def _differences(looks: list[Looks]) -> list[str]:
    return compare_counts(looks, _TALLIES, {0: _END})[0]


def test_what_was_committed_behind_the_last_look_may_be_missing() -> None:
    """Ten records that nobody has seen counted are no difference."""
    assert _differences(_killed_and_its_heir()) == []


@pytest.mark.parametrize("counted", [39, 51], ids=["one too few", "one counted by both"])
def test_more_and_less_than_offsets_allow_is_told(counted: int) -> None:
    """A record that is missing although its commit was seen, or is counted twice, is a difference."""
    assert any("records_consumed" in one for one in _differences(_killed_and_its_heir(counted)))


def test_offsets_committed_by_two_are_told() -> None:
    """What one has committed no other may have taken up before."""
    assert "partition 0: 39 to 39 committed by two processes" in _differences(_killed_and_its_heir(start=39))


def test_accounts_are_the_oracles_at_every_look() -> None:
    """One record more or less in the state is told."""
    assert any(
        one.startswith("accounts of partition 0 at 40") for one in _differences(_killed_and_its_heir(accounted=41))
    )


def test_counts_that_move_without_a_commit_are_told() -> None:
    """What is not committed is not to be counted."""
    one = Looks()
    one.add(_shown(20, 20, 1), {0: 0})
    one.add(_shown(25, 20, 1), {0: 0})
    assert one.faults
