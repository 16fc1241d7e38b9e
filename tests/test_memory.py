"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys

import psutil
import pytest

from handviz.memory import give_back

BLOCKS, BLOCK = 120_000, 1000


def has_malloc_trim() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


@pytest.mark.skipif(not has_malloc_trim(), reason="only the GNU C library keeps what is free")
def test_what_is_free_goes_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    # The last one stays, above the others, so the library does not give them back by itself.
    for block in blocks[:-1]:
        libc.free(block)
    before = psutil.Process().memory_info().rss
    give_back()
    freed = before - psutil.Process().memory_info().rss
    libc.free(blocks[-1])
    assert freed > 0.5 * BLOCKS * BLOCK


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    give_back()
