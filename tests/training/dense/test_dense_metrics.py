"""Mesh and mask metrics on known cases, and predictions on a pack."""

from __future__ import annotations

import numpy as np
import pytest

from handviz.models.dense import DenseNetwork
from tests.training.dense.dots import CONFIG, HAND, SIZE, posed_pack
from training.dense.losses import (
    true_surface,
)
from training.dense.metrics import f_scores, mask_scores, pa_mpvpe_mm
from training.dense.predict import crops_of, look, mesh_line, predict


def test_mesh_metrics_on_known_cases() -> None:
    truth = np.random.default_rng(0).normal(0, 0.05, (4, 50, 3))
    turned = 1.3 * truth @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) + 0.2
    np.testing.assert_allclose(pa_mpvpe_mm(turned, truth), 0, atol=1e-9)
    assert f_scores(turned, truth) == {"F@5 mm": 1.0, "F@15 mm": 1.0}
    spread = truth + np.random.default_rng(1).normal(0, 0.004, truth.shape)
    scores = f_scores(spread, truth)
    assert 0 < scores["F@5 mm"] < scores["F@15 mm"] <= 1
    assert 2 < pa_mpvpe_mm(spread, truth).mean() < 8


def test_mask_metrics_on_known_cases() -> None:
    truth = np.zeros((10, 10), bool)
    truth[:, :4] = True
    half = np.zeros((10, 10), bool)
    half[:, :2] = True
    scores = mask_scores([half], [truth])
    assert (scores.iou, scores.precision, scores.recall) == (0.5, 1.0, 0.5)
    assert scores.f1 == pytest.approx(2 / 3)
    empty = np.zeros((10, 10), bool)
    assert mask_scores([empty, empty], [empty, truth]).numbers()["mask IoU"] == 0.5


def test_prediction_and_mesh_metrics_on_a_pack() -> None:
    network = DenseNetwork(CONFIG).eval()
    batches = crops_of(posed_pack(4), SIZE)
    answers = predict(look(network, batches), 2)
    assert answers.vertices_m.shape == (4, 778, 3) and np.isfinite(answers.joints_px).all()
    line = mesh_line(answers.vertices_m, batches[0])
    assert 0 <= line["mask IoU"] <= 1 and line["PA-MPVPE mm"] > 0
    perfect = true_surface(batches[0], HAND).vertices_BV3.double().numpy()
    assert mesh_line(perfect, batches[0])["PA-MPVPE mm"] == pytest.approx(0, abs=0.05)
    assert mesh_line(perfect, batches[0])["whole-hand IoU"] > 0.99 > line["whole-hand IoU"]
    assert mesh_line(perfect[:, :700], batches[0])["F@5 mm"] != mesh_line(perfect, batches[0])["F@5 mm"]
