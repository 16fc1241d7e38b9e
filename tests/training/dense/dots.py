"""A tiny dense network, its recipe, and hands drawn as dots with every label, for tests."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch

from handviz.hand.model import load_hand_model
from handviz.hand.prior import sample_poses
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_vector import DenseParams, decode, encode, project_points, to_unit
from handviz.models.groups import GroupsConfig
from handviz.models.hourglass import HourglassConfig
from training.data.pack import Pack, SampleNames
from training.data.sample import WHOLE, Batch
from training.dense.losses import (
    DenseLossWeights,
)
from training.recipes.records import DataPart, Recipe, Stage
from training.runs import RunFolder
from training.trainer import Trainer

HAND = load_hand_model()
SIZE = 64
FOCAL = 160.0
HOURGLASS = HourglassConfig(
    block="postactivation", stem_width=8, light_stem=True, level_widths=(16, 16, 16), level_modules=(1, 1, 1)
)
GROUPS = GroupsConfig(input_size=SIZE, hourglass=HOURGLASS, neck_widths=(16, 16), branch_widths=(8, 8, 8), lift=True)
CONFIG = DenseConfig(input_size=SIZE, evidence="live", groups=GROUPS, hidden=(64,), skeleton="chain", mask=True)
LOSS = DenseLossWeights(
    norm=1, vertices=1.0, pose=1.0, turn=1.0, shape=0.1, feature=0.0, heat=0.0, mask=0.0, mask_head=1.0, evidence=0.1
)


# Nothing writes into it.
@functools.lru_cache(4)
def posed_batch(count: int, seed: int = 0) -> Batch:
    """Crops whose picture is a dot at each joint, with every label a rendered hand has."""
    rng = np.random.default_rng(seed)
    K = torch.tensor([[FOCAL, 0, (SIZE - 1) / 2], [0, FOCAL, (SIZE - 1) / 2], [0, 0, 1]]).expand(count, 3, 3).clone()
    turn = torch.tensor([0.5 * np.pi, 0.0, 0.5 * np.pi]) + 0.2 * torch.from_numpy(rng.normal(size=(count, 3)))
    params = DenseParams(
        pose_BP=torch.from_numpy(sample_poses(rng, count)).float(),
        shape_BS=torch.from_numpy(0.5 * rng.normal(size=(count, 10))).float(),
        root_rotation_B3=turn.float(),
        scale_B=torch.ones(count),
        translation_B3=torch.tensor([0.0, 0.0, 0.6]).expand(count, 3)
        + 0.01 * torch.from_numpy(rng.normal(size=(count, 3))).float(),
    )
    _, surface = decode(encode(params, K, SIZE, HAND), K, SIZE, HAND)
    pixels = project_points(surface.joints_BJ3, K)
    grid = torch.stack(torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="xy"), -1).float()
    dots = torch.exp(-((grid - pixels[:, :, None, None]) ** 2).sum(-1) / 6)
    colours = torch.from_numpy(np.random.default_rng(1).random((21, 3))).float()
    rgb = torch.einsum("bjhw,jc->bchw", dots, colours).clamp(0, 1)
    yes = torch.ones(count, dtype=torch.bool)
    return Batch(
        rgb_B3SS=(255 * rgb).byte(),
        K_B33=K,
        joints_px_BJ2=pixels,
        valid_BJ=yes[:, None].expand(count, 21).clone(),
        sigma_px_BJ=torch.zeros(count, 21),
        joints_m_BJ3=surface.joints_BJ3,
        has_joints_m_B=yes,
        mask_BSS=(dots.sum(1) > 0.3).float(),
        has_mask_B=yes,
        pose_B45=params.pose_BP,
        shape_B10=params.shape_BS,
        root_B3=params.root_rotation_B3,
        scale_B=params.scale_B,
        trans_B3=params.translation_B3,
        has_params_B=yes,
    )


def posed_pack(count: int) -> Pack:
    """``posed_batch`` as a pack."""
    batch = posed_batch(count)
    return Pack(
        rgb_NSS3=batch.rgb_B3SS.permute(0, 2, 3, 1).numpy(),
        K_N33=batch.K_B33.numpy(),
        joints_px_NJ2=batch.joints_px_BJ2.numpy(),
        valid_NJ=batch.valid_BJ.numpy(),
        sigma_px_NJ=batch.sigma_px_BJ.numpy(),
        joints_m_NJ3=batch.joints_m_BJ3.numpy(),
        has_joints_m_N=batch.has_joints_m_B.numpy(),
        mask_NSS=(255 * batch.mask_BSS).byte().numpy(),
        has_mask_N=batch.has_mask_B.numpy(),
        params_N62=torch.cat(
            [batch.pose_B45, batch.shape_B10, batch.root_B3, batch.scale_B[:, None], batch.trans_B3], 1
        ).numpy(),
        has_params_N=batch.has_params_B.numpy(),
        is_hand_N=batch.is_hand_B.numpy(),
        names=_names(count),
    )  # fmt: skip


def _names(count: int) -> SampleNames:
    words = ("x",) * count
    return SampleNames(
        source=words, name=words, split_key=words, view=words, side=("right",) * count, hand_model=("default",) * count
    )


def as_float(batch: Batch) -> Batch:
    return dataclasses.replace(batch, rgb_B3SS=batch.rgb_B3SS.float() / 255)


def perfect_output(network: DenseNetwork, batch: Batch):
    """The network's output with the true parameters in it."""
    with torch.no_grad():
        out = network(batch.rgb_B3SS, batch.K_B33)
    true = DenseParams(
        pose_BP=batch.pose_B45, shape_BS=batch.shape_B10, root_rotation_B3=batch.root_B3, scale_B=batch.scale_B,
        translation_B3=batch.trans_B3,
    )  # fmt: skip
    h = encode(true, batch.K_B33, SIZE, HAND)
    params, surface = decode(h, batch.K_B33, SIZE, HAND)
    unit = to_unit(batch.joints_px_BJ2, SIZE)
    return dataclasses.replace(
        out, h_TBN=h[None], joints_unit_TBJ2=unit[None], params=params, surface=surface, joints_BJ3=surface.joints_BJ3
    )


def tiny_recipe(**changes: object) -> Recipe:
    plain = {
        "name": "dense-test",
        "network": CONFIG,
        "data": (DataPart(source="none"),),
        "stages": (Stage(learns="everything", share=1.0, batch_size=8, lr=2e-3),),
        "steps": 60,
        "loss": LOSS,
        "mixed_precision": False,
    }
    return Recipe(**(plain | changes))


class Dots:
    """A source of ``posed_batch``; always the same batch on request."""

    def __init__(self, one: bool = False) -> None:
        self.one = one

    def __len__(self) -> int:
        return 100

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        return posed_batch(size, 0 if self.one else step).take(rows)


def make(folder, source, **changes: object) -> Trainer:
    prepare = lambda batch, generator, size: as_float(batch)  # noqa: E731
    return Trainer(tiny_recipe(**changes), source, prepare, RunFolder(path=folder), device=torch.device("cpu"))
