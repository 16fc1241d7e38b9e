"""Opens sources off the display's thread: a camera can take seconds. A newer request makes older answers void. No Qt."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from handviz.app.views import SessionLike
from handviz.capture.base import SourceSpec
from handviz.errors import HandvizError
from handviz.pipeline.config import SessionConfig

# Opening that takes longer is announced while a former picture is still shown; most files open sooner.
LONG_S = 0.5
SessionFactory = Callable[[SourceSpec, SessionConfig], SessionLike]


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer to a request for ``spec``: a running session, or one sentence why not."""

    spec: SourceSpec
    session: SessionLike | None = None
    problem: str | None = None


class Opener:
    """Starts sessions in the background and hands over the newest.

    Cameras are opened one after the other, each once the session that held a camera before is stopped: a device
    can be open only once. Files do not wait.
    """

    def __init__(self, factory: SessionFactory) -> None:
        self._factory = factory
        self._generation = 0
        self._asked: SourceSpec | None = None
        self._asked_at_s = 0.0
        self._answer: Opened | None = None
        # Held for a moment only, so that an answer is either kept or found void.
        self._answering = threading.Lock()
        # Held while a camera is opened or closed, which can take long.
        self._devices = threading.Lock()
        self._left: queue.SimpleQueue[SessionLike] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def busy(self) -> bool:
        """Whether a wanted answer is still to come."""
        return self._asked is not None

    @property
    def long(self) -> SourceSpec | None:
        """What has been opening for so long that it is worth saying, None otherwise."""
        return self._asked if time.monotonic() - self._asked_at_s > LONG_S else None

    def request(self, spec: SourceSpec, config: SessionConfig, former: SessionLike | None = None) -> None:
        """Ask for a session; answers to older requests will be dropped. ``former`` is stopped before a camera is opened."""
        if former is not None:
            self._left.put(former)
        self._supersede(spec)
        self._run(self._open, self._generation, spec, config)

    def cancel(self) -> None:
        """Drop whatever is still to come."""
        self._supersede(None)
        if not self._left.empty():
            self._run(self._close_left)

    def poll(self) -> Opened | None:
        """Return the answer to the newest request once it is there."""
        with self._answering:
            answer, self._answer = self._answer, None
        if answer is not None:
            self._asked = None
        return answer

    def join(self, timeout_s: float) -> None:
        """Wait for the threads and close what they opened too late."""
        self._supersede(None)
        for thread in self._threads:
            thread.join(timeout_s)
        self._stop_left()

    def _run(self, act: Callable[..., None], *given: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=act, args=given, name="handviz-open", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _supersede(self, asked: SourceSpec | None) -> None:
        self._asked, self._asked_at_s = asked, time.monotonic()
        with self._answering:
            self._generation += 1
            void, self._answer = self._answer, None
        if void is not None and void.session is not None:
            self._left.put(void.session)

    def _open(self, generation: int, spec: SourceSpec, config: SessionConfig) -> None:
        if spec.kind != "camera":
            self._start(generation, spec, config)
            self._close_left()
            return
        with self._devices:
            self._stop_left()
            if generation == self._generation:
                self._start(generation, spec, config)

    def _start(self, generation: int, spec: SourceSpec, config: SessionConfig) -> None:
        try:
            session = self._factory(spec, config)
            session.start()
        except HandvizError as error:
            self._give(generation, Opened(spec, problem=str(error)))
        except Exception as error:  # a window without a picture and without a word would be worse
            self._give(generation, Opened(spec, problem=f"{spec.name} cannot be opened: {error!r}. Try another source"))
            raise
        else:
            self._give(generation, Opened(spec, session=session))

    def _give(self, generation: int, answer: Opened) -> None:
        """Keep an answer for the display's thread, or close at once what is no longer wanted."""
        with self._answering:
            wanted = generation == self._generation
            if wanted:
                self._answer = answer
        if not wanted and answer.session is not None:
            answer.session.stop()

    def _close_left(self) -> None:
        with self._devices:
            self._stop_left()

    def _stop_left(self) -> None:
        while True:
            try:
                self._left.get_nowait().stop()
            except queue.Empty:
                return
