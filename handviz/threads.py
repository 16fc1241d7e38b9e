"""How many threads the libraries below take for small work."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits

_BLAS = "OPENBLAS_NUM_THREADS"


def one_thread_for_matrices() -> None:
    """Let numpy and scipy work on matrices alone, in this process from now on. A user's own OPENBLAS_NUM_THREADS counts more.

    Ours are small. For a 3x3 inverse now and then OpenBLAS wakes its other threads, which afterwards wait at full speed for
    more: on two busy cores such an inverse took 10 ms instead of 1, and a clip through ``groups`` 72 s instead of 33.
    """
    if _BLAS in os.environ:
        return
    # For copies that are loaded later; then for those that are here.
    os.environ[_BLAS] = "1"
    threadpool_limits(limits=1, user_api="blas")
