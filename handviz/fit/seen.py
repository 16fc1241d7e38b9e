"""From a dense network's tensors to refinement's start and target, crop by crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from handviz.fit.refinement import Target
from handviz.fit.silhouette import Silhouette
from handviz.geometry.camera import FloatArray
from handviz.hand.library import DEFAULT_HAND
from handviz.models.confidence import Calibration, heat_spread
from handviz.models.dense_deploy import DenseRunner
from handviz.models.dense_vector import DenseParams, decode
from handviz.models.readout import soft_argmax
from handviz.models.recovery import relative_depth
from handviz.records import HandParams

# Standard deviations of the network's evidence. Pixels, in shares of the crop's side: at best, and what a wide heatmap adds.
_BEST_SIGMA, _SPREAD_SIGMA = 0.010, 0.30
# Relative depths, in scale bones; twice as uncertain where a heatmap is this wide (shares of the crop). They err by 0.2 to 0.4,
# but nothing else places the hand in depth with less error: with these numbers joints improved in 3D, not only in 2D.
_DEPTH_SIGMA, _WIDE_SPREAD = 0.06, 0.06
# Pixels are the mean of f_Ref's, which are drawn towards the mesh, and of those of the groups network's maps: with five steps
# 7.35 -> 7.16 px on 400 webcam-like hands, 4.12 -> 3.92 on 556 photographs, and 1.02 -> 0.87 px off the middle of real fingers
# (scripts/judge_outlines.py). A pose machine's maps do not sum to one, so f_Ref's are used alone.
_REFINED_SHARE = 0.5
# A pose machine's maps are nowhere quite zero: values below this share of the peak would make them look wide.
_FLOOR = 0.05
# The weight of the mesh's own depths; the rest is that of the depths read from the maps.
_MESH_SHARE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """The network's output for one crop, in the crop's camera: its own answer, and refinement's target.

    ``refined_px_J2`` are f_Ref's 2D joints, which Eq. 13 aims at; ``feature`` is F(x); ``mask_SS`` (S, S) the probability of the
    hand's mask at the maps' size, or None; ``confidence`` (21,) the chance that a joint is right; ``side_chance`` that the hand
    is of the side its crop was cut for, or None.
    """

    params: HandParams
    target: Target
    refined_px_J2: FloatArray
    heatmaps: FloatArray
    feature: FloatArray
    mask_SS: FloatArray | None
    score: float
    confidence: FloatArray
    side_chance: float | None = None


def see(runner: DenseRunner, rgb_B3SS: Tensor, K_B33: Tensor, calibration: Calibration) -> list[Seen]:
    """Return the network's output for crops in [0, 1] seen by cameras K."""
    answers = runner(rgb_B3SS, K_B33)
    size = rgb_B3SS.shape[-1]
    params, surface = decode(answers.h_BN, K_B33, size, runner.network.hand)
    depth_BJ = _depths(answers.depth_BJ, _numpy(surface.joints_BJ3))
    heat = _normalised(answers.heat_BJHW, floor=_FLOOR if depth_BJ is None else 0.0)
    spread_px = heat_spread(heat)
    # A pose machine's maps are one where it is sure of a joint: their height tells what the width of other maps does.
    sure_BJ = answers.heat_BJHW.amax((2, 3)).clamp(0, 1) if depth_BJ is None else calibration.chance(spread_px)
    chance, spread = _numpy(sure_BJ), _numpy(spread_px) / 128
    K, count = _numpy(K_B33), len(rgb_B3SS)
    refined_BJ2 = _numpy(answers.refined_px_BJ2)
    pixels_BJ2 = refined_BJ2
    if depth_BJ is not None:
        pixels_BJ2 = _REFINED_SHARE * refined_BJ2 + (1 - _REFINED_SHARE) * _numpy(soft_argmax(heat))
    masks = [None] * count if answers.mask_BHW is None else list(_numpy(torch.sigmoid(answers.mask_BHW)))
    return [
        Seen(
            params=record_of(params, i),
            target=_target(pixels_BJ2[i], None if depth_BJ is None else depth_BJ[i], K[i], spread[i], masks[i], size),
            refined_px_J2=refined_BJ2[i],
            heatmaps=_numpy(heat[i]).astype(np.float32),
            feature=_numpy(answers.feature_BF[i]),
            mask_SS=masks[i],
            score=float(chance[i].mean() if answers.presence_B is None else torch.sigmoid(answers.presence_B[i])),
            confidence=chance[i],
            side_chance=None if answers.side_B is None else float(torch.sigmoid(answers.side_B[i])),
        )
        for i in range(count)
    ]


def _depths(read_BJ: Tensor | None, mesh_BJ3: FloatArray) -> FloatArray | None:
    """Return the weighted mean (B, 21) of the maps' and the mesh's relative depths; None for a network without such maps."""
    if read_BJ is None:
        return None
    return (1 - _MESH_SHARE) * _numpy(read_BJ) + _MESH_SHARE * relative_depth(mesh_BJ3)


def _target(
    joints_px_J2: FloatArray,
    depth_J: FloatArray | None,
    K: FloatArray,
    spread_J: FloatArray,
    mask_SS: FloatArray | None,
    size: int,
) -> Target:
    return Target(
        K=K,
        joints_px_J2=joints_px_J2,
        sigma_px_J=np.asarray(size * np.hypot(_BEST_SIGMA, _SPREAD_SIGMA * spread_J), float),
        depth_J=depth_J,
        sigma_depth_J=None if depth_J is None else _DEPTH_SIGMA * (1 + spread_J / _WIDE_SPREAD),
        silhouette=None if mask_SS is None else Silhouette.of(mask_SS, size, K),
    )


def record_of(params: DenseParams, i: int, hand_model: str = DEFAULT_HAND) -> HandParams:
    """Return one hand of a batch as a record, in the crop's camera."""
    return HandParams(
        pose=_numpy(params.pose_BP[i]),
        shape=_numpy(params.shape_BS[i]),
        root_rotation=_numpy(params.root_rotation_B3[i]),
        translation_m=_numpy(params.translation_B3[i]),
        scale=float(params.scale_B[i]),
        hand_model=hand_model,
    )


def _normalised(heat_BJHW: Tensor, floor: float) -> Tensor:
    """Return heatmaps scaled to sum to one, after ``floor`` times their peak is subtracted."""
    heat = (heat_BJHW - floor * heat_BJHW.amax((2, 3), keepdim=True)).clamp_min(0)
    return heat / heat.sum((2, 3), keepdim=True).clamp_min(1e-9)


def _numpy(tensor: Tensor) -> FloatArray:
    return np.asarray(tensor.detach().float().cpu().numpy(), float)
