"""How many threads the numerical libraries use for small work."""

from __future__ import annotations

import os

_BLAS = "OPENBLAS_NUM_THREADS"


def named_threads() -> int | None:
    """Return the number of threads in OMP_NUM_THREADS, as torch reads it; None if it gives none."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) > 0 else None


def one_thread_for_matrices() -> None:
    """Let numpy and scipy use a single thread for matrices, in this process from now on, unless OPENBLAS_NUM_THREADS is set.

    Our matrices are small. Now and then OpenBLAS wakes its other threads for a 3x3 inverse, and they then busy-wait for
    more: on two busy cores such an inverse took 10 ms instead of 1, and a clip through ``groups`` 72 s instead of 33.
    """
    if _BLAS in os.environ:
        return
    # Not imported at the top: the renderer, which needs only ``named_threads``, also runs on GPU machines without this package.
    from threadpoolctl import threadpool_limits

    # For copies of OpenBLAS that are loaded later; then for those already loaded.
    os.environ[_BLAS] = "1"
    threadpool_limits(limits=1, user_api="blas")
