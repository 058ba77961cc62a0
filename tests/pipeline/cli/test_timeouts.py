import pytest

from pipeline.cli.timeouts import against_broker, among_themselves, require_sound
from pipeline.config import Config
from pipeline.errors import ConfigError
from tests.pipeline.cli.samples import configured


def test_the_defaults_go_together() -> None:
    """Nothing is found of what Driftline comes with, nor by brokers with Kafka's own defaults."""
    kafka = {
        "transaction.max.timeout.ms": 900_000,
        "group.min.session.timeout.ms": 6_000,
        "group.max.session.timeout.ms": 1_800_000,
    }
    assert list(among_themselves(Config())) == []
    assert list(against_broker(Config(), kafka)) == []
    require_sound(Config())


@pytest.mark.parametrize(
    ("given", "level", "part"),
    [
        ({"kafka__transaction_timeout": "1s"}, "error", "found 1s with [service] commit_interval of 1s"),
        ({"kafka__transaction_timeout": "2s"}, "warning", "at least three times as much"),
        ({"kafka__session_timeout": "500ms"}, "error", "session_timeout: found 500ms; expected at least 1s"),
        ({"kafka__max_poll_interval": "40s"}, "error", "found 40s with session_timeout of 45s"),
        (
            {"service__commit_interval": "2min", "kafka__transaction_timeout": "10min"},
            "error",
            "max_poll_interval: found 5min with [service] commit_interval of 2min",
        ),
        ({"service__shutdown_timeout": "5min"}, "warning", "shutdown_timeout: found 5min"),
    ],
)
def test_times_that_do_not_go_together_are_told(given: dict[str, str], level: str, part: str) -> None:
    """Each pair of times is told once, as an error where it cannot work; an error keeps the service from starting."""
    config = configured(**given)
    ((found, text),) = among_themselves(config)
    assert found == level
    assert part in text
    assert "; expected " in text
    if level == "error":
        with pytest.raises(ConfigError, match="expected"):
            require_sound(config)
    else:
        require_sound(config)


def test_limits_of_the_brokers_are_told() -> None:
    """A time beyond what the brokers allow is told with their setting; what they do not tell is not held against it."""
    config = configured(kafka__session_timeout="10s", kafka__transaction_timeout="20min")
    low = {"transaction.max.timeout.ms": 900_000, "group.min.session.timeout.ms": 15_000}
    told = [text for _, text in against_broker(config, low)]
    assert [text.removesuffix(": change the one or the other") for text in told] == [
        "[kafka] transaction_timeout: found 20min; expected at most 15min, the brokers' transaction.max.timeout.ms",
        "[kafka] session_timeout: found 10s; expected at least 15s, the brokers' group.min.session.timeout.ms",
    ]
    assert len(list(against_broker(config, {"group.max.session.timeout.ms": 5_000}))) == 1
    assert list(against_broker(config, {})) == []
