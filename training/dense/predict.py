"""A dense network's answers on a pack of samples, refined or not, and the numbers they earn."""

from __future__ import annotations

import time
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
from handviz.hand.model import HandModel, load_hand_model
from handviz.models.confidence import calibration_from
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import load_dense
from handviz.models.dense_deploy import DenseRunner
from training.data.augment import centre_cut
from training.data.pack import Pack
from training.data.sample import Batch
from training.dense.metrics import f_scores, mask_scores, pa_mpvpe_mm
from training.metrics import Errors, Truth, errors_of

BoolArray = npt.NDArray[np.bool_]
MASK_SIDE = 128
_CHUNK = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Answers for N crops in their cameras: joints (N, 21, 3) and vertices (N, V, 3) metres, joints (N, 21, 2) crop pixels,
    silhouettes (N, 128, 128), and the mean milliseconds that refinement took a crop."""

    joints_m: FloatArray
    joints_px: FloatArray
    vertices_m: FloatArray
    masks: BoolArray
    refine_ms: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """The truth of the same crops, cut as the live app cuts: joints, and meshes and masks where they are known (NaN, False)."""

    truth: Truth
    vertices_m: FloatArray
    has_vertices: BoolArray
    masks: BoolArray
    has_mask: BoolArray


def crops_of(pack: Pack, size: int) -> list[Batch]:
    """Return a pack as batches of the crops that the live app would cut, hands alone."""
    rows = np.flatnonzero(pack.is_hand_N)
    return [centre_cut(pack.batch(rows[i : i + _CHUNK]), size) for i in range(0, len(rows), _CHUNK)]


def look(network: DenseNetwork | Path, batches: list[Batch]) -> list[Seen]:
    """Return what the network says of every crop, before any refinement."""
    notes: Mapping[str, str] = {}
    if isinstance(network, Path):
        network, notes = load_dense(network)
    runner = DenseRunner(network, network.mean_pose.device)
    seen: list[Seen] = []
    for batch in batches:
        on_device = batch.to(network.mean_pose.device)
        seen += see(runner, on_device.rgb_B3SS, on_device.K_B33, calibration_from(notes))
    return seen


def predict(seen: list[Seen], size: int, iterations: int = 0) -> Predictions:
    """Return the answers after this many steps of the default refinement."""
    rig = rig_of(load_hand_model())
    began = time.perf_counter()
    answers = [refine_newton(rig, s.target, s.params, iterations).answer if iterations else s.params for s in seen]
    spent = time.perf_counter() - began
    vertices, joints = (np.stack(part) for part in zip(*(rig.mesh(p) for p in answers), strict=True))
    K = np.stack([s.target.K for s in seen])
    return Predictions(
        joints_m=joints,
        joints_px=_project_each(joints, K),
        vertices_m=vertices,
        masks=silhouettes(rig, vertices, K, size),
        refine_ms=1000 * spent / max(len(seen), 1),
    )


def _project_each(points_NJ3: FloatArray, K_N33: FloatArray) -> FloatArray:
    return np.stack([project(points, K) for points, K in zip(points_NJ3, K_N33, strict=True)])


def silhouettes(rig: Rig, vertices_NV3: FloatArray, K_N33: FloatArray, size: int) -> BoolArray:
    """Return masks (N, 128, 128) of meshes in crops of ``size`` pixels."""
    scaled = [scale_intrinsics(K, MASK_SIDE / size, MASK_SIDE / size) for K in K_N33]
    return np.stack([drawn_mask(v, rig.faces_F3, K, MASK_SIDE, MASK_SIDE) for v, K in zip(vertices_NV3, scaled, strict=True)])


def known_of(batches: list[Batch], hand: HandModel | None = None) -> Known:
    """Return the truth of batches of crops. Vertices come from the true parameters on the default hand."""
    hand = hand or load_hand_model()

    def all_of(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(b, name).cpu().numpy() for b in batches])

    with torch.no_grad():
        vertices = np.concatenate(
            [hand.forward(b.pose_B45, b.shape_B10, b.root_B3, b.scale_B, b.trans_B3).vertices_BV3.numpy() for b in batches]
        )
    joints_m = np.where(all_of("has_joints_m_B")[:, None, None], all_of("joints_m_BJ3"), np.nan)
    truth = Truth(
        joints_m=joints_m.astype(float), joints_px=all_of("joints_px_BJ2").astype(float), valid=all_of("valid_BJ").astype(bool)
    )
    masks = [cv2.resize(m, (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_AREA) > 0.5 for m in all_of("mask_BSS")]
    return Known(
        truth=truth,
        vertices_m=vertices.astype(float),
        has_vertices=all_of("has_params_B").astype(bool),
        masks=np.stack(masks),
        has_mask=all_of("has_mask_B").astype(bool),
    )


def errors_and_line(predictions: Predictions, known: Known) -> tuple[Errors, dict[str, float]]:
    """Return joint errors and one line of a results table: joints, meshes, masks, refinement time."""
    errors = errors_of(predictions.joints_m, predictions.joints_px, known.truth)
    line = errors.summary()
    has = known.has_vertices
    if has.any():
        line["PA-MPVPE mm"] = float(pa_mpvpe_mm(predictions.vertices_m[has], known.vertices_m[has]).mean())
        line |= f_scores(predictions.vertices_m[has], known.vertices_m[has])
    if known.has_mask.any():
        line |= mask_scores(predictions.masks[known.has_mask], known.masks[known.has_mask]).numbers()
    return errors, line | {"refine ms": predictions.refine_ms}
