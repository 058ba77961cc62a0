"""Names for processes: the same after a restart, never the same for two at a time on a host."""

import fcntl
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MOST = 1024


@contextmanager
def claim_instance(group: str, directory: Path) -> Iterator[str]:
    """A name held within the block: the first of `group-host-0`, `-1` and so on that no process on this host holds.

    A process that is started again after a kill gets the name of the one before, and with it the right to end what that
    one has left unfinished.

    Args:
        directory: of lock files; the system gives up the locks of a process that ends, however it ends.

    Raises:
        OSError: the directory cannot be written.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", group)
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(_MOST):
        with (directory / f"{safe}-{number}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"{group}-{socket.gethostname()}-{number}"
            return
    raise OSError(f"found {_MOST} processes of group {group} on this host; expected fewer")
