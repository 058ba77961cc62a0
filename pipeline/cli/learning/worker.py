"""The process of one training, as the follower sees it: started, listened to, ended."""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from pipeline.cli.learning.job import Job, News, Result

_READ = 2**16


class TrainingProcess:
    """A training that goes on in a process of its own, which ends with this one.

    Args:
        job: what is to be done.
        held: descriptors that it is to have open as long as it lives.
    """

    def __init__(self, job: Job, held: Sequence[int] = ()) -> None:
        told, tells = os.pipe()
        life, self._alive = os.pipe()
        self._told = told
        self._heard = b""
        self._result: Result | None = None
        command = [sys.executable, "-m", "pipeline.cli.learning.run", str(tells), str(life)]
        self._process = subprocess.Popen(  # noqa: S603  our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(tells, life, *held),
            start_new_session=True,
        )  # fmt: skip
        os.close(tells)
        os.close(life)
        with suppress(BrokenPipeError), self._process.stdin or open(os.devnull, "wb") as stream:  # noqa: PTH123
            stream.write(msgspec.json.encode(job))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def was_cut_off(self) -> bool:
        """Whether it has ended without a result, as one does that was killed."""
        return self._told < 0 and self._result is None

    def listen(self, timeout_s: float) -> list[News]:
        """What it has told, having waited so long at most."""
        ready, _, _ = select.select([self._told], [], [], timeout_s)
        if ready:
            self._heard += os.read(self._told, _READ)
        *lines, self._heard = self._heard.split(b"\n")
        news: list[News] = []
        for line in lines:
            one = msgspec.json.decode(line, type=News | Result)
            if isinstance(one, Result):
                self._result = one
            else:
                news.append(one)
        return news

    def result(self) -> Result | None:
        """What it came to; None while it goes on. One that has ended without has failed."""
        if self._result is None and self._process.poll() is None:
            return None
        while self._result is None and self.listen(0.0):
            pass
        self.end()
        status = self._process.returncode
        return self._result or Result("failed", f"found the training ended with status {status}; expected a result")

    def end(self) -> None:
        """End it at once, if it has not ended; may be called again."""
        if self._told < 0:
            return
        if self._result is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
        self._process.kill()
        self._process.wait()
        os.close(self._told)
        os.close(self._alive)
        self._told = -1
