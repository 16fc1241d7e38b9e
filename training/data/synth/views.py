"""Where a rendered hand is seen from, and the crop camera that the live app would have used there.

The world's frame is a level camera's: +x right, +y down, +z away. The hand is placed in it; then the crop's camera is turned
towards the hand and rolled upright just as in ``handviz.crop``, so gravity, light and background stay the world's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from handviz.hand.model import rotation_matrices
from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from training.data.dice import Dice
from training.data.synth.recipe import ViewRecipe

VIEW_NAMES: tuple[str, ...] = ("webcam_palm", "webcam_back", "egocentric", "edge_on", "any")
# Palm towards the camera, fingers up, the thumb on the right: model +x, +y, +z go to camera +y, +z, +x.
_PALM_FRONT = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Rigid motion from the posed model's frame to the crop camera's, the camera's K, and the world's rotation.

    ``R_crop_from_model`` (B, 3, 3), ``t_B3`` metres; ``R_crop_from_world`` (B, 3, 3); ``view_B`` index into VIEW_NAMES.
    """

    R_crop_from_model: Tensor
    t_B3: Tensor
    K_B33: Tensor
    R_crop_from_world: Tensor
    view_B: Tensor

    def place(self, points_BV3: Tensor) -> Tensor:
        """Bring points of the posed model's frame to the crop camera's."""
        return points_BV3 @ self.R_crop_from_model.transpose(1, 2) + self.t_B3[:, None]


def turn(axis: int, angle_B: Tensor) -> Tensor:
    """Return rotations (B, 3, 3) about a coordinate axis by angles in radians."""
    vector = torch.zeros(len(angle_B), 3, device=angle_B.device)
    vector[:, axis] = angle_B
    return rotation_matrices(vector)


def sample_views(dice: Dice, recipe: ViewRecipe, count: int) -> tuple[Tensor, Tensor]:
    """Return rotations world from model (B, 3, 3) and view indices (B,)."""
    kind = dice.choice([recipe.webcam, recipe.egocentric, recipe.edge_on, recipe.any], count)
    back = dice.chance(recipe.back_chance, count) & (kind == 0)
    yaw = torch.deg2rad(dice.normal(recipe.yaw_sigma_deg, count)) + torch.pi * back
    pitch = torch.deg2rad(dice.normal(recipe.pitch_sigma_deg, count))
    roll = torch.deg2rad(dice.normal(recipe.roll_sigma_deg, count))
    # A wearer sees the back of the hand, its fingers pointing away and a little up.
    ego = kind == 1
    yaw = torch.where(ego, torch.pi + 0.6 * (yaw - torch.pi * back), yaw)
    pitch = torch.where(ego, torch.deg2rad(dice.uniform((-85.0, -25.0), count)), pitch)
    side = torch.where(dice.chance(0.5, count), 1.0, -1.0)
    yaw = torch.where(kind == 2, side * torch.deg2rad(dice.uniform((60.0, 120.0), count)), yaw)
    front = torch.tensor(_PALM_FRONT, device=dice.device)
    R = turn(2, roll) @ turn(0, pitch) @ turn(1, yaw) @ front
    R = torch.where((kind == 3)[:, None, None], dice.rotation(count), R)
    return R, torch.where(kind == 0, back.long(), kind + 1)


def place_hand(
    joints_BJ3: Tensor, dice: Dice, recipe: ViewRecipe, *, size: int, expand: float, views: tuple[Tensor, Tensor] | None = None
) -> Placement:
    """Draw a view and a distance for posed hands and return the upright crop camera around each.

    ``size`` is the crop's side in pixels and ``expand`` its window's side over the joints' extent, as in ``CropSpec``.
    """
    count = len(joints_BJ3)
    R_world_from_model, view_B = views if views is not None else sample_views(dice, recipe, count)
    low, high = (torch.log(torch.tensor(d)) for d in recipe.distance)
    distance_B = torch.exp(dice.uniform((float(low), float(high)), count))
    centre = joints_BJ3.mean(1, keepdim=True)
    # Somewhere in a wide picture. The hand moves without turning: at the edge it is seen from another side than in the middle.
    aside = turn(1, torch.deg2rad(dice.normal(10.0, count))) @ turn(0, torch.deg2rad(dice.normal(8.0, count)))
    place_B3 = distance_B[:, None] * aside[:, :, 2]
    seen = (joints_BJ3 - centre) @ R_world_from_model.transpose(1, 2) + place_B3[:, None]
    R_crop_from_world = torch.eye(3, device=dice.device).expand(count, 3, 3)
    for _ in range(5):
        step = look_at(_box_of(seen)[0]) @ _upright(seen)
        seen = seen @ step.transpose(1, 2)
        R_crop_from_world = step @ R_crop_from_world
    _, extent = _box_of(seen)
    K = torch.zeros(count, 3, 3, device=dice.device)
    K[:, 0, 0] = K[:, 1, 1] = size / (expand * extent)
    K[:, :2, 2] = (size - 1) / 2
    K[:, 2, 2] = 1.0
    R = R_crop_from_world @ R_world_from_model
    t = (R_crop_from_world @ place_B3[..., None])[..., 0] - (R @ centre.transpose(1, 2))[..., 0]
    return Placement(R_crop_from_model=R, t_B3=t, K_B33=K, R_crop_from_world=R_crop_from_world, view_B=view_B)


def _box_of(points_BJ3: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centre (B, 2) and the longer side (B,) of the box around points, on the plane at depth one."""
    flat = points_BJ3[..., :2] / points_BJ3[..., 2:].clamp_min(0.02)
    low, high = flat.amin(1), flat.amax(1)
    return (low + high) / 2, (high - low).amax(-1)


def _upright(points_BJ3: Tensor) -> Tensor:
    flat = points_BJ3[..., :2] / points_BJ3[..., 2:].clamp_min(0.02)
    up = flat[:, MIDDLE_MCP] - flat[:, WRIST]
    return turn(2, -torch.atan2(up[:, 0], -up[:, 1]))


def look_at(centre_B2: Tensor) -> Tensor:
    """Return the smallest rotation (B, 3, 3) that brings the ray through a point of the plane at depth one onto the axis."""
    ray = torch.nn.functional.normalize(torch.cat([centre_B2, torch.ones_like(centre_B2[:, :1])], 1), dim=1)
    forward = torch.zeros_like(ray)
    forward[:, 2] = 1.0
    axis = torch.linalg.cross(ray, forward)
    sine = axis.norm(dim=1, keepdim=True)
    return rotation_matrices(axis / sine.clamp_min(1e-9) * torch.atan2(sine, ray[:, 2:]))
