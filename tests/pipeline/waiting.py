"""Waiting for what another thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

WAIT_S = 30.0


def wait_for(what: Callable[[], Any]) -> Any:
    """Wait until ``what`` gives something true; fail loudly when it never does."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        answer = what()
        if answer:
            return answer
        time.sleep(0.005)
    raise AssertionError("waited in vain")
