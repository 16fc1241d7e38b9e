"""FreiHAND's ``pred.json`` of one method: answers to the evaluation's pictures, for which no labels are needed.

The evaluation gives each hand's scale, the length of its middle finger's MCP to PIP bone. Where its file is there, joints are
lifted with it, the root being where that bone is as long (Iqbal 2018), and meshes are brought to it along their rays.
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
from handviz.records import CropResult, UInt8Array
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


def write_submission(path: Path, method: Estimator, folder: Path) -> bool:
    """Write joints and vertices in metres in each picture's camera frame; say whether the method answers with such meshes.

    Without meshes of 778 vertices the vertices are zeros, which the server takes and which score nothing. Raises SourceError
    for missing pictures and OutputError when some answer is not a number or the file can not be written.
    """
    scales = evaluation_scales(folder)
    pictures = evaluation_pictures(folder)
    joints: list[FloatArray] = []
    meshes: list[FloatArray] = []
    while chunk := list(itertools.islice(pictures, _AT_ONCE)):
        given = None if scales is None else scales[len(joints) : len(joints) + len(chunk)]
        if given is not None and len(given) < len(chunk):
            raise SourceError(f"{folder}: evaluation_scale.json is shorter than evaluation_K.json. Download them again.")
        found_J, found_V = _answers(method, chunk, given)
        joints += found_J
        meshes += found_V
    has_mesh = len(meshes) == len(joints)
    vertices = np.stack(meshes) if has_mesh else np.zeros((len(joints), NUM_VERTICES, 3))
    write_predictions(path, np.stack(joints), vertices)
    return has_mesh


def _answers(
    method: Estimator, pictures: Sequence[tuple[UInt8Array, Camera]], scales: FloatArray | None
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return joints and, of those with a mesh of the server's size, vertices."""
    found = looked_at_twice(method, pictures, [centred_window(camera) for _, camera in pictures])
    joints = np.stack([one.joints.joints_camera_m for one in found])
    meshes = [one.mesh.vertices_camera_m for one in found if one.mesh is not None]
    if scales is not None and meshes:
        grow = scales / np.maximum(scale_of(joints), 1e-6)
        joints, meshes = joints * grow[:, None, None], [m * g for m, g in zip(meshes, grow, strict=True)]
    elif scales is not None:
        joints = _lifted(joints, found, np.stack([c.K for _, c in pictures]), scales)
    return list(joints), [mesh for mesh in meshes if len(mesh) == NUM_VERTICES]


def _lifted(joints_m: FloatArray, found: Sequence[CropResult], K_N33: FloatArray, scales: FloatArray) -> FloatArray:
    depth, uv = relative_depths(joints_m, found), np.stack([one.joints.joints_px for one in found])
    return recover_joints(uv, depth, K_N33, scales, root_depth_from_bone(uv, depth, K_N33, scales))
