"""The estimators by name. Each is imported and built only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from handviz.errors import HandvizError
from handviz.estimate.base import Estimator, EstimatorOptions


def _mediapipe(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.mediapipe import MediaPipeEstimator

    return MediaPipeEstimator()


def _fit(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.fit import FitEstimator

    return FitEstimator(options)


def _groups(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.groups import GroupsEstimator

    return GroupsEstimator(options)


def _dense(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.dense import DenseEstimator

    return DenseEstimator(options)


_BUILDERS: dict[str, Callable[[EstimatorOptions], Estimator]] = {
    "mediapipe": _mediapipe,
    "fit": _fit,
    "groups": _groups,
    "dense": _dense,
}


def estimator_names() -> tuple[str, ...]:
    """Return the names that ``create_estimator`` knows."""
    return tuple(_BUILDERS)


def create_estimator(name: str, options: EstimatorOptions | None = None) -> Estimator:
    """Build the estimator of this name. Raises HandvizError that lists the names for an unknown one."""
    builder = _BUILDERS.get(name)
    if builder is None:
        raise HandvizError(f"unknown estimator '{name}'. Choose one of: {', '.join(estimator_names())}")
    return builder(options or EstimatorOptions())
