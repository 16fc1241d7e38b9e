"""Compiled loops: numba where it is installed, decided at the first call and never on import."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from handviz.threads import named_threads

F = TypeVar("F", bound=Callable[..., object])


@cache
def have_numba() -> bool:
    """Say whether compiled CPU loops are available; a bare GPU machine may lack numba."""
    return importlib.util.find_spec("numba") is not None


def compiled(function: F) -> F:
    """Compile a loop to machine code that releases the GIL, and keep the code on disk where that is possible.

    Without numba the function stays plain Python: correct, but slow. No numba threads are used, because its
    pools abort when two threads or a forked child enter them; ``for_batch`` spreads a batch instead.
    """
    if not have_numba():
        return function
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # there is no writable folder for the cache
        return numba.njit(nogil=True)(function)


def for_batch(work: Callable[[int, int], object], size: int, threads: int) -> None:
    """Call ``work(start, stop)`` over slices of range(size), in as many threads as asked for."""
    workers = max(1, min(size, threads, os.cpu_count() or 1))
    if workers == 1:
        work(0, size)
        return
    bounds = [size * i // workers for i in range(workers + 1)]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))


def worker_threads() -> int:
    """Return how many threads a batch may take: what OMP_NUM_THREADS says, as in torch, else one per core."""
    return named_threads() or os.cpu_count() or 1
