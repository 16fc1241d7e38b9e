"""Memory settings of the processes that render and train."""

from __future__ import annotations

import ctypes
import os

# Names of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next allocations; does nothing where the C library is not glibc.

    A training step or a chunk of rendering frees as much as the next one needs immediately. By default, large arrays go back to
    the system each time and are fetched again, page by page. A user's own MALLOC_... variables take precedence.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
