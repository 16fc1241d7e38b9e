"""The slots that decouple capture, inference and display."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

# Items that may wait for a consumer that keeps up overall: three frames of a 30 Hz camera are 0.1 s.
MOST_WAITING = 3
# A consumer does not keep up if it finds more than one item waiting more often than this, without the calm takes in a row below.
PATIENCE = 4
CALM_TAKES = 8


class LatestSlot(Generic[T]):
    """Holds the newest item. Putting never blocks; an item that was never taken counts as dropped."""

    room = 1

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._items: deque[T] = deque()
        self._closed = False
        self.dropped = 0

    def put(self, item: T, *, alone: bool = False) -> None:
        """Put the newest item, replacing those for which there is no room; ``alone``: replacing all that wait."""
        with self._ready:
            self._leave(0 if alone else self.room - 1)
            self._items.append(item)
            self._ready.notify_all()

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item and take it; None after the timeout or once the slot is closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._items or self._closed, timeout_s)
            return self._next()

    def poll(self) -> T | None:
        """Take the item if there is one, without waiting."""
        with self._ready:
            return self._next()

    def close(self) -> None:
        """Wake all waiting consumers; further takes return what is left, then None."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _next(self) -> T | None:
        return self._items.popleft() if self._items else None

    def _leave(self, count: int) -> None:
        """Drop the oldest items until ``count`` are left."""
        while len(self._items) > count:
            self._items.popleft()
            self.dropped += 1


class PatientSlot(LatestSlot[T]):
    """A slot in which a few items wait in order for a consumer that was held up once; otherwise the newest wins.

    Detecting a lost hand takes longer than a frame may: newest-wins alone would lose a frame each time, although the consumer
    has caught up two frames later. For a consumer slower than the source it acts like ``LatestSlot``, so that what is
    shown is never old.
    """

    room = MOST_WAITING

    def __init__(self) -> None:
        super().__init__()
        self._behind = 0
        self._calm = 0

    def _next(self) -> T | None:
        if self._items:
            self._judge()
        if self._behind > PATIENCE:
            self._leave(1)
        return super()._next()

    def _judge(self) -> None:
        if len(self._items) > 1:
            self._behind, self._calm = self._behind + 1, 0
        else:
            self._calm += 1
            if self._calm >= CALM_TAKES:
                self._behind = 0
