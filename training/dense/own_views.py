"""Self-supervised augmentation (Baek et al. 2019, section 3.5): the network's own fits in new views.

A fit whose joints lie near the labels becomes a seed. Its pose is rendered with new shapes, from any view, with a skin from the
picture or the skin model, in new surroundings and light, by the renderer of all rendered hands: new samples with exact labels.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.hand.limits import to_anatomical
from handviz.hand.model import HandModel, load_hand_model
from handviz.models.dense import DenseOutput
from handviz.models.dense_vector import POSE, project_points
from handviz.render.attributes import interpolate, vertex_normals
from handviz.render.raster import rasterize
from training.data.pack import pack_of
from training.data.sample import Batch, Sample
from training.data.synth.poses import PoseSource
from training.data.synth.recipe import PoseRecipe, Recipe, ViewRecipe
from training.data.synth.renderer import HandRenderer, RenderedHand
from training.data.synth.skin import Skin, plain_bases, skin_bank, skin_of, tone
from training.data.synth.surroundings import Panorama, Surroundings, read_panoramas
from training.recipes.records import SelfAugmentation

_TEXTURE_SIDE = 256
# A fit is a seed when its joints are this near to the labels on average, in shares of the crop's side (Eq. 12's 15 of 224).
_NEAR = 15 / 224
_SKINS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seed:
    """A fit to render in new views: its pose (45,) and, where the picture gave one, its skin."""

    pose: FloatArray
    skin: Skin | None


@dataclass(slots=True, eq=False)
class OwnViews:
    """Collects seeds and keeps the newest samples rendered from them. Not part of a checkpoint: a resumed run starts empty."""

    settings: SelfAugmentation
    seed: int
    _samples: deque[Sample] = field(init=False)
    _skins: list[Skin] = field(init=False)
    _panoramas: list[Panorama] = field(init=False)
    _made: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        hand = load_hand_model()
        self._samples = deque(maxlen=self.settings.keep)
        self._skins = skin_bank(rng, hand, plain_bases(hand), Recipe().skin, _SKINS)
        self._panoramas = [] if self.settings.panoramas is None else read_panoramas(Path(self.settings.panoramas))

    def learn(self, output: DenseOutput, batch: Batch, count: int) -> None:
        """Take the best fits of a batch's first ``count`` samples as seeds and render new views of each."""
        for seed in self.seeds_of(output, batch, count):
            self._samples.extend(self.render(seed))

    def seeds_of(self, output: DenseOutput, batch: Batch, count: int) -> list[Seed]:
        """Return the best fits of a batch's first ``count`` samples that are near enough to their labels."""
        size = batch.rgb_B3SS.shape[-1]
        error_B = (project_points(output.joints_BJ3.detach(), batch.K_B33) - batch.joints_px_BJ2).norm(dim=-1).mean(-1) / size
        error_B = torch.where(batch.is_hand_B & batch.valid_BJ.all(1), error_B, torch.inf)
        error_B[count:] = torch.inf
        best = [i for i in error_B.argsort()[: self.settings.seeds].tolist() if error_B[i] < _NEAR]
        rng = np.random.default_rng([self.seed, self._made])
        poses = output.h_BN[:, POSE].detach().cpu().double().numpy()
        return [Seed(pose=poses[i], skin=self._skin_for(rng, output, batch, i)) for i in best]

    def _skin_for(self, rng: np.random.Generator, output: DenseOutput, batch: Batch, i: int) -> Skin | None:
        if rng.random() >= self.settings.picture_texture:
            return None
        vertices = output.surface.vertices_BV3[i].detach().cpu()
        return skin_from_picture(load_hand_model(), vertices, batch.rgb_B3SS[i].cpu(), batch.K_B33[i].cpu())

    def render(self, seed: Seed) -> list[Sample]:
        """Return new samples of one seed: its pose, with other shapes and from any view."""
        self._made += 1
        plain = PoseRecipe(
            gesture_weight=1,
            mixture_weight=0,
            closed_weight=0,
            random_weight=0,
            jitter_deg=0,
            bend_share=(1.0, 1.0),
            shape_within=self.settings.shape_within,
        )
        recipe = Recipe(pose=plain, view=ViewRecipe(webcam=0, egocentric=0, edge_on=0, any=1))
        gestures = torch.from_numpy(to_anatomical(seed.pose)[None]).float()
        renderer = HandRenderer(
            hands=[RenderedHand(model=load_hand_model(), skins=[seed.skin] if seed.skin else self._skins, has_params=True)],
            surroundings=Surroundings(panoramas=self._panoramas, light=recipe.light, background=recipe.background),
            poses=PoseSource(gestures_G45=gestures, recipe=plain),
            recipe=recipe,
        )
        return renderer.render(self.settings.views, self.seed * 1_000_003 + self._made)

    def draw(self, step: int) -> Batch | None:
        """Return samples to join batch number ``step``: stored crops with uint8 pictures, or None while there are too few."""
        count = self.settings.per_batch
        if len(self._samples) < count:
            return None
        picked = np.random.default_rng([self.seed, step]).choice(len(self._samples), count, replace=False)
        return pack_of([self._samples[i] for i in picked]).batch(np.arange(count))


@torch.no_grad()
def skin_from_picture(hand: HandModel, vertices_V3: Tensor, rgb_3SS: Tensor, K: Tensor) -> Skin:
    """Return the skin that a picture (3, S, S) in [0, 1] shows of a fitted mesh; hidden parts get the visible ones' median."""
    size = rgb_3SS.shape[-1]
    pixels = project_points(vertices_V3[None], K[None])[0]
    depth = rasterize(vertices_V3[None], hand.faces_F3, K, size, size).depth_BHW[0]
    at = pixels.round().long().clamp(0, size - 1)
    towards = -(vertex_normals(vertices_V3[None], hand.faces_F3)[0] * vertices_V3).sum(-1) / vertices_V3.norm(dim=-1)
    visible_V = (towards > 0.2) & (vertices_V3[:, 2] < depth[at[:, 1], at[:, 0]] + 0.004)
    seen_V3 = rgb_3SS[:, at[:, 1], at[:, 0]].T
    middle = seen_V3[visible_V].median(0).values if bool(visible_V.any()) else torch.tensor(tone(0.4) / 255).float()
    colour_V3 = torch.where(visible_V[:, None], seen_V3, middle)
    texture = (255 * colours_in_uv(hand, colour_V3, middle)).round().clamp(0, 255).byte().numpy()
    colour = np.asarray(255 * middle.double().numpy(), float)
    return skin_of(texture, hand, colour, float(1 - colour.mean() / 255))


def colours_in_uv(hand: HandModel, colour_V3: Tensor, beyond: Tensor) -> Tensor:
    """Return vertex colours as a texture (256, 256, 3) in the hand's uv; ``beyond`` (3,) fills what no triangle covers."""
    flat = torch.cat([hand.uv_V2 % 1.0, torch.ones(len(hand.uv_V2), 1)], 1)[None]
    K = torch.tensor([[_TEXTURE_SIDE, 0, -0.5], [0, _TEXTURE_SIDE, -0.5], [0, 0, 1.0]])
    fragments = rasterize(flat, hand.faces_F3, K, _TEXTURE_SIDE, _TEXTURE_SIDE, orthographic=True)
    picture = interpolate(fragments, hand.faces_F3, colour_V3)[0]
    return torch.where(fragments.mask_BHW[0][..., None], picture, beyond.to(picture))
