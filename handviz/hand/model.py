"""The parametric hand in four plain stages: model -> shaped -> posed -> mesh.

Axes and conventions (defined here only; they are those of MANO, Romero et al. 2017, so that parameters mean the
same for every hand):

- Right hand, metres. At zero pose the hand is flat: fingers point along -x, the thumb's side is +z, the back of the
  hand is +y and the palm faces -y. The wrist lies near (0.096, 0.006, 0.006), the middle MCP near the origin.
- ``pose`` (45,) holds one axis-angle vector in radians for each of 15 joints, in MANO's order (index, middle, little,
  ring, thumb; base to tip). Zero is the flat hand (``flat_hand_mean=True``): callers with a mean pose add it themselves.
- Every joint's frame is parallel to the model's at zero pose and turns with its parent. Bending a finger is a positive
  turn about +z (-x goes towards -y); a positive turn about +y swings a finger towards the thumb's side.
- ``root_rotation`` (3,) turns the hand about its wrist joint; then ``x = scale * v + translation``.
- Joints are the 21 of ``handviz.hand.skeleton``: 16 from the kinematic chain, and five fingertip vertices of the mesh.
- Triangles are wound counter-clockwise seen from outside.

Legend of shape suffixes: B batch, V vertices, F triangles, J joints, S shape values, P pose-corrective values.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.hand.hand_file import NUM_MODEL_JOINTS, HandArrays, decode_texture, read_hand_file
from handviz.hand.library import DEFAULT_HAND, hand_path
from handviz.hand.mesh_check import first_at_place
from handviz.hand.skeleton import MANO_AND_TIP_NAMES, MANO_PARENTS, order_from

# The model's joints followed by its fingertips -> the project's order.
_PROJECT_ORDER: list[int] = order_from(MANO_AND_TIP_NAMES).tolist()
_CONSTANTS = (
    "_shape_map_SN",
    "_rest_N",
    "_pose_map_PN",
    "_weights_JV",
    "_bone_map_JJ",
    "_bottom_14",
    "_identity",
    "_tips_and_order",
)
_NUM_CHAINS = 5  # five chains of three joints each, all children of the wrist


@dataclass(frozen=True, kw_only=True, eq=False)
class HandSurface:
    """A placed hand: vertices (B, V, 3) and the 21 joints (B, 21, 3), metres, in the frame of the translation."""

    vertices_BV3: Tensor
    joints_BJ3: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class HandModel:
    """A hand model that takes any pose and shape. Plain tensors, no state.

    ``template_V3`` metres, flat zero pose; ``faces_F3`` int64; ``shape_dirs_V3S`` metres per unit of shape (10);
    ``pose_dirs_V3P`` metres per unit of (R - I) of the 15 joints, row-major (135); ``joint_regressor_JV`` (16, V);
    ``skin_weights_VJ`` (V, 16); ``tip_vertices`` thumb to little; ``uv_V2`` in [0, 1], v downwards; ``part_V`` an index
    into ``handviz.hand.parts.PART_NAMES`` for each vertex; ``texture`` (H, W, 3) uint8 RGB or None.
    """

    name: str
    template_V3: Tensor
    faces_F3: Tensor
    shape_dirs_V3S: Tensor
    pose_dirs_V3P: Tensor
    joint_regressor_JV: Tensor
    skin_weights_VJ: Tensor
    tip_vertices: tuple[int, ...]
    uv_V2: Tensor
    part_V: Tensor
    texture: npt.NDArray[np.uint8] | None = None
    shape_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Computed now, outside inference mode: a constant first computed inside it could never take part in a gradient.
        with torch.inference_mode(False):
            for name in ("skeleton_regressor_JV", *_CONSTANTS):
                getattr(self, name)

    @staticmethod
    @torch.inference_mode(False)
    def from_arrays(name: str, arrays: HandArrays) -> HandModel:
        """Return a float32 CPU model of checked arrays."""

        def real(array: FloatArray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32))

        return HandModel(
            name=name,
            template_V3=real(arrays.template_V3),
            faces_F3=torch.from_numpy(arrays.faces_F3.astype(np.int64)),
            shape_dirs_V3S=real(arrays.shape_dirs_V3S),
            pose_dirs_V3P=real(arrays.pose_dirs_V3P),
            joint_regressor_JV=real(arrays.joint_regressor_JV),
            skin_weights_VJ=real(arrays.skin_weights_VJ),
            tip_vertices=tuple(int(v) for v in arrays.tip_vertices),
            uv_V2=real(arrays.uv_V2),
            part_V=torch.from_numpy(arrays.part_V.astype(np.int64)),
            texture=decode_texture(arrays.texture_code),
            shape_names=arrays.shape_names,
        )

    @torch.inference_mode(False)
    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> HandModel:
        """Return the model on another device or in another precision (float32 or float64)."""
        changed: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved = value.to(device=device, dtype=dtype if value.is_floating_point() else None)
                if moved is not value:
                    changed[field.name] = moved
        return replace(self, **changed) if changed else self

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the model."""
        return self.template_V3.dtype

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.template_V3.device

    @cached_property
    def skeleton_regressor_JV(self) -> Tensor:
        """The skeleton regressor (21, V): joints = regressor @ posed vertices, the same map for x, y and z.

        Rows of ``joint_regressor_JV`` and one-hot fingertips, in the project's order. On a bent hand it differs from the
        joints of the kinematic chain by a few millimetres, as MANO's does.
        """
        tips = torch.zeros(len(self.tip_vertices), len(self.template_V3), device=self.device, dtype=self.dtype)
        tips[torch.arange(len(self.tip_vertices)), torch.tensor(self.tip_vertices)] = 1.0
        return torch.cat([self.joint_regressor_JV, tips])[_PROJECT_ORDER]

    @cached_property
    def first_V(self) -> npt.NDArray[np.integer[Any]]:
        """For each vertex the first one (V,) at the same position: along texture seams several vertices coincide."""
        return first_at_place(self.template_V3.cpu().double().numpy())

    # Internally, coordinates come before vertices (3, V): products then run over long rows.
    @cached_property
    def _shape_map_SN(self) -> Tensor:
        """(10, 3V + 48): shape values to offsets of vertices and of rest joints, in one product."""
        joints = torch.einsum("jv,vks->jks", self.joint_regressor_JV, self.shape_dirs_V3S)
        return torch.cat([self.shape_dirs_V3S.transpose(0, 1).flatten(0, 1), joints.flatten(0, 1)]).T.contiguous()

    @cached_property
    def _rest_N(self) -> Tensor:
        return torch.cat([self.template_V3.T.flatten(), (self.joint_regressor_JV @ self.template_V3).flatten()])

    @cached_property
    def _pose_map_PN(self) -> Tensor:
        return self.pose_dirs_V3P.transpose(0, 1).flatten(0, 1).T.contiguous()

    @cached_property
    def _weights_JV(self) -> Tensor:
        return self.skin_weights_VJ.T.contiguous()

    @cached_property
    def _bone_map_JJ(self) -> Tensor:
        """(16, 16): rest joints to their places relative to their parents."""
        joints = torch.eye(NUM_MODEL_JOINTS, device=self.device, dtype=self.dtype)
        bones = joints.clone()
        bones[1:] -= joints[list(MANO_PARENTS[1:])]
        return bones

    @cached_property
    def _bottom_14(self) -> Tensor:
        return torch.tensor([[0.0, 0.0, 0.0, 1.0]], device=self.device, dtype=self.dtype)

    @cached_property
    def _identity(self) -> Tensor:
        return torch.eye(3, device=self.device, dtype=self.dtype)

    @cached_property
    def _tips_and_order(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.tip_vertices, device=self.device), torch.tensor(_PROJECT_ORDER, device=self.device)

    def shaped(self, shape_BS: Tensor) -> ShapedHand:
        """Return the hand with these proportions: shape values (B, 10) in standard deviations."""
        rest_BN = torch.addmm(self._rest_N, shape_BS, self._shape_map_SN)
        split = 3 * len(self.template_V3)
        return ShapedHand(
            model=self,
            vertices_BV3=rest_BN[:, :split].unflatten(1, (3, -1)).transpose(1, 2),
            rest_joints_BJ3=rest_BN[:, split:].unflatten(1, (-1, 3)),
        )

    def forward(
        self, pose_BP: Tensor, shape_BS: Tensor, root_rotation_B3: Tensor, scale_B: Tensor, translation_B3: Tensor
    ) -> HandSurface:
        """Return the placed hand of pose (B, 45), shape (B, 10), root rotation (B, 3), scale (B,), translation (B, 3)."""
        return self.shaped(shape_BS).posed(pose_BP, root_rotation_B3).mesh(scale_B, translation_B3)


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapedHand:
    """A hand of given proportions, still flat: vertices (B, V, 3) and the 16 rest joints (B, 16, 3) in MANO order."""

    model: HandModel
    vertices_BV3: Tensor
    rest_joints_BJ3: Tensor

    def posed(self, pose_BP: Tensor, root_rotation_B3: Tensor) -> PosedHand:
        """Return the hand bent by pose (B, 45) and turned by the root rotation (B, 3), by linear blend skinning."""
        model, B = self.model, len(pose_BP)
        R_local_BJ33 = rotation_matrices(torch.cat([root_rotation_B3, pose_BP], 1).view(B, NUM_MODEL_JOINTS, 3))
        feature_BP = (R_local_BJ33[:, 1:] - model._identity).reshape(B, -1)
        shaped_B3V = self.vertices_BV3.transpose(1, 2)
        x_B3V, y_B3V, z_B3V = (shaped_B3V + (feature_BP @ model._pose_map_PN).view(B, 3, -1)).split(1, dim=1)
        R_BJ33, joints_BJ3 = _chain(R_local_BJ33, model._bone_map_JJ @ self.rest_joints_BJ3, model._bottom_14)
        offset_BJ3 = joints_BJ3 - _turn(R_BJ33, self.rest_joints_BJ3)
        bones_B34J = torch.cat([R_BJ33, offset_BJ3[..., None]], -1).permute(0, 2, 3, 1)
        blend_B34V = (bones_B34J.reshape(B * 12, NUM_MODEL_JOINTS) @ model._weights_JV).view(B, 3, 4, -1)
        a_B3V, b_B3V, c_B3V, d_B3V = blend_B34V.unbind(2)
        posed_B3V = d_B3V.addcmul(a_B3V, x_B3V).addcmul(b_B3V, y_B3V).addcmul(c_B3V, z_B3V)
        vertices_BV3 = posed_B3V.transpose(1, 2).contiguous()
        tips, order = model._tips_and_order
        all_joints_BJ3 = torch.cat([joints_BJ3, vertices_BV3[:, tips]], 1)[:, order]
        return PosedHand(model=model, vertices_BV3=vertices_BV3, joints_BJ3=all_joints_BJ3, rotations_BJ33=R_BJ33)


