"""The paper's solver behind ``training evaluate --method dense@N:paper``."""

from __future__ import annotations

import numpy as np

from handviz.estimate.base import EstimatorOptions
from handviz.estimate.dense import DenseEstimator
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import save_dense
from tests.training.dense.dots import CONFIG, posed_pack
from training.answers import as_crops, open_method
from training.data.augment import centre_cut
from training.dense.paper_refined import PaperRefined


def test_answers_are_the_best_iterates_of_the_papers_solver(tmp_path) -> None:
    weights = tmp_path / "tiny.safetensors"
    save_dense(weights, DenseNetwork(CONFIG), {})
    method = open_method(f"dense@2:paper={weights}")
    assert isinstance(method, PaperRefined)
    crops = as_crops(centre_cut(posed_pack(2).batch(np.arange(2)), method.crop_spec.size))
    plain = DenseEstimator(EstimatorOptions(weights=weights))
    for crop, answer in zip(crops, method.estimate(crops, [None, None]), strict=True):
        trace = plain.refine(crop, iterations=2, solver="paper")
        best = trace.iterates[trace.best]
        assert answer.mesh is not None and best.total <= trace.iterates[0].total
        np.testing.assert_allclose(answer.mesh.params.pose, best.params.pose, atol=1e-5)
