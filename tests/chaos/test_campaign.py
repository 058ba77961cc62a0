from pathlib import Path

import pytest

from tests.capabilities import find_prometheus
from tests.chaos.campaign import run_campaign
from tests.chaos.disturbing import Campaign


@pytest.mark.kafka
@pytest.mark.slow
def test_crashes_freezes_joins_leaves_swaps_and_a_broker_restart_change_nothing(tmp_path: Path) -> None:
    """Kafka's own reader sees the oracle's bytes in order, and state and counts, Prometheus' too, are the oracle's."""
    told: list[str] = []
    campaign = Campaign(records=12_000, keys=40, kills=4, freezes=1, swaps=2, seed=1)
    prometheus = find_prometheus("prometheus")
    assert run_campaign(campaign, tmp_path, tell=told.append, prometheus=prometheus) == []
    assert any(text.startswith("Prometheus: ") for text in told) == (prometheus is not None)
    assert any(text.startswith("anomalies: ") and text != "anomalies: 0 messages" for text in told)
    assert any(
        text.startswith("swaps of partitions: ") and not text.startswith("swaps of partitions: 0") for text in told
    )


@pytest.mark.kafka
@pytest.mark.slow
def test_swaps_between_structures_that_kills_are_aimed_at_change_nothing(tmp_path: Path) -> None:
    """LSTM, GRU, and an LSTM with convolution and attention take turns; a kill is aimed at the swaps of each."""
    told: list[str] = []
    campaign = Campaign(records=8_000, keys=24, kills=3, freezes=0, swaps=3, seed=3, structures=True)
    assert run_campaign(campaign, tmp_path, tell=told.append) == []
    (swaps,) = (text for text in told if text.startswith("swaps of partitions: "))
    assert int(swaps.split()[3]) > 0, told
