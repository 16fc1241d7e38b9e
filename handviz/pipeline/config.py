"""Everything a user may choose about the analysis, in one frozen record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from handviz.errors import ModelFileError
from handviz.estimate.base import DeviceName, EstimatorOptions
from handviz.estimate.registry import check_estimator, estimator_of
from handviz.hand.library import DEFAULT_HAND
from handviz.models.weights_files import FileVersion, named_weights, version_of

# A value of ``SessionConfig.estimator``: the best one that keeps up with the source; see ``handviz.pipeline.auto``.
AUTO = "auto"
DEFAULT_ESTIMATOR = AUTO
# For a dense mesh. More do not lower the error further (training/dense/README.md), and cost time: on every frame of a file, or in
# parallel to the live view of a source that plays (``handviz.pipeline.inference``).
DEFAULT_REFINE_ITERATIONS = 5
# The settings that decide which networks run.
NETWORK_CHOICES = ("estimator", "compare_with", "groups_weights", "dense_weights")
VERSIONS = ("groups_version", "dense_version")
# The settings that may require loading, and so may be refused after others took effect. A hand shape belongs to its hand model.
MODEL_CHOICES = (*NETWORK_CHOICES, *VERSIONS, "device", "hand_model", "hand_shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Everything a user may choose about the analysis. An estimator for which no weights are given uses the shipped ones.

    ``groups_version`` and ``dense_version`` identify the state of the weights files when they were chosen
    (``with_present_files``).
    """

    estimator: str = DEFAULT_ESTIMATOR
    max_hands: int = 2
    smoothing: bool = True
    smoothing_strength: float = 0.5
    device: DeviceName = "auto"
    fov_deg: float | None = None
    intrinsics: Path | None = None
    hand_model: str = DEFAULT_HAND
    hand_scale_m: float | None = None
    hand_shape: tuple[float, ...] | None = None
    detect_every: int = 8
    want_heatmaps: bool = False
    want_features: bool = False
    refine_iterations: int = DEFAULT_REFINE_ITERATIONS
    compare_with: str | None = None
    groups_weights: Path | None = None
    dense_weights: Path | None = None
    groups_version: FileVersion | None = None
    dense_version: FileVersion | None = None

    @property
    def camera(self) -> tuple[float | None, Path | None]:
        """The field of view and the intrinsics file: the arguments of ``handviz.capture.base.camera_choice``."""
        return self.fov_deg, self.intrinsics

    def options(self, estimator: str | None = None) -> EstimatorOptions:
        """Return the part that concerns an estimator, by default the chosen one."""
        weights, version = self._own_weights(estimator or self.estimator)
        return EstimatorOptions(
            device=self.device,
            hand_model=self.hand_model,
            hand_scale_m=self.hand_scale_m,
            hand_shape=self.hand_shape,
            want_heatmaps=self.want_heatmaps,
            want_features=self.want_features,
            refine_iterations=self.refine_iterations,
            weights=weights,
            weights_version=version,
        )

    def weights_of(self, estimator: str) -> Path | None:
        """Return the weights that the user gave for an estimator."""
        return self._own_weights(estimator)[0]

    def _own_weights(self, estimator: str) -> tuple[Path | None, FileVersion | None]:
        groups, dense = (self.groups_weights, self.groups_version), (self.dense_weights, self.dense_version)
        return {"groups": groups, "groups-fit": groups, "dense": dense}.get(estimator, (None, None))


def chosen(estimator: str | None, weights: Path | None) -> SessionConfig:
    """Return the defaults with an estimator and weights that the user named; weights alone choose the estimator that runs them.

    Raises HandvizError for an unknown estimator, ModelFileError for weights that no estimator runs, or not this one.
    """
    if estimator is not None:
        check_estimator(estimator, AUTO)
    if weights is None:
        return SessionConfig(estimator=estimator or DEFAULT_ESTIMATOR)
    weights = named_weights(weights)
    runs = estimator_of(weights, estimator)
    if estimator not in (None, runs):
        raise ModelFileError(f"{weights}: these are weights for '{runs}', not for '{estimator}'. Choose --estimator {runs}.")
    return with_weights(SessionConfig(estimator=runs), runs, weights)


def with_weights(config: SessionConfig, estimator: str, weights: Path | None) -> SessionConfig:
    """Return the configuration with other weights for an estimator that uses weights; None: the shipped ones."""
    return replace(config, dense_weights=weights) if estimator == "dense" else replace(config, groups_weights=weights)


def with_present_files(config: SessionConfig) -> SessionConfig:
    """Return the configuration with the current versions of its weights files, so that rewritten ones are read again."""
    return replace(config, groups_version=version_of(config.groups_weights), dense_version=version_of(config.dense_weights))
