"""Forearms and sleeves of many hands, and which of them hide their own hand from the camera."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from handviz.records import BoolArray
from training.data.synth.props import Mesh, forearm, holds_camera, rings_of


def arm_meshes(joints_BJ3: FloatArray, bend_B3: Tensor, start_B: Tensor, width_B: Tensor) -> tuple[Mesh, Mesh]:
    """Return forearms and sleeves in the posed models' frames; ``start_B`` in metres behind the wrist."""
    bend, start, width = (x.double().numpy() for x in (bend_B3, start_B, width_B))
    wrist, palm = joints_BJ3[:, WRIST], np.linalg.norm(joints_BJ3[:, MIDDLE_MCP] - joints_BJ3[:, WRIST], axis=1)
    return forearm(wrist, palm, bend), forearm(wrist, palm, bend, start=start / palm, width=width)


def hidden_share(joints_BJ3: FloatArray, arm: Mesh, R_B33: FloatArray, t_B3: FloatArray) -> FloatArray:
    """Return the share (B,) of joints hidden by an arm, its rings taken as balls; ``R`` x + ``t`` is in the camera's frame."""
    centres, radius = rings_of(arm.vertices)
    balls, joints = (x @ R_B33.transpose(0, 2, 1) + t_B3[:, None] for x in (centres, joints_BJ3))
    far = np.linalg.norm(joints, axis=-1)
    along = (joints / far[..., None]) @ balls.transpose(0, 2, 1)
    beside2 = (balls**2).sum(-1)[:, None] - along**2
    return np.asarray(((beside2 < radius[:, None] ** 2) & (along > 0) & (along < far[..., None])).any(2).mean(1))


def hides_hand(
    joints_BJ3: FloatArray, arms: tuple[Mesh, ...], there_B2: BoolArray, R_B33: FloatArray, t_B3: FloatArray, visible: float
) -> BoolArray:
    """Say (B,) whether arm or sleeve, where present, leave less than the share ``visible`` of the joints to be seen."""
    shares = np.stack([hidden_share(joints_BJ3, arm, R_B33, t_B3) for arm in arms], 1)
    return np.asarray(((shares * there_B2).max(1)) > 1 - visible)


def hold_camera(arms: tuple[Mesh, ...], there_B2: BoolArray, R_B33: FloatArray, t_B3: FloatArray) -> BoolArray:
    """Say (B,) whether the camera is inside arm or sleeve, where present."""
    inside = [holds_camera(arm.vertices @ R_B33.transpose(0, 2, 1) + t_B3[:, None]) for arm in arms]
    return np.asarray((np.stack(inside, 1) & there_B2).any(1))
