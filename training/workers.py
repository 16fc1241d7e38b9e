"""How many processes a pool has, and what they do first."""

from __future__ import annotations

import multiprocessing
import signal
import sys

import cv2

from training.memory import keep_freed_memory

# Windows cannot wait for more processes of a pool at once.
MOST_ON_WINDOWS = 61


def pool_size(wanted: int) -> int:
    """Return how many processes a pool may have where this many are wanted."""
    return min(wanted, MOST_ON_WINDOWS) if sys.platform == "win32" else wanted


def begin_worker() -> None:
    """Use one thread and keep freed memory; ignore Ctrl-C, as the process that leads the pool ends its workers."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
