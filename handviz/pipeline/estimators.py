"""The estimators in use: the chosen one, and a second one to compare it with. Rebuilds only what must be rebuilt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from handviz.errors import HandvizError
from handviz.estimate.base import Adjustable, Estimator, EstimatorOptions, Grouping
from handviz.estimate.registry import create_estimator
from handviz.geometry.camera import FloatArray
from handviz.pipeline.auto import AutoChoice, meant
from handviz.pipeline.config import AUTO, SessionConfig

# An estimator's name and the options to build it with.
Wanted = tuple[str, EstimatorOptions]
# An estimator's name and the options that it cannot change while running.
Built = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunningModel:
    """What runs: the estimator's name, its device, the selector's probabilities (21, K) if any, why ``auto`` chose it."""

    estimator: str
    device: str
    selector_JK: FloatArray | None = None
    reason: str | None = None


class Estimators:
    """Follows the configuration; ``auto`` is resolved here. ``paced``: the source does not wait, so speed matters."""

    def __init__(self, config: SessionConfig, *, paced: bool) -> None:
        self._auto = AutoChoice()
        self._paced = paced
        self._asked = config
        # ``auto`` chose another one: the caller is to load it and then call ``configure``.
        self.outpaced = False
        self.config = self._resolved(config)
        self.first: Estimator = create_estimator(self.config.estimator, self._options(self.config))
        other = self.config.compare_with
        self.second = create_estimator(other, self._options(self.config, other)) if other else None

    @property
    def running(self) -> RunningModel:
        """What runs now."""
        selector = self.first.selector_JK if isinstance(self.first, Grouping) else None
        reason = self._auto.reason if self._asked.estimator == AUTO else None
        return RunningModel(estimator=self.config.estimator, device=self.first.device, selector_JK=selector, reason=reason)

    def unloaded(self, asked: SessionConfig) -> tuple[Wanted, ...]:
        """Return the estimators that must be loaded to follow another configuration, if any."""
        auto_again = asked.estimator == AUTO != self._asked.estimator
        config = replace(asked, estimator=meant(AUTO)) if auto_again else self._resolved(asked)
        old = self.config
        changes = [(old.estimator, config.estimator), (old.compare_with, config.compare_with)]
        return tuple(
            (name, self._options(config, name))
            for before, name in changes
            if name is not None and (name != before or config.options(name).fixed != old.options(name).fixed)
        )

    def configure(self, asked: SessionConfig, loaded: Mapping[Built, Estimator] | None = None) -> None:
        """Follow another configuration, using what was ``loaded`` for it if it still fits.

        Raises HandvizError and keeps the old estimators if that is not possible.
        """
        if asked.estimator == AUTO != self._asked.estimator:
            self._auto = AutoChoice()
        outpaced, self.outpaced = self.outpaced, False
        try:
            self._change(self._resolved(asked), dict(loaded or {}))
        except HandvizError:
            if not outpaced or asked.estimator != AUTO:
                raise
            self._auto.stay()  # a slow one is better than none
            self._change(self._resolved(asked), dict(loaded or {}))
        self._asked = asked

    def saw(self, frame_ms: float, gap_ms: float) -> None:
        """Take how long a frame with hands took, and the time between two pictures; ``auto`` may choose another estimator."""
        # While the next one loads, the slow one's times say nothing about it.
        waiting = not self._paced or self.outpaced or self._asked.estimator != AUTO
        if not waiting and self._auto.saw(frame_ms, gap_ms):
            self.outpaced = True

    def _resolved(self, config: SessionConfig) -> SessionConfig:
        return replace(config, estimator=self._auto.name) if config.estimator == AUTO else config

    def _options(self, config: SessionConfig, estimator: str | None = None) -> EstimatorOptions:
        return replace(config.options(estimator), live=self._paced)

    def _change(self, config: SessionConfig, loaded: dict[Built, Estimator]) -> None:
        old, first, second = self.config, self.first, self.second
        other = config.compare_with
        try:
            if (config.estimator, config.options()) != (old.estimator, old.options()):
                first = _adjusted(first, config.estimator, self._options(config), loaded)
            if other is None:
                second = None
            elif (other, config.options(other)) != (old.compare_with, old.options(other)):
                second = _adjusted(second, other, self._options(config, other), loaded)
        except HandvizError:
            if first is self.first:
                # It may have taken over the new options before the second one failed.
                self.first = _adjusted(first, old.estimator, self._options(old), {})
            raise
        self.config, self.first, self.second = config, first, second


def _adjusted(present: Estimator | None, name: str, options: EstimatorOptions, loaded: dict[Built, Estimator]) -> Estimator:
    """Return the current estimator or a loaded one, if it can take over the options while running; else a new one."""
    same = present if present is not None and present.name == name else None
    for made in (same, loaded.pop(built_as(name, options), None)):
        if isinstance(made, Adjustable) and made.adjust(options):
            return made
    return create_estimator(name, options)


def built_as(name: str, options: EstimatorOptions) -> Built:
    """Return the key of an estimator among the loaded ones."""
    return name, options.fixed


def build_all(wanted: Sequence[Wanted]) -> dict[Built, Estimator]:
    """Build estimators beforehand. One that cannot be built is left out: ``configure`` tries again, and raises the error."""
    built: dict[Built, Estimator] = {}
    for name, options in wanted:
        with suppress(Exception):
            built[built_as(name, options)] = create_estimator(name, options)
    return built
