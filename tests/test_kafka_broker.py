import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kafka_broker import Broker, BrokerError, free_port


@pytest.mark.kafka
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_broker_in_the_foreground_ends_when_told(number: signal.Signals) -> None:
    """Neither Ctrl-C nor SIGTERM leaves the broker behind."""
    port = free_port()
    command = [sys.executable, "-m", "tests.kafka_broker", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert f"broker at 127.0.0.1:{port}" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(60) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.kafka
def test_a_port_that_another_broker_has_is_told(bootstrap: str) -> None:
    """One in the foreground does not say that it has started where another one answers: it ends, and says why."""
    port = bootstrap.rpartition(":")[2]
    command = [sys.executable, "-m", "tests.kafka_broker", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"found port {port} of 127.0.0.1 taken" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.kafka
def test_another_broker_that_answers_is_not_taken_for_it(bootstrap: str, tmp_path: Path) -> None:
    """Where another has taken the port since it was looked at, it is that one that answers."""
    broker = Broker(tmp_path, int(bootstrap.rpartition(":")[2]))
    assert not broker._answers()
    with pytest.raises(BrokerError, match="taken"):
        broker.start()
