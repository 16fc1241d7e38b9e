"""FreiHAND's ``pred.json`` of one method: answers to the evaluation's pictures, for which no labels are needed.

The evaluation gives each hand's scale, the length of its middle finger's MCP to PIP bone. Where its file exists, joints are
lifted with it, the root at the depth where that bone has this length (Iqbal 2018), and meshes are scaled to it along their rays.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handviz.errors import SourceError
from handviz.estimate.base import Estimator
from handviz.geometry.camera import Camera, FloatArray
from handviz.models.recovery import recover_joints, root_depth_from_bone, scale_of
from handviz.records import CropResult, HandMesh, UInt8Array
from training.answers import relative_depths
from training.data.benchmarks.freihand import (
    NUM_VERTICES,
    centred_window,
    evaluation_pictures,
    evaluation_scales,
    write_predictions,
)
from training.looks import looked_at_twice

_AT_ONCE = 32


def write_submission(path: Path, method: Estimator, folder: Path) -> tuple[int, int]:
    """Write joints and vertices in metres in each picture's camera frame; return how many hands have a mesh, of how many.

    The vertices of a hand without a mesh of 778 are zeros, which the server accepts and which score nothing. Raises SourceError
    for missing pictures and OutputError when an answer is not finite or the file cannot be written.
    """
    scales = evaluation_scales(folder)
    pictures = evaluation_pictures(folder)
    joints: list[FloatArray] = []
    vertices: list[FloatArray] = []
    while chunk := list(itertools.islice(pictures, _AT_ONCE)):
        given = None if scales is None else scales[len(joints) : len(joints) + len(chunk)]
        if given is not None and len(given) < len(chunk):
            raise SourceError(f"{folder}: evaluation_scale.json is shorter than evaluation_K.json. Download them again.")
        found_J, found_V = _answers(method, chunk, given)
        joints += found_J
        vertices += found_V
    write_predictions(path, np.stack(joints), np.stack(vertices))
    return sum(bool(one.any()) for one in vertices), len(joints)


def _answers(
    method: Estimator, pictures: Sequence[tuple[UInt8Array, Camera]], scales: FloatArray | None
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return the joints and vertices of each hand; vertices are zeros where there is no mesh of the server's size."""
    found = looked_at_twice(method, pictures, [centred_window(camera) for _, camera in pictures])
    joints = np.stack([one.joints.joints_camera_m for one in found])
    grow = np.ones(len(found))
    if scales is not None:
        grow = scales / np.maximum(scale_of(joints), 1e-6)
        has_mesh = np.array([one.mesh is not None for one in found])[:, None, None]
        lifted = _lifted(joints, found, np.stack([c.K for _, c in pictures]), scales)
        joints = np.where(has_mesh, joints * grow[:, None, None], lifted)
    return list(joints), [_vertices(one.mesh) * size for one, size in zip(found, grow, strict=True)]


def _vertices(mesh: HandMesh | None) -> FloatArray:
    if mesh is None or len(mesh.vertices_camera_m) != NUM_VERTICES:
        return np.zeros((NUM_VERTICES, 3))
    return mesh.vertices_camera_m


def _lifted(joints_m: FloatArray, found: Sequence[CropResult], K_N33: FloatArray, scales: FloatArray) -> FloatArray:
    depth, uv = relative_depths(joints_m, found), np.stack([one.joints.joints_px for one in found])
    return recover_joints(uv, depth, K_N33, scales, root_depth_from_bone(uv, depth, K_N33, scales))
