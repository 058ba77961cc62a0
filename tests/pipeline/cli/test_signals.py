import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.cli.signals import ServeSignals, StopRequest
from tests.pipeline.cli.samples import ROOT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals) -> None:
    """The first is noted with its exit status; from then on both end the process; behind the block all is as before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert (stop(), stop.status) == (False, 0)
        os.kill(os.getpid(), number)
        assert (stop(), stop.status) == (True, 128 + number)
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_service_is_asked_to_stop(number: signal.Signals) -> None:
    """The first signal asks, SIGTERM may come again without harm, and a second Ctrl-C would end the process at once."""
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(one) for one in handled]
    with ServeSignals(timeout_s=60.0) as signals:
        assert not signals.stopping()
        os.kill(os.getpid(), number)
        assert signals.stopping()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.stopping()
    assert [signal.getsignal(one) for one in handled] == before


def test_a_hangup_is_told_once() -> None:
    """SIGHUP asks for the configuration to be read, once, and not for a stop."""
    with ServeSignals(timeout_s=60.0) as signals:
        assert not signals()
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals()
        assert not signals()
        assert not signals.stopping()


def test_a_stop_that_takes_too_long_ends_the_process() -> None:
    """A service that hangs while it stops is gone after its time and some grace, and says so."""
    script = (
        "import os, signal, time\n"
        "from pipeline.cli import signals\n"
        "signals._GRACE_S = 0.5\n"
        "with signals.ServeSignals(0.5):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "driftline: stopping took too long; ending now, to be gone on with from the last commit\n"
    assert 0.9 < time.monotonic() - began < 40


def test_a_stop_in_time_leaves_the_process_alone() -> None:
    """Once the service has stopped nothing waits to end the process, whatever it does then."""
    script = (
        "import os, signal, time\n"
        "from pipeline.cli import signals\n"
        "signals._GRACE_S = 0.1\n"
        "with signals.ServeSignals(0.1):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(1)\n"
        "print('alive')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "alive\n")
