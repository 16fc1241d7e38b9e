"""The batched renderer: everything it needs is kept on one device, where batches of labelled hands are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from handviz.render.scenes import TextureBank, texture_bank
from handviz.render.shade_batch import shade_scenes
from handviz.render.surface import Texture, plain_texture, texture_of
from training.data.dice import Dice
from training.data.rotation import log_rotation
from training.data.sample import WHOLE, Batch
from training.data.synth.batched.draws import SceneDice, SceneDraws, SkinTable, hand_weights, pose_pool
from training.data.synth.batched.faults import apply_faults, noise_sheet
from training.data.synth.batched.geometry import Geometry, joints_in_camera, project_joints, scene_layout
from training.data.synth.batched.places import BackgroundBank, PlaceDice, background_bank, paint, stacked
from training.data.synth.patterns import cloth, face, thing
from training.data.synth.poses import PoseSource
from training.data.synth.renderer import HandRenderer, RenderedHand
from training.data.synth.skin import tone

# Poses of each hand, drawn once; a GPU draws many in the time that a CPU draws few.
POOL_GPU, POOL_CPU = 32_768, 2_048
CLOTHS, THINGS, FACES = 96, 96, 32
# Scenes rendered at a time: this limits the memory, about 60 MB each.
TOGETHER_GPU, TOGETHER_CPU = 64, 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchRenderer:
    """Renders batches on ``device``. A row depends only on seed, step, the batch's size and the row's number."""

    dice: SceneDice
    geometries: Sequence[Geometry]
    has_params: tuple[bool, ...]
    textures: TextureBank
    backgrounds: BackgroundBank
    noise: Tensor
    occlusion_views: int
    subsamples: int
    device: torch.device

    @torch.no_grad()
    def render(self, seed: int, step: int, size: int, rows: slice = WHOLE) -> Batch:
        """Return these rows of a batch of ``size`` samples; the others are not rendered."""
        draws = self.dice.draw(seed, step, size).take(rows)
        count, side = len(draws.hand_B), self.dice.size
        rgb = torch.empty(count, 3, side, side, dtype=torch.uint8, device=self.device)
        mask = torch.empty(count, side, side, device=self.device)
        together = TOGETHER_GPU if self.device.type == "cuda" else TOGETHER_CPU
        for hand in range(len(self.geometries)):
            for some in (draws.hand_B == hand).nonzero()[:, 0].split(together):
                if len(some):
                    there = some.to(self.device)
                    rgb[there], mask[there] = self.pictures(draws.take(some), hand)
        return self._labelled(draws, rgb, mask)

    def pictures(self, draws: SceneDraws, hand: int) -> tuple[Tensor, Tensor]:
        """Return pictures (B, 3, S, S) uint8 and masks (B, S, S) in [0, 1] of scenes with this hand."""
        rgb, mask = self.clean_pictures(draws, hand)
        return apply_faults(rgb, draws.faults, self.noise), mask

    def clean_pictures(self, draws: SceneDraws, hand: int) -> tuple[Tensor, Tensor]:
        """Return pictures (B, S, S, 3) uint8 without any camera faults, and masks."""
        geometry, recipe = self.geometries[hand], self.dice.recipe
        scenes = geometry.scenes(draws, self.dice.pool, self.dice.size, recipe.view.min_visible)
        drawn = shade_scenes(
            scenes, geometry.layout, self.textures, draws.lights.to(self.device), draws.K_B33.to(self.device),
            paint(draws.backgrounds, self.backgrounds), samples=self.subsamples, occlusion_views=self.occlusion_views,
        )  # fmt: skip
        return drawn.rgb_BHW3, drawn.coverage_BHW

    def _labelled(self, draws: SceneDraws, rgb: Tensor, mask: Tensor) -> Batch:
        count, pool = len(rgb), self.dice.pool.take(draws.own_B)
        known = torch.tensor(self.has_params)[draws.hand_B]
        joints = joints_in_camera(draws)
        everything, wrist = torch.ones(count, dtype=torch.bool), draws.scale_B[:, None] * pool.wrist_N3
        # The model turns about its wrist: x = R (v - w) + w + trans in scaled metres.
        trans = (draws.R_B33 @ wrist[..., None])[..., 0] + draws.t_B3 - wrist
        labels = {
            "K_B33": draws.K_B33,
            "joints_px_BJ2": project_joints(draws),
            "valid_BJ": torch.ones(joints.shape[:2], dtype=torch.bool),
            "sigma_px_BJ": torch.zeros(joints.shape[:2]),
            "joints_m_BJ3": joints,
            "has_joints_m_B": everything,
            "has_mask_B": everything,
            "pose_B45": _where(known, pool.pose_N45),
            "shape_B10": _where(known, pool.shape_N10),
            "root_B3": _where(known, log_rotation(draws.R_B33)),
            "scale_B": torch.where(known, draws.scale_B, 0.0),
            "trans_B3": _where(known, trans),
            "has_params_B": known,
            "is_hand_B": everything,
        }
        there = {name: label.to(self.device, non_blocking=True) for name, label in labels.items()}
        return Batch(rgb_B3SS=rgb, mask_BSS=mask, **there)


def _where(known_B: Tensor, values: Tensor) -> Tensor:
    return torch.where(known_B[:, None], values, 0.0)


def batch_renderer(renderer: HandRenderer, seed: int, device: torch.device) -> BatchRenderer:
    """Return the batched counterpart of a renderer, its textures, backgrounds and hands brought to the device."""
    rng, recipe, places = np.random.default_rng([seed, 1]), renderer.recipe, renderer.surroundings
    models = [hand.model for hand in renderer.hands]
    on_gpu = device.type == "cuda"
    textures, skins = _textures(rng, renderer.hands)
    panorama_lights = stacked([panorama.light for panorama in places.panoramas])
    dice = SceneDice(
        weight_H=hand_weights(renderer.hands),
        pool=pose_pool(models, _poses_on(renderer, device), recipe, Dice.seeded(seed, device), POOL_GPU if on_gpu else POOL_CPU),
        skins=skins,
        places=PlaceDice(
            panorama_lights=panorama_lights,
            light=recipe.light,
            background=recipe.background,
            size=renderer.size,
            photographs=len(places.photographs),
            photo_side=len(places.photographs[0]) if places.photographs else 1,
        ),
        recipe=recipe,
        size=renderer.size,
        expand=renderer.expand,
    )
    return BatchRenderer(
        dice=dice,
        geometries=[Geometry(model=m.to(device=device), layout=scene_layout(m).to(device)) for m in models],
        has_params=tuple(hand.has_params for hand in renderer.hands),
        textures=texture_bank(textures).to(device),
        backgrounds=background_bank(rng, places.panoramas, recipe.background, renderer.size, places.photographs).to(device),
        noise=noise_sheet(rng).to(device),
        occlusion_views=renderer.occlusion_views,
        subsamples=renderer.subsamples,
        device=device,
    )


def _poses_on(renderer: HandRenderer, device: torch.device) -> PoseSource:
    return replace(renderer.poses, gestures_G45=renderer.poses.gestures_G45.to(device))


def _textures(rng: np.random.Generator, hands: Sequence[RenderedHand]) -> tuple[list[Texture], SkinTable]:
    """Return all textures, white first, then skins, heads of their colours, other heads, cloths, things; and their table."""
    skins = [skin for hand in hands for skin in hand.skins]
    ends = np.cumsum([len(hand.skins) for hand in hands]).tolist()
    colours = [tone(rng.random()) if skin.is_glove else skin.colour for skin in skins]
    heads = [texture_of(face(rng, colour)) for colour in colours + [tone(rng.random()) for _ in range(FACES)]]
    cloths, things = [texture_of(cloth(rng)) for _ in range(CLOTHS)], [texture_of(thing(rng)) for _ in range(THINGS)]
    first_face = 1 + len(skins)
    others = first_face + len(skins)
    table = SkinTable(
        first=1,
        of_hand=tuple(zip([0, *ends[:-1]], ends, strict=True)),
        arm_S3=np.stack([skin.arm_colour for skin in skins]),
        darkness_S=np.array([skin.darkness for skin in skins]),
        glove_S=np.array([skin.is_glove for skin in skins]),
        face_S=np.arange(first_face, others),
        faces=(others, others + FACES),
        cloths=(others + FACES, others + FACES + CLOTHS),
        things=(others + FACES + CLOTHS, others + FACES + CLOTHS + THINGS),
        plain=0,
    )
    return [plain_texture((255, 255, 255)), *[skin.texture for skin in skins], *heads, *cloths, *things], table
