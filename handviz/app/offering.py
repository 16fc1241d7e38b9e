"""What is available right now: on this machine, in the session, and in the last result. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handviz.app.state import Offer, contents_of
from handviz.app.views import SessionLike
from handviz.models.weights_files import WeightsFile
from handviz.pipeline.auto import meant
from handviz.pipeline.config import AUTO, SessionConfig
from handviz.pipeline.stats import SessionStats
from handviz.records import FrameResult


def _nothing(name: str) -> None:
    return None


def _no_weights(name: str) -> tuple[WeightsFile, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What can be chosen on this machine. ``lacks`` says in words what an estimator is missing; its ``weights`` are files."""

    estimators: Callable[[], tuple[str, ...]]
    hand_models: Callable[[], tuple[str, ...]]
    lacks: Callable[[str], str | None] = _nothing
    weights: Callable[[str], tuple[WeightsFile, ...]] = _no_weights
    default_weights: Callable[[str], Path | None] = _nothing


class Offering:
    """Reads what changes by itself at every call, but surveys the machine only when something is chosen."""

    def __init__(self, installed: Installed) -> None:
        self._installed = installed
        self.offer = Offer()

    def survey(self, config: SessionConfig) -> None:
        """Look at what is installed: hand models and weights may have been added since."""
        installed = self._installed
        names = installed.estimators()
        named = meant(config.estimator)
        reasons = ((name, None if config.weights_of(name) else installed.lacks(name)) for name in names)
        self.offer = replace(
            self.offer,
            estimators=(AUTO, *names),
            hand_models=installed.hand_models(),
            lacking=tuple((name, reason) for name, reason in reasons if reason is not None),
            weights=installed.weights(named),
            default_weights=installed.default_weights(named),
        )

    def take_stats(self, session: SessionLike | None) -> None:
        """Update rates and times; called a few times a second, because nobody could read them faster."""
        if session is not None:
            self.offer = replace(self.offer, stats=session.stats())

    def look(self, session: SessionLike | None, result: FrameResult | None, **present: Any) -> Offer:
        """Return what is available; ``present`` are fields of ``Offer`` that the controller knows itself."""
        self.offer = replace(
            self.offer,
            session=None if session is None else session.state(),
            running=None if session is None else session.running(),
            stats=SessionStats() if session is None else self.offer.stats,
            contents=contents_of(result),
            **present,
        )
        return self.offer