@dataclass(frozen=True, kw_only=True, eq=False)
class PosedHand:
    """A bent and turned hand, not yet scaled or moved: vertices (B, V, 3), the 21 joints (B, 21, 3), both metres.

    ``rotations_BJ33`` (B, 16, 3, 3) turn each joint's rest frame to its posed frame, root rotation included, MANO order.
    """

    model: HandModel
    vertices_BV3: Tensor
    joints_BJ3: Tensor
    rotations_BJ33: Tensor

    def mesh(self, scale_B: Tensor, translation_B3: Tensor) -> HandSurface:
        """Return the hand scaled about the model's origin and then moved: ``scale * v + translation``."""
        scale_B11, move_B13 = scale_B.view(-1, 1, 1), translation_B3.unsqueeze(1)
        return HandSurface(
            vertices_BV3=scale_B11 * self.vertices_BV3 + move_B13, joints_BJ3=scale_B11 * self.joints_BJ3 + move_B13
        )


def rotation_matrices(axis_angle: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) of axis-angle vectors (..., 3) by Rodrigues' formula; smooth at zero."""
    # The tiny term keeps the root's derivative finite at the zero vector and is lost to rounding elsewhere.
    angle = (axis_angle.square().sum(-1) + 1e-24).sqrt()
    a = torch.sinc(angle / torch.pi)
    half = torch.sinc(angle / (2 * torch.pi))
    b = 0.5 * half * half
    cross = (axis_angle @ _cross_basis(axis_angle.device, axis_angle.dtype)).unflatten(-1, (3, 3))
    identity = torch.eye(3, device=axis_angle.device, dtype=axis_angle.dtype)
    return identity + a[..., None, None] * cross + b[..., None, None] * (cross @ cross)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _cross_basis(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return (3, 9): the map from a vector to its cross-product matrix, row-major."""
    rows = [[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]]
    return torch.tensor(rows, device=device, dtype=dtype)


def _turn(R: Tensor, x: Tensor) -> Tensor:
    """Return R x for rotations (..., 3, 3) and vectors (..., 3)."""
    return (R * x.unsqueeze(-2)).sum(-1)


def _chain(R_local_BJ33: Tensor, bone_BJ3: Tensor, bottom_14: Tensor) -> tuple[Tensor, Tensor]:
    """Return global rotations (B, 16, 3, 3) and joint positions (B, 16, 3) of five chains of three below the wrist.

    ``bone_BJ3`` is each joint's rest place relative to its parent, ``bottom_14`` the row (0, 0, 0, 1).
    """
    upper_BJ34 = torch.cat([R_local_BJ33, bone_BJ3.unsqueeze(-1)], -1)
    local_BJ44 = torch.cat([upper_BJ34, bottom_14.expand(*upper_BJ34.shape[:2], 1, 4)], -2)
    wrist = local_BJ44[:, :1]
    first, second, third = local_BJ44[:, 1:].unflatten(1, (_NUM_CHAINS, 3)).unbind(2)
    T1 = wrist @ first
    T2 = T1 @ second
    T3 = T2 @ third
    T_BJ44 = torch.cat([wrist, torch.stack([T1, T2, T3], 2).flatten(1, 2)], 1)
    return T_BJ44[..., :3, :3], T_BJ44[..., :3, 3]


@lru_cache(maxsize=8)
def load_hand_model(name: str = DEFAULT_HAND) -> HandModel:
    """Return a hand by name, float32 on the CPU, read once per process.

    Raises ModelFileError for an unknown name (listing the known ones) or a damaged file.
    """
    return HandModel.from_arrays(name, read_hand_file(hand_path(name)))
