"""Which messages the user closed. No Qt."""

from __future__ import annotations


class Dismissed:
    """Closed messages stay closed while they apply; an error that went away and returns is a new one."""

    def __init__(self) -> None:
        self.texts: frozenset[str] = frozenset()
        self._errors: frozenset[str] = frozenset()

    def add(self, text: str) -> None:
        """Take in a message that was closed."""
        self.texts |= {text}

    def allow(self, text: str | None) -> None:
        """Let a message be shown again."""
        self.texts -= {text}

    def look(self, error: str | None) -> None:
        """Take in the source's current error; if there is none, earlier ones are over."""
        if error is not None:
            self._errors |= {error}
        elif self._errors:
            self.texts -= self._errors
            self._errors = frozenset()

    def clear(self) -> None:
        """Forget all, for another source."""
        self.texts = self._errors = frozenset()
