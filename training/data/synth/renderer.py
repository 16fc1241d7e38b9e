"""The renderer of labelled hands: draw poses and views in batches, put a scene around each, render, degrade, label."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from handviz.geometry.camera import FloatArray, project
from handviz.hand.model import HandModel
from handviz.hand.skeleton import NUM_JOINTS
from handviz.records import HandParams, UInt8Array
from handviz.render.light import Light
from handviz.render.shade import shade
from handviz.render.surface import Surface
from training.data.dice import Dice
from training.data.pack import STORED_EXPAND, STORED_SIZE
from training.data.sample import Sample
from training.data.synth.camera_faults import through_camera
from training.data.synth.clutter import Posed, arm_of, clutter_around, hand_surface
from training.data.synth.poses import PoseSource, hand_shapes
from training.data.synth.props import holds_camera
from training.data.synth.recipe import Recipe
from training.data.synth.skin import Skin
from training.data.synth.surroundings import Surroundings
from training.data.synth.views import VIEW_NAMES, Placement, place_hand


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenderedHand:
    """A hand to render: its model, its skins, and whether its parameters are labels worth learning."""

    model: HandModel
    skins: Sequence[Skin]
    weight: float = 1.0
    has_params: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandRenderer:
    """Renders labelled crops, ``size`` pixels wide, their window ``expand`` times the joints' extent.

    The same seed gives the same samples, whatever was rendered before.
    """

    hands: Sequence[RenderedHand]
    surroundings: Surroundings
    poses: PoseSource
    recipe: Recipe = field(default_factory=Recipe)
    size: int = STORED_SIZE
    expand: float = STORED_EXPAND
    occlusion_views: int = 8
    subsamples: int = 2

    def render(self, count: int, seed: int) -> list[Sample]:
        """Return ``count`` samples drawn from this seed."""
        rng = np.random.default_rng(seed)
        dice = Dice.seeded(seed)
        weights = np.array([hand.weight for hand in self.hands])
        hand = self.hands[rng.choice(len(self.hands), p=weights / weights.sum())]
        samples: list[Sample] = []
        # Also counts redrawn samples, so that no name occurs twice.
        number = itertools.count()
        while len(samples) < count:
            wanted = count - len(samples)
            batch = self._pose(dice, hand, wanted)
            drawn = [self._one(rng, hand, batch, i, f"{seed}-{next(number)}") for i in range(wanted)]
            samples += [s for s in drawn if s is not None and visible_share(s) >= self.recipe.view.min_visible]
        return samples

    def _pose(self, dice: Dice, hand: RenderedHand, count: int) -> _PosedBatch:
        recipe = self.recipe.pose
        shape = hand_shapes(dice, recipe, count)
        pose = self.poses.draw(dice, hand.model, shape)
        other = self.poses.draw(dice, hand.model, shape)
        scale, still = dice.uniform(recipe.scale, count), torch.zeros(count, 3)
        surface = hand.model.forward(pose, shape, still, scale, still)
        second = hand.model.forward(other, shape, still, scale, still)
        placement = place_hand(surface.joints_BJ3, dice, self.recipe.view, size=self.size, expand=self.expand)
        return _PosedBatch(
            pose=pose,
            shape=shape,
            scale=scale,
            rest_wrist=scale[:, None] * hand.model.shaped(shape).rest_joints_BJ3[:, 0],
            vertices=surface.vertices_BV3,
            joints=surface.joints_BJ3,
            second_vertices=second.vertices_BV3,
            placement=placement,
        )

    def _one(self, rng: np.random.Generator, hand: RenderedHand, batch: _PosedBatch, i: int, name: str) -> Sample | None:
        """Return sample ``i`` of a batch, or None when the camera is inside its arm."""
        posed, K = batch.posed(i, hand.model), batch.placement.K_B33[i].double().numpy()
        skin = hand.skins[rng.integers(len(hand.skins))]
        own = hand_surface(rng, posed, skin, self.recipe.skin)
        arm = arm_of(rng, posed, skin, self.recipe)
        if any(holds_camera(surface.vertices_V3) for surface in arm):
            return None
        others = clutter_around(rng, posed, skin, self.recipe)
        gain = 1 + self.recipe.light.dark_skin_gain * skin.darkness
        light, background = self.surroundings.draw(rng, posed.R_crop_from_world, K, self.size, gain=gain)
        rgb, mask = self._picture([own, *arm, *others], 1 + len(arm), K, light, background)
        joints_m = posed.to_camera(posed.joints)
        return Sample(
            rgb=through_camera(rng, rgb, self.recipe.camera),
            K=K,
            joints_px=project(joints_m, K),
            joint_valid=np.ones(NUM_JOINTS, bool),
            sigma_px=np.zeros(NUM_JOINTS),
            side="right",
            source=f"rendered/{hand.model.name}",
            name=name,
            view=VIEW_NAMES[int(batch.placement.view_B[i])],
            joints_m=joints_m,
            mask=mask,
            params=batch.params(i, hand.model.name) if hand.has_params else None,
        )

    def _picture(
        self, surfaces: list[Surface], mapped: int, K: FloatArray, light: Light, background: UInt8Array
    ) -> tuple[UInt8Array, UInt8Array]:
        picture = shade(
            surfaces, K, self.size, self.size, light,
            background=background, samples=self.subsamples, occlusion_views=self.occlusion_views,
            mapped=mapped,
        )  # fmt: skip
        return picture.rgb, (picture.coverage_SHW[0] * 255 + 0.5).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _PosedBatch:
    pose: Tensor
    shape: Tensor
    scale: Tensor
    rest_wrist: Tensor
    vertices: Tensor
    joints: Tensor
    second_vertices: Tensor
    placement: Placement

    def posed(self, i: int, model: HandModel) -> Posed:
        """Return hand ``i`` and the transform to its crop's camera."""
        place = self.placement
        return Posed(
            model=model,
            vertices=self.vertices[i].double().numpy(),
            joints=self.joints[i].double().numpy(),
            second_vertices=self.second_vertices[i].double().numpy(),
            R_crop_from_model=place.R_crop_from_model[i].double().numpy(),
            t=place.t_B3[i].double().numpy(),
            R_crop_from_world=place.R_crop_from_world[i].double().numpy(),
        )

    def params(self, i: int, name: str) -> HandParams:
        """Return the parameters of sample ``i`` in the crop camera's frame.

        The model turns about its wrist, x = scale (R (v - w) + w) + trans, so trans = R scale w + t - scale w.
        """
        R, t, wrist = self.placement.R_crop_from_model[i].double(), self.placement.t_B3[i].double(), self.rest_wrist[i].double()
        return HandParams(
            pose=self.pose[i].numpy(),
            shape=self.shape[i].numpy(),
            root_rotation=Rotation.from_matrix(R.numpy()).as_rotvec(),
            translation_m=(R @ wrist + t - wrist).numpy(),
            scale=float(self.scale[i]),
            hand_model=name,
        )


def visible_share(sample: Sample) -> float:
    """Return the share of joints that lie on visible pixels of the sample's own hand."""
    if sample.mask is None:
        return 0.0
    last = sample.mask.shape[0] - 1
    u, v = np.round(sample.joints_px).astype(int).clip(0, last).T
    return float((sample.mask[v, u] > 127).mean())
