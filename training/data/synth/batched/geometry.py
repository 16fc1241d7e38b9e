"""From drawn numbers to a batch's meshes: hands on the device, the rest by ``props`` on the CPU, a few megabytes per batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import MIRROR
from handviz.hand.model import HandModel
from handviz.hand.skeleton import WRIST, palm_length
from handviz.render.raster import nearest
from handviz.render.scenes import Layout, Scenes, layout_of
from handviz.render.shade_batch import on_screen
from training.data.synth.batched.arms import arm_meshes
from training.data.synth.batched.draws import BEFORE, HELD, SECOND, SECOND_ARM, SLEEVE, PosePool, SceneDraws
from training.data.synth.props import HEAD_UPRIGHT, Mesh, ellipsoid, forearm, grip
from training.data.synth.recipe import NEAREST_SECOND_M

# Share of the pictures' resolution at which visibility of the hand is tested.
_GLANCE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Geometry:
    """Places the scenes of one hand model; the model and the layout of its scenes live on the device."""

    model: HandModel
    layout: Layout

    def scenes(self, draws: SceneDraws, pool: PosePool, size: int, min_visible: float) -> Scenes:
        """Return the scenes of these draws on the device, all of this model.

        What hides too much of the hand (less than the share ``min_visible`` of its joints is visible) is left out.
        """
        device = self.layout.uv_V2.device
        there = draws.to(device)
        others = pool.take(draws.other_B)
        own, second, near = self._hands(there, pool.take(draws.own_B).to(device), others.to(device), second_arms(draws, others))
        arm, sleeve, held, before, head = (torch.from_numpy(m.vertices).float().to(device) for m in props(draws))
        vertices = torch.cat([own, arm, sleeve, held, before, second, head], 1)
        present = there.present_BM.clone()
        present[:, [SECOND, SECOND_ARM]] &= ~near[:, None]
        scenes = self._scenes(vertices, present, there)
        hides = ~self._visible(scenes, there, size, min_visible)
        present[:, [HELD, BEFORE, SECOND, SECOND_ARM]] &= ~hides[:, None]
        return self._scenes(vertices, present, there)

    def _hands(self, there: SceneDraws, own: PosePool, other: PosePool, arms: Mesh) -> tuple[Tensor, Tensor, Tensor]:
        """Return the hand's vertices, the second hand's with its arm's, and whether these are too near, as in ``clutter``."""
        still, shapes = torch.zeros_like(there.t_B3), there.shapes
        one, two = (
            self.model.forward(part.pose_N45, part.shape_N10, still, there.scale_B, still).vertices_BV3 for part in (own, other)
        )
        placed = one @ there.R_B33.transpose(1, 2) + there.t_B3[:, None]
        mirror = torch.tensor(np.diagonal(MIRROR).copy(), dtype=two.dtype, device=two.device)
        hand, two = two.shape[1], torch.cat([two, torch.from_numpy(arms.vertices).to(two)], 1)
        two = torch.where(there.looks.flipped_BM[:, SECOND, None, None], two * mirror, two)
        R = torch.where(shapes.second_alike_B[:, None, None], there.R_B33, shapes.second_R_B33)
        turned = (two - two[:, :hand].mean(1, keepdim=True)) @ R.transpose(1, 2) @ shapes.second_turn_B33.transpose(1, 2)
        centre = (there.joints_BJ3 @ there.R_B33.transpose(1, 2)).mean(1) + there.t_B3
        turned = turned + (centre + shapes.second_away_B3)[:, None]
        return placed, turned, turned[..., 2].amin(1) < NEAREST_SECOND_M

    def _scenes(self, vertices: Tensor, present_BM: Tensor, there: SceneDraws) -> Scenes:
        shown = present_BM[:, self.layout.surface_V, None]
        return Scenes(vertices_BV3=torch.where(shown, vertices, vertices[:, :1]), looks=there.looks)

    def _visible(self, scenes: Scenes, there: SceneDraws, size: int, share: float) -> Tensor:
        """Say (B,) whether at least this share of the joints lies on visible parts of the hand, at coarse resolution."""
        side = int(size * _GLANCE)
        screen = on_screen(scenes, self.layout, there.K_B33, _GLANCE)
        face, _ = nearest(screen, side, side)
        own = (face >= 0) & (self.layout.surface_F[face.long().clamp(min=0)] == 0)
        pixels = project_joints(there)
        u, v = ((pixels + 0.5) * _GLANCE - 0.5).round().long().clamp(0, side - 1).unbind(-1)
        return own.flatten(1).gather(1, v * side + u).float().mean(1) >= share


