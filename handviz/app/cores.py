"""Sharing the processor between the networks and the window."""

from __future__ import annotations

import os


def leave_cores_for_the_window() -> None:
    """Let networks use half of the cores; call it before torch is imported. A user's own OMP_NUM_THREADS takes precedence.

    With all of them, drawing and networks wait for each other: on two cores the groups network showed 20 results a second
    with two threads and 24 with one, and a click waited 66 ms instead of 29 (95th percentile).
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
