"""A dense network's answers on a pack of samples, refined or not, and their metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from handviz.fit.edges import drawn_mask
from handviz.fit.refinement import refine_newton
from handviz.fit.rig import Rig, rig_of
from handviz.fit.seen import Seen, see
from handviz.geometry.camera import FloatArray, project, scale_intrinsics
from handviz.hand.library import DEFAULT_HAND
from handviz.hand.model import HandModel, load_hand_model
from handviz.models.confidence import calibration_from
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import load_dense
from handviz.models.dense_deploy import DenseRunner
from handviz.records import BoolArray
from training.data.augment import centre_cut
from training.data.pack import Pack
from training.data.sample import Batch
from training.dense.metrics import f_scores, mask_scores, pa_mpvpe_mm, pooled_mask_scores
from training.metrics import Errors, Truth, errors_of, has_mesh

MASK_SIDE = 128
_NO_MASKS: BoolArray = np.zeros((0, MASK_SIDE, MASK_SIDE), bool)
_NO_VERTICES: FloatArray = np.zeros((0, 1, 3))
_CHUNK = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Answers for N crops in their cameras: joints (N, 21, 3) and vertices (N, V, 3) metres, joints (N, 21, 2) crop pixels."""

    joints_m: FloatArray
    joints_px: FloatArray
    vertices_m: FloatArray


def crops_of(pack: Pack, size: int) -> list[Batch]:
    """Return a pack's hands as batches of the crops that the live app would cut."""
    rows = np.flatnonzero(pack.is_hand_N)
    return [centre_cut(pack.batch(rows[i : i + _CHUNK]), size) for i in range(0, len(rows), _CHUNK)]


def look(network: DenseNetwork | Path, batches: list[Batch]) -> list[Seen]:
    """Return the network's answer for every crop, before any refinement."""
    notes: Mapping[str, str] = {}
    if isinstance(network, Path):
        network, notes = load_dense(network)
    runner = DenseRunner(network, network.mean_pose.device)
    seen: list[Seen] = []
    for batch in batches:
        on_device = batch.to(network.mean_pose.device)
        seen += see(runner, on_device.rgb_B3SS, on_device.K_B33, calibration_from(notes))
    return seen


def predict(seen: list[Seen], iterations: int = 0) -> Predictions:
    """Return the answers after this many steps of the default refinement."""
    rig = rig_of(load_hand_model())
    answers = [refine_newton(rig, s.target, s.params, iterations).answer if iterations else s.params for s in seen]
    vertices, joints = (np.stack(part) for part in zip(*(rig.mesh(p) for p in answers), strict=True))
    K = np.stack([s.target.K for s in seen])
    return Predictions(joints_m=joints, joints_px=_project_each(joints, K), vertices_m=vertices)


def _project_each(points_NJ3: FloatArray, K_N33: FloatArray) -> FloatArray:
    return np.stack([project(points, K) for points, K in zip(points_NJ3, K_N33, strict=True)])


def silhouettes(rig: Rig, vertices_NV3: FloatArray, K_N33: FloatArray, size: int) -> BoolArray:
    """Return masks (N, 128, 128) of meshes in crops of ``size`` pixels."""
    scaled = [scale_intrinsics(K, MASK_SIDE / size, MASK_SIDE / size) for K in K_N33]
    return np.stack([drawn_mask(v, rig.faces_F3, K, MASK_SIDE, MASK_SIDE) for v, K in zip(vertices_NV3, scaled, strict=True)])


def known_of(batches: list[Batch]) -> Truth:
    """Return the true joints of batches of crops; metres are NaN where unknown."""

    def all_of(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(b, name).cpu().numpy() for b in batches])

    joints_m = np.where(all_of("has_joints_m_B")[:, None, None], all_of("joints_m_BJ3"), np.nan)
    return Truth(
        joints_m=joints_m.astype(float), joints_px=all_of("joints_px_BJ2").astype(float), valid=all_of("valid_BJ").astype(bool)
    )


def mesh_line(vertices_NV3: FloatArray, batch: Batch, hand_model: str = DEFAULT_HAND) -> dict[str, float]:
    """Return PA-MPVPE, F-scores and mask scores of this hand's meshes in the cameras of a batch of crops.

    Hands without a mesh, whose vertices are NaN, are left out. Mesh metrics are over the samples whose parameters on the
    default hand are known (NaN if there are none, or for another hand), mask metrics over those with a mask of the visible
    hand, "pooled" ones over all their pixels together.
    ``whole-hand IoU`` compares the outline with that of the true mesh, including hidden parts.
    """
    there = has_mesh(vertices_NV3)
    vertices_NV3, batch = vertices_NV3[there], batch.take(torch.from_numpy(there))
    hand, answering = load_hand_model(), load_hand_model(hand_model)
    known = batch.has_params_B.numpy()
    truth_NV3 = _NO_VERTICES
    if known.any():
        with torch.no_grad():
            truth = hand.forward(batch.pose_B45, batch.shape_B10, batch.root_B3, batch.scale_B, batch.trans_B3)
        truth_NV3 = truth.vertices_BV3.double().numpy()[known]
    # Another hand's vertices are at other places on a hand, even where there are as many of them.
    alike = hand_model == DEFAULT_HAND
    drawn = _drawn(answering, vertices_NV3, batch)
    seen = batch.has_mask_B.numpy()
    masks = _small_masks(batch.mask_BSS.numpy()[seen])
    whole = mask_scores(drawn[known], _drawn(hand, truth_NV3, batch.take(torch.from_numpy(known))))
    return {
        **(surface_line(vertices_NV3[known], truth_NV3) if alike else surface_line(_NO_VERTICES, _NO_VERTICES)),
        **mask_scores(drawn[seen], masks).numbers(),
        **pooled_mask_scores(drawn[seen], masks).numbers("pooled mask"),
        "whole-hand IoU": whole.iou,
    }


def surface_line(vertices_NV3: FloatArray, truth_NV3: FloatArray) -> dict[str, float]:
    """Return PA-MPVPE and F-scores of meshes against the true vertices of the same hand; NaN where there are none."""
    error_mm = float(pa_mpvpe_mm(vertices_NV3, truth_NV3).mean()) if len(truth_NV3) else float("nan")
    return {"PA-MPVPE mm": error_mm, **f_scores(vertices_NV3, truth_NV3)}


def _drawn(hand: HandModel, vertices_NV3: FloatArray, batch: Batch) -> BoolArray:
    K_N33, size = batch.K_B33.double().numpy(), batch.mask_BSS.shape[-1]
    return silhouettes(rig_of(hand), vertices_NV3, K_N33, size) if len(vertices_NV3) else _NO_MASKS


def _small_masks(masks_NSS: FloatArray) -> BoolArray:
    small = [cv2.resize(m, (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_AREA) > 0.5 for m in masks_NSS]
    return np.stack(small) if small else _NO_MASKS


def joint_errors(predictions: Predictions, batches: list[Batch]) -> Errors:
    """Return the joint errors of predictions for batches of crops."""
    return errors_of(predictions.joints_m, predictions.joints_px, known_of(batches))
