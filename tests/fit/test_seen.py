"""How sure a dense network without a presence head is: the peak heights of its pose machine's maps tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from handviz.fit.seen import see
from handviz.hand.model import load_hand_model
from handviz.models.confidence import Calibration
from handviz.models.dense_deploy import DenseAnswers, DenseRunner
from handviz.models.dense_vector import VECTOR_SIZE
from handviz.postprocess.tracking import LOST_SCORE

SIDE = 32
K = torch.tensor([[[400.0, 0, 111.5], [0, 400.0, 111.5], [0, 0, 1]]])


def maps(peak: float, noise: float = 0.01) -> Tensor:
    """Maps as the paper's f_J2D is trained on: ``peak`` at a joint, 1.5 cells wide, over a floor that is not quite zero."""
    at = 6 + 20 * np.random.default_rng(0).random((21, 2))
    y, x = np.mgrid[:SIDE, :SIDE]
    squares = (x - at[:, 0, None, None]) ** 2 + (y - at[:, 1, None, None]) ** 2
    floor = noise * np.random.default_rng(1).random((21, SIDE, SIDE))
    return torch.as_tensor(peak * np.exp(-squares / (2 * 1.5**2)) + floor, dtype=torch.float32)[None]


def pose_machine(heat_BJHW: Tensor) -> DenseRunner:
    answers = DenseAnswers(
        h_BN=torch.zeros(1, VECTOR_SIZE),
        refined_px_BJ2=torch.full((1, 21, 2), 112.0),
        heat_BJHW=heat_BJHW,
        feature_BF=torch.zeros(1, 2048),
        depth_BJ=None,
        mask_BHW=None,
        presence_B=None,
        side_B=None,
    )
    return cast(DenseRunner, _Runner(answers))


class _Runner:
    """Always gives the same answers."""

    network = SimpleNamespace(hand=load_hand_model())

    def __init__(self, answers: DenseAnswers) -> None:
        self._answers = answers

    def __call__(self, rgb: Tensor, K: Tensor) -> DenseAnswers:
        return self._answers


def test_peaks_make_a_hand_and_flat_maps_none() -> None:
    rgb = torch.zeros(1, 3, 224, 224)
    sure, unsure = (see(pose_machine(maps(peak)), rgb, K, Calibration())[0] for peak in (0.9, 0.03))
    assert sure.score > LOST_SCORE and sure.confidence.min() > 0.7
    assert unsure.score < 0.1
    # 1.5 cells of 32, in pixels of the crop of 224, and little else.
    assert sure.target.sigma_px_J.max() == pytest.approx(224 * np.hypot(0.01, 0.3 * np.sqrt(2) * 1.5 / 32), rel=0.15)
