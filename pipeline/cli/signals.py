"""Ctrl-C, SIGTERM and SIGHUP as requests."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_GRACE_S = 10.0


class StopRequest:
    """Within its block, the first SIGINT or SIGTERM is a request to stop; the second ends the process.

    To be used in the main thread.

    Args:
        behind: what is finished before, for the message.

    Attributes:
        status: exit status that tells the signal, such as 130; 0 for none.
    """

    def __init__(self, behind: str = "behind this micro-batch") -> None:
        self.status = 0
        self._told = f"\ndriftline: stopping {behind}; press Ctrl-C again to end at once\n".encode()
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def __call__(self) -> bool:
        """Whether there was one."""
        return self.status != 0

    def __enter__(self) -> Self:
        for number in self._before:
            signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, _frame: FrameType | None) -> None:
        self.status = 128 + number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        os.write(2, self._told)  # a handler may not use buffered streams


class ServeSignals:
    """Within its block, SIGTERM and SIGINT ask to stop, and SIGHUP asks to read the configuration again.

    A second SIGINT ends the process at once, and so does a stop that takes much longer than it may: the state is safe
    at any moment. To be used in the main thread. Calling it takes the request of SIGHUP.

    Args:
        timeout_s: most time for a stop.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._stopping = False
        self._hung_up = False
        self._before: dict[int, Any] = {}
        self._guard: threading.Timer | None = None

    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stopping

    def __call__(self) -> bool:
        """Whether the configuration is to be read again; asked for once, told once."""
        asked, self._hung_up = self._hung_up, False
        return asked

    def __enter__(self) -> Self:
        for number, handler in ((signal.SIGINT, self._stop), (signal.SIGTERM, self._stop), (signal.SIGHUP, self._hang)):
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._guard is not None:
            self._guard.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._guard is None:
            self._guard = threading.Timer(self._timeout_s + _GRACE_S, _end)
            self._guard.daemon = True
            self._guard.start()

    def _hang(self, _number: int, _frame: FrameType | None) -> None:
        self._hung_up = True


def _end() -> None:
    os.write(2, b"driftline: stopping took too long; ending now, to be gone on with from the last commit\n")
    os._exit(1)
