"""The estimators by name. Each is imported and built only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from handviz.errors import HandvizError, ModelFileError
from handviz.estimate.base import Estimator, EstimatorOptions
from handviz.models.weights_files import (
    DEFAULT_NAMES,
    DENSE_KIND,
    GROUPS_KIND,
    WeightsFile,
    kind_of,
    known_weights,
    own_folder,
    shipped_folder,
)
from handviz.threads import one_thread_for_matrices


def _mediapipe(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.mediapipe import MediaPipeEstimator

    return MediaPipeEstimator(options)


def _fit(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.fit import FitEstimator

    return FitEstimator(options)


def _groups(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.groups import GroupsEstimator

    return GroupsEstimator(options)


def _groups_fit(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.groups_fit import GroupsFitEstimator

    return GroupsFitEstimator(options)


def _dense(options: EstimatorOptions) -> Estimator:
    from handviz.estimate.dense import DenseEstimator

    return DenseEstimator(options)


_BUILDERS: dict[str, Callable[[EstimatorOptions], Estimator]] = {
    "mediapipe": _mediapipe,
    "fit": _fit,
    "groups": _groups,
    "groups-fit": _groups_fit,
    "dense": _dense,
}

# Estimators that give only joints.
_WITHOUT_MESH = ("mediapipe", "groups")

# The kind of weights that an estimator needs, simplest estimator first; the others need none.
_KINDS = {"groups": GROUPS_KIND, "groups-fit": GROUPS_KIND, "dense": DENSE_KIND}


def estimator_names() -> tuple[str, ...]:
    """Return the names that ``create_estimator`` knows."""
    return tuple(_BUILDERS)


def create_estimator(name: str, options: EstimatorOptions | None = None) -> Estimator:
    """Build the estimator of this name. Raises HandvizError that lists the known names for an unknown one.

    From then on this process works on matrices with one thread; see ``handviz.threads``.
    """
    check_estimator(name)
    one_thread_for_matrices()
    return _BUILDERS[name](options or EstimatorOptions())


def check_estimator(name: str, *besides: str) -> None:
    """Raise HandvizError that lists the known names for an unknown one; ``besides`` are further names that may be chosen."""
    names = (*estimator_names(), *besides)
    if name not in names:
        raise HandvizError(f"unknown estimator '{name}'. Choose one of: {', '.join(names)}")


def gives_mesh(name: str) -> bool:
    """Return whether an estimator makes a mesh of a hand."""
    return name not in _WITHOUT_MESH


def has_heatmaps(name: str) -> bool:
    """Return whether an estimator's network is one of ours, whose heatmaps can be shown."""
    return name in _KINDS


def refines(name: str) -> bool:
    """Return whether an estimator's answers can be refined step by step."""
    return name == "dense"


def weights_for(name: str) -> tuple[WeightsFile, ...]:
    """Return the weights files that this estimator can run, shipped ones first; none for one that takes no weights."""
    return known_weights(_KINDS[name]) if name in _KINDS else ()


def default_weights(name: str) -> Path | None:
    """Return the shipped file that this estimator runs unless the user gives another; None for one that takes no weights."""
    return shipped_folder() / DEFAULT_NAMES[_KINDS[name]] if name in _KINDS else None


def lacks(name: str) -> str | None:
    """Return why an estimator cannot run on this machine unless the user names weights, None if it can."""
    if name not in _KINDS or weights_for(name):
        return None
    return f"no weights for '{name}' are in this copy of handviz. Choose a file, or put one into {own_folder()}"


def estimator_of(weights: Path, present: str | None = None) -> str:
    """Return the estimator that runs a weights file: the ``present`` one if it can, else the first that can.

    Raises ModelFileError for a file that none of them can run.
    """
    kind = kind_of(weights)
    able = [name for name, needed in _KINDS.items() if needed == kind]
    if not able:
        raise ModelFileError(f"{weights}: holds '{kind}', which no estimator runs. Give a file written by `training export`.")
    return present if present in able else able[0]
