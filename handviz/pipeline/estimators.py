"""The estimators in force: the chosen one, and a second one to compare it with. Builds anew only what must be."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handviz.errors import HandvizError
from handviz.estimate.base import Adjustable, Estimator, EstimatorOptions, Grouping
from handviz.estimate.registry import create_estimator
from handviz.geometry.camera import FloatArray
from handviz.pipeline.auto import AutoChoice
from handviz.pipeline.config import AUTO, SessionConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunningModel:
    """What runs: the estimator's name, where, the selector's probabilities (21, K) if it has groups, why ``auto`` chose it."""

    estimator: str
    device: str
    selector_JK: FloatArray | None = None
    reason: str | None = None


class Estimators:
    """Follows the configuration; ``auto`` is resolved here. ``paced``: the source does not wait, so that slowness matters."""

    def __init__(self, config: SessionConfig, *, paced: bool) -> None:
        self._auto = AutoChoice()
        self._paced = paced
        self._asked = config
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

    def configure(self, asked: SessionConfig) -> None:
        """Follow another configuration. Raises HandvizError and keeps the old estimators where it can not be met."""
        if asked.estimator == AUTO != self._asked.estimator:
            self._auto = AutoChoice()
        self._change(self._resolved(asked))
        self._asked = asked

    def saw(self, frame_ms: float, gap_ms: float) -> None:
        """Take in how long a frame with hands took, and the time between two pictures; ``auto`` may choose anew."""
        if self._paced and self._asked.estimator == AUTO and self._auto.saw(frame_ms, gap_ms):
            self._change(self._resolved(self._asked))

    def _resolved(self, config: SessionConfig) -> SessionConfig:
        return replace(config, estimator=self._auto.name) if config.estimator == AUTO else config

    def _options(self, config: SessionConfig, estimator: str | None = None) -> EstimatorOptions:
        return replace(config.options(estimator), live=self._paced)

    def _change(self, config: SessionConfig) -> None:
        old, first, second = self.config, self.first, self.second
        other = config.compare_with
        try:
            if (config.estimator, config.options()) != (old.estimator, old.options()):
                first = _adjusted(first, config.estimator, self._options(config))
            if other is None:
                second = None
            elif (other, config.options(other)) != (old.compare_with, old.options(other)):
                second = _adjusted(second, other, self._options(config, other))
        except HandvizError:
            if first is self.first:
                # It may have taken the new options over before the other one could not be met.
                self.first = _adjusted(first, old.estimator, self._options(old))
            raise
        self.config, self.first, self.second = config, first, second


def _adjusted(present: Estimator | None, name: str, options: EstimatorOptions) -> Estimator:
    """Return the present estimator with other options where it can take them as it runs, else a new one."""
    if present is not None and present.name == name and isinstance(present, Adjustable) and present.adjust(options):
        return present
    return create_estimator(name, options)
