import pytest

from tests.benchmarks.poisoned import WITHIN, compare


@pytest.mark.slow
@pytest.mark.torch
def test_a_history_of_incidents_does_no_harm() -> None:
    """Fitted to a history with unlabelled incidents in a tenth of its windows, a network misses no more of the next."""
    found = compare(1, 16, 1400, 1400, ("--steps", "50", "--excerpts", "8", "--peak-rate", "0.01"))
    clean, poisoned = found["networks"]["clean"], found["networks"]["poisoned"]
    assert clean["recall"] > 0.6
    assert poisoned["recall"] >= clean["recall"] * (1 - WITHIN) - 1 / found["incidents"]
    assert poisoned["threshold"] <= clean["threshold"] * (1 + WITHIN)
