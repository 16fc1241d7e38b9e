"""Mesh and mask metrics on known cases, and predictions on a pack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import training.dense.predict as predict_module
from handviz.models.dense import DenseNetwork
from tests.training.dense.dots import CONFIG, HAND, SIZE, posed_pack
from training.dense.losses import (
    true_surface,
)
from training.dense.metrics import f_score, f_scores, mask_scores, pa_mpvpe_mm, pooled_mask_scores
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


def test_an_f_score_is_the_harmonic_mean_of_both_ways() -> None:
    line = np.zeros((6, 3))
    line[:, 0] = 0.1 * np.arange(6)
    # Three of four points lie 4 mm from the line's, which leaves three of its six without one.
    found = np.concatenate([line[:3] + [0, 0.004, 0], [[0, 9.0, 0]]])
    assert f_score(found, line, 5.0) == pytest.approx(2 * 0.75 * 0.5 / (0.75 + 0.5))
    assert f_score(line, found, 5.0) == pytest.approx(0.6)
    assert f_score(found, line, 3.0) == 0.0


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


def test_pooled_mask_metrics_count_pixels_and_not_pictures() -> None:
    large, small = np.zeros((2, 10, 10), bool), np.zeros((2, 10, 10), bool)
    large[0], small[1, 0, :2] = True, True
    truth = large | small
    pooled = pooled_mask_scores(large, truth)
    assert mask_scores(large, truth).iou == 0.5 and pooled.iou == pytest.approx(100 / 102)
    # The paper's rows are consistent in this way, which means over pictures need not be.
    assert pooled.f1 == pytest.approx(2 * pooled.precision * pooled.recall / (pooled.precision + pooled.recall))
    assert np.isnan(pooled_mask_scores(large[:0], truth[:0]).iou)


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


def test_hands_without_a_mesh_are_left_out_of_mesh_metrics() -> None:
    batch = crops_of(posed_pack(3), SIZE)[0]
    surface = true_surface(batch, HAND).vertices_BV3.double().numpy()
    surface[0] += 0.1
    surface[2] += 0.01
    bare = np.where(np.array([True, False, False])[:, None, None], np.nan, surface)
    assert mesh_line(bare, batch) == pytest.approx(mesh_line(surface[1:], batch.take(torch.tensor([False, True, True]))))
    assert mesh_line(bare, batch)["mask IoU"] > mesh_line(surface, batch)["mask IoU"]


def test_another_hand_of_as_many_vertices_is_drawn_by_its_own_faces_and_not_compared(monkeypatch) -> None:
    batch = crops_of(posed_pack(3), SIZE)[0]
    surface = true_surface(batch, HAND).vertices_BV3.double().numpy()
    order = np.random.default_rng(0).permutation(778)
    other = replace(HAND, name="other", faces_F3=torch.from_numpy(np.argsort(order))[HAND.faces_F3])
    monkeypatch.setattr(predict_module, "load_hand_model", lambda name="default": other if name == "other" else HAND)
    own, same_surface = mesh_line(surface, batch), mesh_line(surface[:, order], batch, "other")
    assert own["PA-MPVPE mm"] == pytest.approx(0, abs=1e-6)
    assert np.isnan([same_surface["PA-MPVPE mm"], same_surface["F@5 mm"]]).all()
    for name in ("mask IoU", "pooled mask F1", "whole-hand IoU"):
        assert same_surface[name] == pytest.approx(own[name])
