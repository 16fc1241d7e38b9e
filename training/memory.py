"""How the processes that render and train keep their memory."""

from __future__ import annotations

import ctypes
import os

# Names of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep what it frees for what it needs next; does nothing where the C library is not glibc.

    A step of training and a chunk of rendering free as much as the next one needs at once. By default large arrays go back to
    the system each time and are fetched anew, page by page. A user's own MALLOC_... variables count more.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
