"""Requests to end, which may come at any moment: Ctrl-C, SIGTERM, and SIGHUP, which a closed terminal sends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

# The exit status of a program that a signal ended early, as in shells after Ctrl-C.
INTERRUPTED = 130


def endings() -> list[int]:
    """Return the signals that ask this process to end; SIGHUP only if it exists and is not ignored (nohup)."""
    found = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        found.append(hangup)
    return [int(number) for number in found]


def end_as_by_ctrl_c() -> None:
    """Let every request to end raise KeyboardInterrupt; Ctrl-C is left to Python, or ignored in the background."""
    for number in endings():
        if number != signal.SIGINT:
            signal.signal(number, _interrupt)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Interrupts:
    """Within this context a request to end raises KeyboardInterrupt once, and not inside a ``held_back`` block.

    ``told`` says whether one came. Signals without a Python handler are left alone, and so is everything in threads other
    than the main one, which receive no signals.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._held = False
        self.told = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in endings()}
            self._before = {number: handler for number, handler in handlers.items() if callable(handler)}
        for number in self._before:
            signal.signal(number, self._take)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, signum: int, frame: FrameType | None) -> None:
        self.told = True
        if not self._held:
            self._end()

    def _end(self) -> None:
        self.hold()
        raise KeyboardInterrupt

    def hold(self) -> None:
        """Ignore all further requests: the program is ending, and files are being finished."""
        self._held = True

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Run a block to its end; a request that comes meanwhile raises KeyboardInterrupt after it. An error ends it, too."""
        self._held = True
        yield
        self._held = False
        if self.told:
            self._end()
