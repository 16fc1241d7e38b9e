"""Estimators loaded in a thread of their own, so that a live view goes on while a network is read. No Qt."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from handviz.estimate.base import Estimator
from handviz.pipeline.estimators import Built, Wanted, build_all, built_as


class Loader:
    """Loads the newest question's estimators; what was loaded for an older one is dropped."""

    def __init__(self) -> None:
        self._question: tuple[Built, ...] | None = None
        self._answer: Mapping[Built, Estimator] | None = None

    def loaded(self, wanted: Sequence[Wanted]) -> Mapping[Built, Estimator] | None:
        """Return these estimators once they are there, None until then. One that can not be built is missing from the answer.

        Options that an estimator can take over as it runs may change meanwhile: it has those with which its loading began.
        """
        question = tuple(built_as(*one) for one in wanted)
        if question != self._question:
            self._question, self._answer = question, None
            threading.Thread(target=self._load, args=(tuple(wanted), question), name="handviz-load", daemon=True).start()
        answer = self._answer
        if answer is not None:
            self._question = self._answer = None
        return answer

    def _load(self, wanted: tuple[Wanted, ...], question: tuple[Built, ...]) -> None:
        built = build_all(wanted)
        if self._question == question:
            self._answer = built
