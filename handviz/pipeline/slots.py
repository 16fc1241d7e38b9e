"""The newest-wins slot that decouples capture, inference and display."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Holds the newest item. Putting never blocks; an item that was never taken counts as dropped."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Put the newest item, in place of one that nobody took."""
        with self._ready:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._ready.notify_all()

    def take(self, timeout_s: float | None = None) -> T | None:
        """Wait for an item and take it; None after the timeout or once the slot is closed."""
        with self._ready:
            self._ready.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def poll(self) -> T | None:
        """Take the item if there is one, without waiting."""
        with self._ready:
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Wake whoever waits; further takes give what is left, then None."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
