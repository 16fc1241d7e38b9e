"""All numbers of a batch of scenes, drawn on the CPU without a loop over samples, by the recipe and from one seed.

The distributions are those of ``renderer`` and ``clutter``. Poses come from a pool that is drawn and checked once; each batch
shows them with other views, sizes, skins, clutter, light and backgrounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.hand.model import HandModel
from handviz.records import BoolArray, IntArray
from handviz.render.scenes import Lights, Looks, TensorRecord
from handviz.render.shade_batch import to_linear
from training.data.dice import Dice, Range
from training.data.synth.batched.arms import arm_meshes, hides_hand, hold_camera
from training.data.synth.batched.faults import Faults, draw_faults
from training.data.synth.batched.places import Backgrounds, PlaceDice
from training.data.synth.poses import PoseSource, hand_shapes
from training.data.synth.recipe import Recipe
from training.data.synth.renderer import RenderedHand
from training.data.synth.views import Placement, place_hand

# The surfaces of every scene, in this order. The first is the labelled hand.
SURFACES = ("hand", "arm", "sleeve", "held", "before", "second", "second arm", "head")
HAND, ARM, SLEEVE, HELD, BEFORE, SECOND, SECOND_ARM, HEAD = range(len(SURFACES))
_POOL_CHUNK = 512
_MAX_REDRAWS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PosePool(TensorRecord):
    """N valid poses of each hand, hand after hand: poses, shapes, the joints and the resting wrist at scale one."""

    pose_N45: Tensor
    shape_N10: Tensor
    joints_NJ3: Tensor
    wrist_N3: Tensor


def pose_pool(hands: Sequence[HandModel], poses: PoseSource, recipe: Recipe, dice: Dice, count: int) -> PosePool:
    """Draw ``count`` poses for each hand that do not intersect themselves, on the dice's device; the pool is on the CPU."""
    parts = [_some_poses(hand.to(device=dice.device), poses, recipe, dice, n) for hand in hands for n in _chunks(count)]
    names = PosePool.__dataclass_fields__
    return PosePool(**{name: torch.cat([getattr(part, name) for part in parts]).cpu() for name in names})


def _chunks(count: int) -> list[int]:
    return [min(_POOL_CHUNK, count - start) for start in range(0, count, _POOL_CHUNK)]


