"""The 63-vector h of Eq. 4, its order, units and normalisation, defined only here.

    h = [pose 45 | shape 10 | quaternion 4 | scale 1 | translation 3]

- ``pose``: axis-angle of the 15 joints in the hand model's order, radians; zero is the flat hand.
- ``shape``: the ten shape values, in standard deviations.
- ``quaternion``: (w, x, y, z) minus ``REFERENCE_QUATERNION``, not normalised; so zero means the reference rotation, an
  upright hand seen from the thumb's side, from which palm and back of the hand are both a quarter turn away.
- ``scale``: logarithm of the hand's size relative to the model's. It changes nothing in the picture: see the translation.
- ``translation``: where the middle MCP is seen, (u, v) in crop sides from the crop's centre, then the logarithm of its
  depth over the depth at which ``CROP_SPAN_M`` of a hand of scale 1 fills the crop. Depth follows the scale, so that all a
  picture can show is in pose, shape, rotation and translation, and a known hand size only multiplies scale and metres.

Everything is in the crop's camera: principal point at the centre, K in crop pixels. A zero vector is thus a hand of
mean size in the middle of the crop. Shape suffixes: B batch, N the 63 values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from handviz.hand.model import HandModel, HandSurface, rotation_matrices
from handviz.hand.skeleton import ROOT

POSE, SHAPE, QUATERNION, SCALE, TRANSLATION = slice(0, 45), slice(45, 55), slice(55, 59), 59, slice(60, 63)
VECTOR_SIZE = 63
# Fingers up, thumb towards the camera, back of the hand to the right.
REFERENCE_QUATERNION: tuple[float, ...] = (0.0, 0.5**0.5, 0.5**0.5, 0.0)
# Side in metres, in the hand's depth plane, of a usual crop (1.5 times the joints' extent).
CROP_SPAN_M = 0.24
# Largest logarithm of a size or depth ratio: e^2.5 is a factor of 12 either way.
_MAX_LOG = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseParams:
    """What a vector means, as in ``HandParams``: rotations axis-angle, translation in metres of the crop's camera."""

    pose_BP: Tensor
    shape_BS: Tensor
    root_rotation_B3: Tensor
    scale_B: Tensor
    translation_B3: Tensor


def to_unit(pixels: Tensor, size: int) -> Tensor:
    """Return crop pixels as crop sides from the crop's centre: the borders are at -0.5 and 0.5."""
    return (pixels + 0.5) / size - 0.5


def to_pixels(unit: Tensor, size: int) -> Tensor:
    """Return the crop pixels of positions in crop sides from the centre."""
    return (unit + 0.5) * size - 0.5


def project_points(points_BN3: Tensor, K_B33: Tensor) -> Tensor:
    """Project points (B, N, 3) to pixels (B, N, 2), those behind the camera as if they were a centimetre in front of it."""
    z = points_BN3[..., 2:].clamp_min(0.01)
    return (points_BN3[..., :2] / z) * K_B33[:, None, (0, 1), (0, 1)] + K_B33[:, None, :2, 2]


def joints_only(hand: HandModel) -> HandModel:
    """Return a hand of 21 vertices with the same 21 joints as this one, for callers that need no surface.

    Its vertices are the 16 rest joints, each bound to itself, and the five fingertips.
    """
    tips = torch.tensor(hand.tip_vertices, device=hand.device)
    regress = hand.joint_regressor_JV
    still = torch.zeros(len(regress), *hand.pose_dirs_V3P.shape[1:], device=hand.device, dtype=hand.dtype)
    eye = torch.eye(len(regress), device=hand.device, dtype=hand.dtype)
    rest_dirs = torch.einsum("jv,vks->jks", regress, hand.shape_dirs_V3S)
    return replace(
        hand,
        template_V3=torch.cat([regress @ hand.template_V3, hand.template_V3[tips]]),
        shape_dirs_V3S=torch.cat([rest_dirs, hand.shape_dirs_V3S[tips]]),
        pose_dirs_V3P=torch.cat([still, hand.pose_dirs_V3P[tips]]),
        joint_regressor_JV=torch.cat([eye, eye.new_zeros(len(regress), len(tips))], 1),
        skin_weights_VJ=torch.cat([eye, hand.skin_weights_VJ[tips]]),
        tip_vertices=tuple(range(len(regress), len(regress) + len(tips))),
        faces_F3=hand.faces_F3[:0],
        uv_V2=hand.uv_V2[:0],
        part_V=hand.part_V[:0],
    )


