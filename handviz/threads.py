"""How many threads the libraries below take for small work."""

from __future__ import annotations

import os

_BLAS = "OPENBLAS_NUM_THREADS"


def named_threads() -> int | None:
    """Return how many threads OMP_NUM_THREADS names, as torch reads it; None where it names none."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) > 0 else None


def one_thread_for_matrices() -> None:
    """Let numpy and scipy work on matrices alone, in this process from now on. A user's own OPENBLAS_NUM_THREADS counts more.

    Ours are small. For a 3x3 inverse now and then OpenBLAS wakes its other threads, which afterwards wait at full speed for
    more: on two busy cores such an inverse took 10 ms instead of 1, and a clip through ``groups`` 72 s instead of 33.
    """
    if _BLAS in os.environ:
        return
    # Not on import: the renderer, which asks for ``named_threads`` alone, also runs on bare GPU machines.
    from threadpoolctl import threadpool_limits

    # For copies that are loaded later; then for those that are here.
    os.environ[_BLAS] = "1"
    threadpool_limits(limits=1, user_api="blas")
