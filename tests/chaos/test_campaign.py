from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, run_campaign


@pytest.mark.kafka
@pytest.mark.slow
def test_crashes_freezes_joins_leaves_and_a_broker_restart_change_nothing(tmp_path: Path) -> None:
    """Kafka's own reader sees the same bytes in the same order, and the state is the same."""
    told: list[str] = []
    assert run_campaign(Campaign(records=12_000, keys=40, kills=4, freezes=1, seed=1), tmp_path, tell=told.append) == []
    assert any(text.startswith("anomalies: ") and text != "anomalies: 0 messages" for text in told)