def decode(h_BN: Tensor, K_B33: Tensor, size: int, hand: HandModel) -> tuple[DenseParams, HandSurface]:
    """Return the parameters of h (B, 63) and the placed hand, in the crop's camera; differentiable in h.

    ``size`` is the crop's side in pixels, ``K_B33`` its intrinsics.
    """
    pose, shape = h_BN[:, POSE], h_BN[:, SHAPE]
    rotation = root_rotation(h_BN)
    scale = h_BN[:, SCALE].clamp(-_MAX_LOG, _MAX_LOG).exp()
    posed = hand.shaped(shape).posed(pose, rotation)
    root = root_place(h_BN, K_B33, size)
    translation = root - scale[:, None] * posed.joints_BJ3[:, ROOT]
    params = DenseParams(pose_BP=pose, shape_BS=shape, root_rotation_B3=rotation, scale_B=scale, translation_B3=translation)
    return params, posed.mesh(scale, translation)


def root_place(h_BN: Tensor, K_B33: Tensor, size: int) -> Tensor:
    """Return the position of the middle MCP (B, 3), metres in the crop's camera."""
    unit, log_depth = h_BN[:, 60:62], h_BN[:, 62]
    log_scale = h_BN[:, SCALE].clamp(-_MAX_LOG, _MAX_LOG)
    z = CROP_SPAN_M * K_B33[:, 0, 0] / size * (log_scale + log_depth.clamp(-_MAX_LOG, _MAX_LOG)).exp()
    ray = (to_pixels(unit, size) - K_B33[:, :2, 2]) / K_B33[:, (0, 1), (0, 1)]
    return torch.cat([ray, torch.ones_like(z)[:, None]], 1) * z[:, None]


def root_rotation(h_BN: Tensor) -> Tensor:
    """Return the root rotation (B, 3), axis-angle."""
    q = h_BN[:, QUATERNION] + h_BN.new_tensor(REFERENCE_QUATERNION)
    q = F.normalize(q, dim=-1, eps=1e-6)
    # Both signs are the same rotation; with this one its angle is below pi, away from where the quotient is ill-conditioned.
    q = torch.where(q[:, :1] < 0, -q, q)
    # The tiny term keeps the derivative finite at the identity.
    sine = (q[:, 1:].square().sum(-1, keepdim=True) + 1e-12).sqrt()
    return q[:, 1:] * (2 * torch.atan2(sine, q[:, :1]) / sine)


def encode(params: DenseParams, K_B33: Tensor, size: int, hand: HandModel) -> Tensor:
    """Return the h (B, 63) of parameters: the inverse of ``decode``, for hands in front of the camera."""
    posed = hand.shaped(params.shape_BS).posed(params.pose_BP, params.root_rotation_B3)
    root = params.scale_B[:, None] * posed.joints_BJ3[:, ROOT] + params.translation_B3
    z = root[:, 2].clamp_min(0.01)
    unit = to_unit(project_points(root[:, None], K_B33)[:, 0], size)
    log_scale = params.scale_B.log()
    log_depth = (z * size / (CROP_SPAN_M * K_B33[:, 0, 0])).log() - log_scale
    q = _quaternion(params.root_rotation_B3)
    reference = q.new_tensor(REFERENCE_QUATERNION)
    q = torch.where((q @ reference)[:, None] < 0, -q, q) - reference
    return torch.cat([params.pose_BP, params.shape_BS, q, log_scale[:, None], unit, log_depth[:, None]], 1)


def _quaternion(rotation_B3: Tensor) -> Tensor:
    half = 0.5 * rotation_B3.norm(dim=-1, keepdim=True)
    return torch.cat([half.cos(), 0.5 * rotation_B3 * torch.sinc(half / np.pi)], 1)


def root_matrix(h_BN: Tensor) -> Tensor:
    """Return the root rotation as matrices (B, 3, 3)."""
    return rotation_matrices(root_rotation(h_BN))
