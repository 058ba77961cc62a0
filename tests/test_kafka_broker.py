import signal
import socket
import subprocess
import sys

import pytest

from tests.kafka_broker import free_port


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
