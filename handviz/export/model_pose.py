"""Rest pose and rotations of exported parameters by the hand model, un-mirrored. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from handviz.export.poses import Surface
from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side, mirror_faces, mirror_points, mirror_rotation, needs_mirror
from handviz.hand.model import HandModel
from handviz.hand.skeleton import JOINT_NAMES, MANO_JOINT_NAMES, PARENTS
from handviz.records import HandParams

_CHUNK = 512


@torch.no_grad()
def rest_hand(model: HandModel, params: Sequence[HandParams], side: Side) -> tuple[Surface, FloatArray]:
    """Return the flat surface of a clip's mean hand and its joints (21, 3), in the model's frame, of the true side.

    A hand does not change while it moves, so shape and scale are averaged.
    """
    shape = torch.as_tensor(np.mean([p.shape for p in params], 0), dtype=model.dtype)[None]
    flat, straight = torch.zeros(1, 45, dtype=model.dtype), torch.zeros(1, 3, dtype=model.dtype)
    scale = torch.tensor([np.mean([p.scale for p in params])], dtype=model.dtype)
    placed = model.forward(flat, shape, straight, scale, straight)
    return _true_side(model, placed.vertices_BV3[0], side), _points(placed.joints_BJ3[0], side)


@torch.no_grad()
def joint_rotations(model: HandModel, params: Sequence[HandParams], side: Side) -> FloatArray:
    """Return the rotations (T, 21, 3, 3) of all joints in the camera's frame; a fingertip turns with the joint before it."""
    parts = []
    for start in range(0, len(params), _CHUNK):
        some = params[start : start + _CHUNK]
        pose, root, shape = (
            torch.as_tensor(np.stack(values), dtype=model.dtype)
            for values in ([p.pose for p in some], [p.root_rotation for p in some], [p.shape for p in some])
        )
        parts.append(model.shaped(shape).posed(pose, root).rotations_BJ33.double().numpy())
    carriers = [name if name in MANO_JOINT_NAMES else JOINT_NAMES[PARENTS[joint]] for joint, name in enumerate(JOINT_NAMES)]
    R_TJ33 = np.concatenate(parts)[:, [MANO_JOINT_NAMES.index(name) for name in carriers]]
    return mirror_rotation(R_TJ33) if needs_mirror(side) else R_TJ33


def _true_side(model: HandModel, vertices_V3: torch.Tensor, side: Side) -> Surface:
    faces = model.faces_F3.numpy()
    return Surface(vertices_camera_m=_points(vertices_V3, side), faces=mirror_faces(faces) if needs_mirror(side) else faces)


def _points(points: torch.Tensor, side: Side) -> FloatArray:
    array = points.double().numpy()
    return mirror_points(array) if needs_mirror(side) else np.asarray(array)
