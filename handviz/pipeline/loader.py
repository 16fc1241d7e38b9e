"""Loads what takes seconds in a separate thread, so that a live view goes on meanwhile. No Qt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from handviz.estimate.base import Estimator
from handviz.pipeline.estimators import Built, Wanted, build_all, built_as

T = TypeVar("T")
LOADING = "handviz-load"
# For probing devices such as cameras: a driver may block for a long time, and nothing of ours is lost if the thread is killed.
PROBING = "handviz-probe"


def in_thread(make: Callable[[], T], name: str = LOADING) -> Future[T]:
    """Call a function in a separate thread. A closing window waits a while for a thread that loads, not for one that probes."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(make())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


class Loader:
    """Loads the estimators of the newest request; what was loaded for an older one is dropped."""

    def __init__(self) -> None:
        # Otherwise choices made in quick succession would load all at once.
        self._building = threading.Lock()
        self._question: tuple[Built, ...] | None = None
        self._loading: Future[dict[Built, Estimator]] | None = None

    def loaded(self, wanted: Sequence[Wanted]) -> Mapping[Built, Estimator] | None:
        """Return these estimators once they are loaded, None until then. One that cannot be built is missing from the answer.

        Options that an estimator can take over while running may change meanwhile: it has those with which loading began.
        """
        question = tuple(built_as(*one) for one in wanted)
        if not question:
            self._question = self._loading = None
            return {}
        if self._loading is None or question != self._question:
            self._question = question
            self._loading = in_thread(partial(self._build, question, tuple(wanted)))
        if not self._loading.done():
            return None
        answer = self._loading.result()
        self._loading = None
        return answer

    def _build(self, question: tuple[Built, ...], wanted: tuple[Wanted, ...]) -> dict[Built, Estimator]:
        with self._building:
            return build_all(wanted) if question == self._question else {}