def joints_in_camera(draws: SceneDraws) -> Tensor:
    """Return the joints (B, 21, 3) in the crop camera's frame, metres."""
    return draws.joints_BJ3 @ draws.R_B33.transpose(1, 2) + draws.t_B3[:, None]


def project_joints(draws: SceneDraws) -> Tensor:
    """Return the joints (B, 21, 2) in pixels of the crop."""
    flat = joints_in_camera(draws) @ draws.K_B33.transpose(1, 2)
    return flat[..., :2] / flat[..., 2:]


def props(draws: SceneDraws) -> tuple[Mesh, Mesh, Mesh, Mesh, Mesh]:
    """Return arm, sleeve, the held object, the object before the hand, and the head, in the crop cameras' frames."""
    s = {name: getattr(draws.shapes, name).double().numpy() for name in draws.shapes.__dataclass_fields__}
    joints, R, t, R_world = (x.double().numpy() for x in (draws.joints_BJ3, draws.R_B33, draws.t_B3, draws.R_crop_from_world_B33))
    seen = joints @ R.transpose(0, 2, 1) + t[:, None]
    arm, sleeve = arm_meshes(joints, draws.shapes.bend_B3, draws.shapes.sleeve_start_B, draws.shapes.sleeve_width_B)
    held = ellipsoid(grip(joints), s["held_half_B3"], s["held_R_B33"], squareness=s["held_square_B"])
    target = seen[np.arange(len(seen)), draws.shapes.before_joint_B.numpy()] * s["before_share_B"][:, None]
    before = ellipsoid(target, s["before_half_B3"], s["before_R_B33"], squareness=s["before_square_B"])
    centre = seen.mean(1) * s["head_share_B"][:, None] + s["head_aside_B3"]
    head = ellipsoid(centre, s["head_half_B3"][:, [1, 0, 2]], s["head_R_B33"] @ R_world @ HEAD_UPRIGHT)
    return _placed(arm, R, t), _placed(sleeve, R, t), _placed(held, R, t), before, head


def second_arms(draws: SceneDraws, others: PosePool) -> Mesh:
    """Return the second hands' forearms, in the frames of those hands' models."""
    joints = (others.joints_NJ3 * draws.scale_B[:, None, None]).double().numpy()
    return forearm(joints[:, WRIST], palm_length(joints), draws.shapes.second_bend_B3.double().numpy())


def _placed(mesh: Mesh, R_B33: FloatArray, t_B3: FloatArray) -> Mesh:
    return replace(mesh, vertices=mesh.vertices @ R_B33.transpose(0, 2, 1) + t_B3[:, None])


def scene_layout(model: HandModel) -> Layout:
    """Return the layout of scenes around a hand, in the order of ``draws.SURFACES``, on the CPU."""
    one = np.ones((1, 3))
    tube, ball = forearm(one[0], 0.1, one[0]), ellipsoid(one[0], one[0], np.eye(3))
    hand = (model.faces_F3.cpu().numpy(), model.uv_V2.cpu().numpy() % 1.0, model.first_V)
    arm, thing = ((mesh.faces, mesh.uv, mesh.first_V) for mesh in (tube, ball))
    return layout_of([hand, arm, arm, thing, thing, hand, arm, thing], mapped=SLEEVE + 1)