def _some_poses(hand: HandModel, poses: PoseSource, recipe: Recipe, dice: Dice, count: int) -> PosePool:
    shape = hand_shapes(dice, recipe.pose, count)
    pose = poses.draw(dice, hand, shape)
    shaped = hand.shaped(shape)
    joints = shaped.posed(pose, torch.zeros_like(pose[:, :3])).joints_BJ3
    return PosePool(pose_N45=pose, shape_N10=shape, joints_NJ3=joints, wrist_N3=shaped.rest_joints_BJ3[:, 0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkinTable:
    """S skins of all hands; in the texture bank they start at index ``first``; ``of_hand`` is [start, end) of each hand.

    ``arm_S3`` is the forearm's sRGB, ``darkness_S``, ``glove_S``; ``face_S`` the index of a head of this colour; ``faces``,
    ``cloths`` and ``things`` are [start, end) in the bank; ``plain`` is the index of white.
    """

    first: int
    of_hand: tuple[tuple[int, int], ...]
    arm_S3: FloatArray
    darkness_S: FloatArray
    glove_S: BoolArray
    face_S: IntArray
    faces: tuple[int, int]
    cloths: tuple[int, int]
    things: tuple[int, int]
    plain: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes(TensorRecord):
    """Sizes and rotations of everything in B scenes but the hand; see ``geometry`` for their meaning."""

    bend_B3: Tensor
    sleeve_start_B: Tensor
    sleeve_width_B: Tensor
    held_half_B3: Tensor
    held_R_B33: Tensor
    held_square_B: Tensor
    before_joint_B: Tensor
    before_share_B: Tensor
    before_half_B3: Tensor
    before_R_B33: Tensor
    before_square_B: Tensor
    second_alike_B: Tensor
    second_R_B33: Tensor
    second_turn_B33: Tensor
    second_away_B3: Tensor
    second_bend_B3: Tensor
    head_share_B: Tensor
    head_aside_B3: Tensor
    head_half_B3: Tensor
    head_R_B33: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneDraws(TensorRecord):
    """Everything about B scenes, on the CPU. ``hand_B`` numbers the hand model; ``own_B`` and ``other_B`` the poses in the pool.

    The hand is in the crop camera's frame at ``R_B33`` x + ``t_B3``; ``R_crop_from_world_B33`` tells the direction of gravity;
    ``present_BM`` tells which surfaces are present.
    """

    hand_B: Tensor
    own_B: Tensor
    other_B: Tensor
    scale_B: Tensor
    joints_BJ3: Tensor
    R_B33: Tensor
    t_B3: Tensor
    K_B33: Tensor
    R_crop_from_world_B33: Tensor
    shapes: Shapes
    present_BM: Tensor
    looks: Looks
    lights: Lights
    backgrounds: Backgrounds
    faults: Faults


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneDice:
    """Draws the scenes of batches; ``weight_H`` of the hands sums to one."""

    weight_H: FloatArray
    pool: PosePool
    skins: SkinTable
    places: PlaceDice
    recipe: Recipe
    size: int
    expand: float

    def draw(self, seed: int, step: int, count: int) -> SceneDraws:
        """Return ``count`` scenes that depend only on these numbers."""
        rng, dice = np.random.default_rng([seed, step]), Dice.seeded(seed * 1_000_003 + step)
        hand = rng.choice(len(self.weight_H), count, p=self.weight_H)
        each = len(self.pool.pose_N45) // len(self.weight_H)
        own, other = (torch.from_numpy(hand * each + rng.integers(each, size=count)) for _ in range(2))
        scale = torch.from_numpy(rng.uniform(*self.recipe.pose.scale, count)).float()
        joints = self.pool.joints_NJ3[own] * scale[:, None, None]
        skin, shapes = self._skins(rng, hand), draw_shapes(rng, self.recipe, count)
        present, looks = self._looks(rng, skin)
        place = self._place(dice, joints, shapes, present)
        R_world, K = (x.double().numpy() for x in (place.R_crop_from_world, place.K_B33))
        gain = 1 + self.recipe.light.dark_skin_gain * self.skins.darkness_S[skin]
        lights, backgrounds = self.places.draw(rng, R_world, K, gain)
        return SceneDraws(
            hand_B=torch.from_numpy(hand), own_B=own, other_B=other, scale_B=scale, joints_BJ3=joints,
            R_B33=place.R_crop_from_model, t_B3=place.t_B3, K_B33=place.K_B33,
            R_crop_from_world_B33=place.R_crop_from_world,
            shapes=shapes, present_BM=present, looks=looks, lights=lights, backgrounds=backgrounds,
            faults=draw_faults(rng, self.recipe.camera, count, self.size),
        )  # fmt: skip

    def _place(self, dice: Dice, joints: Tensor, shapes: Shapes, present_BM: Tensor) -> Placement:
        """Return where hands are seen from; a view in which the arm hides its hand, or contains the camera, is drawn again."""
        view, known = self.recipe.view, joints.double().numpy()
        arms = arm_meshes(known, shapes.bend_B3, shapes.sleeve_start_B, shapes.sleeve_width_B)
        there = present_BM[:, [ARM, SLEEVE]].numpy()
        place = place_hand(joints, dice, view, size=self.size, expand=self.expand)
        rows = np.arange(len(known))
        for _ in range(_MAX_REDRAWS):
            R, t = place.R_crop_from_model.double().numpy()[rows], place.t_B3.double().numpy()[rows]
            some = tuple(replace(mesh, vertices=mesh.vertices[rows]) for mesh in arms)
            hides = hides_hand(known[rows], some, there[rows], R, t, view.min_visible)
            rows = rows[hides | hold_camera(some, there[rows], R, t)]
            if len(rows) == 0:
                break
            place = _with_rows(place, rows, place_hand(joints[rows], dice, view, size=self.size, expand=self.expand))
        return place

    def _skins(self, rng: np.random.Generator, hand: IntArray) -> IntArray:
        start, end = np.array(self.skins.of_hand)[hand].T
        return np.asarray(rng.integers(start, end))

    def _looks(self, rng: np.random.Generator, skin: IntArray) -> tuple[Tensor, Looks]:
        """Return which surfaces are present (B, M), and how they look."""
        clutter, table, count = self.recipe.clutter, self.skins, len(skin)
        arm = rng.random(count) >= clutter.no_arm_chance
        chances = [
            clutter.sleeve_chance,
            clutter.held_chance,
            clutter.before_chance,
            clutter.second_hand_chance,
            clutter.head_chance,
        ]
        sleeve, held, before, second, head = rng.random((5, count)) < np.array(chances)[:, None]
        flipped = np.zeros((count, len(SURFACES)), bool)
        flipped[:, [SECOND, SECOND_ARM]] = rng.random((count, 1)) < clutter.second_left_chance
        any_face = (rng.random(count) >= clutter.head_own_skin_chance) | table.glove_S[skin]
        face = np.where(any_face, rng.integers(*table.faces, count), table.face_S[skin])
        cloth, thing, other = (
            rng.integers(*table.cloths, count),
            rng.integers(*table.things, count),
            rng.integers(*table.things, count),
        )
        own, plain = table.first + skin, np.full(count, table.plain)
        texture = np.stack([own, plain, cloth, thing, other, own, plain, face], 1)
        tint = np.ones((count, len(SURFACES), 3))
        for surface in (ARM, SECOND_ARM):
            brighter = table.arm_S3[skin] * rng.uniform(*clutter.arm_brightness, (count, 1))
            srgb = np.clip(brighter, 0, 255).astype(int) / 255
            tint[:, surface] = to_linear(torch.from_numpy(srgb)).numpy()
        specular, gloss, wrap = self._shine(rng, table.glove_S[skin])
        present = np.stack([np.ones(count, bool), arm, arm & sleeve, held, before, second, second, head], 1)
        return torch.from_numpy(present), Looks(
            flipped_BM=torch.from_numpy(flipped), texture_BM=torch.from_numpy(texture), tint_BM3=torch.from_numpy(tint).float(),
            specular_BM=specular, gloss_BM=gloss, wrap_BM3=wrap,
        )  # fmt: skip

    def _shine(self, rng: np.random.Generator, glove: BoolArray) -> tuple[Tensor, Tensor, Tensor]:
        """Return specular, gloss (B, M) and wrap (B, M, 3): the skin's for the hands, those of ``clutter`` for the rest."""
        recipe, clutter, count = self.recipe.skin, self.recipe.clutter, len(glove)
        specular, gloss = np.full((count, len(SURFACES)), 0.028), np.full((count, len(SURFACES)), 24.0)
        specular[:, SLEEVE], gloss[:, SLEEVE] = clutter.sleeve_specular, clutter.sleeve_gloss
        specular[:, HELD] = clutter.held_specular
        for surface in (HAND, SECOND):
            specular[:, surface] = rng.uniform(*recipe.shine, count) * recipe.full_shine
            gloss[:, surface] = rng.uniform(*recipe.shininess, count)
        wrap = np.tile((0.3, 0.12, 0.06), (count, len(SURFACES), 1))
        wrap[:, [HAND, SECOND]] = np.where(glove[:, None], recipe.glove_wrap, recipe.wrap)[:, None]
        return tuple(torch.from_numpy(x).float() for x in (specular, gloss, wrap))  # type: ignore[return-value]


def _with_rows(place: Placement, rows: IntArray, other: Placement) -> Placement:
    index = torch.from_numpy(rows)
    names = [f.name for f in fields(Placement)]
    return Placement(**{name: getattr(place, name).index_copy(0, index, getattr(other, name)) for name in names})


def draw_shapes(rng: np.random.Generator, recipe: Recipe, count: int) -> Shapes:
    """Draw sizes and rotations for ``count`` scenes."""
    clutter = recipe.clutter

    def even(span: Range, *shape: int) -> FloatArray:
        return np.asarray(rng.uniform(*span, (count, *shape)))

    def turns() -> FloatArray:
        return np.asarray(Rotation.random(count, random_state=rng).as_matrix())

    def small_turns(sigma: float) -> FloatArray:
        return np.asarray(Rotation.from_rotvec(rng.normal(0, sigma, (count, 3))).as_matrix())

    def bends() -> FloatArray:
        return np.radians(rng.normal(0, clutter.wrist_bend_deg, (count, 3))) * np.array(clutter.wrist_bend_axes)

    away = rng.normal(0, 1, (count, 3))
    away[:, :2] *= even(clutter.second_aside, 1) / np.linalg.norm(away[:, :2], axis=1, keepdims=True)
    away[:, 2] = even(clutter.second_behind)
    held_half = np.array(clutter.held_half)
    drawn = {
        "bend_B3": bends(),
        "sleeve_start_B": even(clutter.sleeve_start),
        "sleeve_width_B": even(clutter.sleeve_width),
        "held_half_B3": held_half[rng.integers(len(held_half), size=count)] * even(clutter.held_size, 1),
        "held_R_B33": turns(),
        "held_square_B": rng.choice(clutter.held_squareness, count),
        "before_joint_B": rng.integers(21, size=count),
        "before_share_B": even(clutter.before_way),
        "before_half_B3": even(clutter.before_half, 3) * np.array(clutter.before_stretch),
        "before_R_B33": turns(),
        "before_square_B": rng.choice(clutter.before_squareness, count),
        "second_alike_B": rng.random(count) < clutter.second_alike_chance,
        "second_R_B33": turns(),
        "second_turn_B33": small_turns(clutter.second_turn_sigma_rad),
        "second_away_B3": away,
        "second_bend_B3": bends(),
        "head_share_B": even(clutter.head_distance),
        "head_aside_B3": rng.normal(0, clutter.head_aside_sigma, (count, 3)) * [1, 1, 0],
        "head_half_B3": np.array(clutter.head_half) * even(clutter.head_size, 1),
        "head_R_B33": small_turns(clutter.head_nod_sigma_rad),
    }
    return Shapes(**{name: _tensor(value) for name, value in drawn.items()})


def _tensor(value: npt.NDArray[Any]) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(value))
    return tensor.float() if tensor.is_floating_point() else tensor


def hand_weights(hands: Sequence[RenderedHand]) -> FloatArray:
    """Return how often each hand is drawn; sums to one."""
    weight = np.array([hand.weight for hand in hands])
    return np.asarray(weight / weight.sum())
