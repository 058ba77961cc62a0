"""Ctrl-C and SIGTERM as a request to stop in good order."""

import os
import signal
from types import FrameType, TracebackType
from typing import Self

_STOPPING = b"\ndriftline: stopping behind this micro-batch; press Ctrl-C again to end at once\n"


class StopRequest:
    """Within its block, the first SIGINT or SIGTERM is a request to stop; the second ends the process.

    To be used in the main thread.

    Attributes:
        status: exit status that tells the signal, such as 130; 0 for none.
    """

    def __init__(self) -> None:
        self.status = 0
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
        os.write(2, _STOPPING)  # a handler may not use buffered streams
