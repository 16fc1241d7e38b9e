"""Estimators' answers for labelled crops: what ``training evaluate`` and the judges compare."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from handviz.arguments import REFINE_ITERATIONS
from handviz.crop import CropWindow
from handviz.errors import HandvizError
from handviz.estimate.base import Estimator, EstimatorOptions
from handviz.estimate.dense import DenseEstimator
from handviz.estimate.registry import create_estimator, default_weights, estimator_names
from handviz.fit.refinement import Solver
from handviz.geometry.camera import Camera, FloatArray
from handviz.hand.library import DEFAULT_HAND
from handviz.models.recovery import relative_depth, scale_of
from handviz.models.weights_files import named_weights
from handviz.records import CropResult, HandCrop, HandMesh
from training.data.augment import centre_cut
from training.data.pack import STORED_EXPAND, Pack
from training.data.sample import Batch
from training.data.sources import concatenate
from training.dense.paper_refined import PaperRefined
from training.looks import looked_at, looked_at_once, looked_at_twice
from training.metrics import Truth, has_mesh

CROP_SIZE = 256
PAPER_SOLVER: Final[Solver] = "paper"
_AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """One method's answers for N crops: joints in the crop's camera and in crop pixels, and milliseconds per crop.

    ``depth`` (N, 21) are its relative depths, (Z - Z_root) / scale: a 2.5D network's own, else those of its joints.
    ``vertices_m`` (N, V, 3), where the method returns meshes, are in the crop's camera, of the hand ``hand_model``;
    NaN for hands without a mesh.
    """

    joints_m: FloatArray
    joints_px: FloatArray
    depth: FloatArray
    ms: float
    vertices_m: FloatArray | None = None
    hand_model: str = DEFAULT_HAND

    @property
    def without_mesh(self) -> int:
        """How many hands have no mesh, where the method returns meshes."""
        return 0 if self.vertices_m is None else int((~has_mesh(self.vertices_m)).sum())


def open_method(text: str, hand_model: str = DEFAULT_HAND) -> Estimator:
    """Open ``NAME[@N[:paper]][=WEIGHTS]``. Raises HandvizError for an unknown name or solver, or an invalid count or weights."""
    name, _, weights = text.partition("=")
    name, _, refinement = name.partition("@")
    steps, _, solver = refinement.partition(":")
    if "@" in text.partition("=")[0] and not (steps.isdecimal() and int(steps) <= REFINE_ITERATIONS[1]):
        raise HandvizError(f"--method {text}: give 0 to {REFINE_ITERATIONS[1]} refinement steps after the @.")
    if steps and name in estimator_names() and name != DenseEstimator.name:
        raise HandvizError(f"--method {text}: only {DenseEstimator.name} can be refined. Leave out the @ and what follows.")
    if solver and (solver != PAPER_SOLVER or name != DenseEstimator.name):
        raise HandvizError(f"--method {text}: the only other solver is the paper's, for the dense hand: dense@20:{PAPER_SOLVER}.")
    if weights and default_weights(name) is None and name in estimator_names():
        raise HandvizError(f"--method {text}: {name} takes no weights. Leave them out.")
    options = EstimatorOptions(
        weights=named_weights(Path(weights)) if weights else None, refine_iterations=int(steps or 0), hand_model=hand_model
    )
    return PaperRefined(options) if solver else create_estimator(name, options)


def labelled_crops(pack: Pack, size: int = CROP_SIZE) -> Batch:
    """Return the labelled crops of this size that answers are compared with, pictures uint8."""
    parts = []
    for start in range(0, len(pack), _AT_ONCE):
        part = centre_cut(pack.batch(np.arange(start, min(start + _AT_ONCE, len(pack)))), size)
        parts.append(replace(part, rgb_B3SS=_bytes(part.rgb_B3SS)))
    return concatenate(parts)


def truth_of(batch: Batch) -> Truth:
    """Return a batch's labels as arrays; joints in metres are NaN where unknown."""
    joints = batch.joints_m_BJ3.double().numpy().copy()
    joints[~batch.has_joints_m_B.numpy()] = np.nan
    return Truth(joints_m=joints, joints_px=batch.joints_px_BJ2.double().numpy(), valid=batch.valid_BJ.numpy())


