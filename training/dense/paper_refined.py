"""The dense estimator refined by the paper's own solver (Baek et al. 2019, Eq. 13), to be evaluated like any other estimator."""

from __future__ import annotations

from collections.abc import Sequence

from handviz.estimate.base import EstimatorOptions
from handviz.estimate.dense import DenseEstimator
from handviz.records import CropResult, HandCrop


class PaperRefined:
    """``DenseEstimator`` whose steps of refinement are the paper's plain gradient steps, each crop by itself."""

    name = "dense, the paper's solver"

    def __init__(self, options: EstimatorOptions) -> None:
        self._dense, self._iterations = DenseEstimator(options), options.refine_iterations
        self.crop_spec, self.device = self._dense.crop_spec, self._dense.device

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate and refine each crop; tracks make no difference."""
        return [self._refined(crop) for crop in crops]

    def _refined(self, crop: HandCrop) -> CropResult:
        trace = self._dense.refine(crop, iterations=self._iterations, keep=False, solver="paper")
        return self._dense.steps(crop, trace)[trace.best]

    def forget(self, track_id: int) -> None:
        """Do nothing: nothing is kept for a track."""
