"""What a scoring process does first. Imports nothing compiled, since that has to wait for the directory of kernels."""

import multiprocessing
import os
import signal
import threading

from pipeline.cli.kernels import use_kernel_cache


def start_worker() -> None:
    """Take compiled kernels from the user's cache, and end when interrupted or when the parent process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_kernel_cache()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