def answer(method: Estimator, pack: Pack, *, turned: bool = False, once: bool = False) -> Answers:
    """Run one estimator over a pack, each crop a still picture of its own, cut as in the app; pixels are at ``CROP_SIZE``.

    ``turned`` is for packs whose crops are not turned upright by their true joints: as in the app, the method looks again, at a
    crop around the joints that it found first, turned upright by these. With ``once`` it sees each crop a single time.
    """
    look = _twice if turned else looked_at_once if once else looked_at
    spec = method.crop_spec
    results: list[CropResult] = []
    seconds = 0.0
    for start in range(0, len(pack), _AT_ONCE):
        stored = pack.batch(np.arange(start, min(start + _AT_ONCE, len(pack))))
        pictures = as_crops(stored if turned else centre_cut(stored, spec.size, expand=spec.expand))
        began = time.perf_counter()
        found = look(method, pictures)
        seconds += time.perf_counter() - began
        results += found
    return _collected(results, CROP_SIZE / spec.size, 1000 * seconds / len(pack))


def _collected(results: Sequence[CropResult], grow: float, ms: float) -> Answers:
    joints_m = np.stack([r.joints.joints_camera_m for r in results])
    meshes = [r.mesh for r in results]
    there = next((mesh for mesh in meshes if mesh is not None), None)
    return Answers(
        joints_m=joints_m,
        joints_px=(np.stack([r.joints.joints_px for r in results]) + 0.5) * grow - 0.5,
        depth=relative_depths(joints_m, results),
        ms=ms,
        vertices_m=None if there is None else _vertices(meshes, there.vertices_camera_m.shape),
        hand_model=DEFAULT_HAND if there is None else there.params.hand_model,
    )


def _vertices(meshes: Sequence[HandMesh | None], shape: tuple[int, ...]) -> FloatArray:
    return np.stack([np.full(shape, np.nan) if mesh is None else mesh.vertices_camera_m for mesh in meshes])


def relative_depths(joints_m: FloatArray, results: Sequence[CropResult]) -> FloatArray:
    """Return the relative depths (N, 21) of joints in metres, with the scale that each result was made with."""
    bones = scale_of(joints_m)
    scale = np.array([bone if r.scale_m is None else r.scale_m for bone, r in zip(bones, results, strict=True)])
    return relative_depth(joints_m, scale)


def _twice(method: Estimator, stored: Sequence[HandCrop]) -> list[CropResult]:
    """Return answers for stored pictures after a second look; pixels are those of the crop in their middle."""
    spec, size = method.crop_spec, stored[0].size
    middle, zoom = (size - 1) / 2, spec.size / size * STORED_EXPAND / spec.expand
    window = CropWindow(u=middle, v=middle, side=spec.size / zoom)
    found = looked_at_twice(method, [(one.rgb, one.camera) for one in stored], [window] * len(stored))
    in_crop = [(one.joints.joints_px - middle) * zoom + (spec.size - 1) / 2 for one in found]
    return [replace(one, joints=replace(one.joints, joints_px=px)) for one, px in zip(found, in_crop, strict=True)]


def as_crops(batch: Batch) -> list[HandCrop]:
    """Return a batch's pictures as crops for the estimators: each crop is its own full picture."""
    rgb = _bytes(batch.rgb_B3SS).permute(0, 2, 3, 1).contiguous().numpy()
    size = rgb.shape[1]
    cameras = [Camera(width=size, height=size, K=K, source="calibrated") for K in batch.K_B33.double().numpy()]
    return [
        HandCrop(side="right", rgb=picture, K_crop=c.K, Q_crop_from_camera=np.eye(3), H_crop_from_image=np.eye(3), camera=c)
        for picture, c in zip(rgb, cameras, strict=True)
    ]


def _bytes(rgb_B3SS: torch.Tensor) -> torch.Tensor:
    return (rgb_B3SS.clamp(0, 1) * 255).round().to(torch.uint8) if rgb_B3SS.is_floating_point() else rgb_B3SS
