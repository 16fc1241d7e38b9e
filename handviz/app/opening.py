"""Opens sources off the display's thread: a camera can take seconds. A newer request makes older answers void. No Qt."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from handviz.app.views import SessionLike
from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError
from handviz.pipeline.config import SessionConfig

SessionFactory = Callable[[SourceSpec, SessionConfig], SessionLike]


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer to a request: a running session, or one sentence why not."""

    session: SessionLike | None = None
    problem: str | None = None


class Opener:
    """Starts sessions in the background and hands over the newest."""

    def __init__(self, factory: SessionFactory) -> None:
        self._factory = factory
        self._generation = 0
        self._awaited = False
        self._answers: queue.SimpleQueue[tuple[int, Opened]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come that is wanted."""
        return self._awaited

    def request(self, spec: SourceSpec, config: SessionConfig) -> None:
        """Ask for a session; answers to older requests will be dropped."""
        self._generation, self._awaited = self._generation + 1, True
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._open, args=(self._generation, spec, config), name="handviz-open", daemon=True)
        self._threads.append(thread)
        thread.start()

    def cancel(self) -> None:
        """Drop whatever is still to come."""
        self._generation, self._awaited = self._generation + 1, False

    def poll(self) -> Opened | None:
        """Return the answer to the newest request once it is there; late ones are closed on the way."""
        while not self._answers.empty():
            generation, opened = self._answers.get()
            if generation == self._generation:
                self._awaited = False
                return opened
            if opened.session is not None:
                opened.session.stop()
        return None

    def join(self, timeout_s: float) -> None:
        """Wait for the threads and close what they opened too late."""
        self.cancel()
        for thread in self._threads:
            thread.join(timeout_s)
        self.poll()

    def _open(self, generation: int, spec: SourceSpec, config: SessionConfig) -> None:
        try:
            session = self._factory(spec, config)
            session.start()
        except HandvizError as error:
            self._answers.put((generation, Opened(problem=str(error))))
        except Exception as error:  # a window without a picture and without a word would be worse
            self._answers.put((generation, Opened(problem=f"{spec.name} can not be opened: {error!r}. Try another source")))
            raise
        else:
            self._answers.put((generation, Opened(session=session)))
