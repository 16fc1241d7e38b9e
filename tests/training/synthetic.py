"""A tiny source for tests: coloured dots at the joints of random hands, so that a network can learn to find them."""

from __future__ import annotations

import numpy as np
import torch

from handviz.geometry.camera import project
from training.data.sample import WHOLE, Batch

SIZE = 64
K = np.array([[120.0, 0, (SIZE - 1) / 2], [0, 120.0, (SIZE - 1) / 2], [0, 0, 1]])


class DotHands:
    """Random hand-like joint sets in front of a camera, each joint a dot of its own colour."""

    def __init__(self, seed: int = 0, *, negatives: float = 0.0) -> None:
        self.seed = seed
        self.negatives = negatives

    def __len__(self) -> int:
        return 1000

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        joints = hand_like(rng, size)
        pixels = project(joints, K)
        is_hand = rng.random(size) >= self.negatives
        colours = np.random.default_rng(1).random((21, 3))
        grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1)
        gap = ((grid[None, None] - pixels[:, :, None, None]) ** 2).sum(-1)
        rgb = np.einsum("bjhw,jc->bchw", np.exp(-gap / 8.0), colours) * is_hand[:, None, None, None]
        rgb = (255 * np.clip(rgb + 0.1 * rng.random(rgb.shape), 0, 1)).astype(np.uint8)
        return batch_of(rgb, joints, pixels, is_hand).take(rows)


def hand_like(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return joints (count, 21, 3) in metres: five bent fingers in front of the camera."""
    joints = np.zeros((count, 21, 3))
    for finger in range(5):
        angle = (finger - 2) * 0.35 + rng.normal(0, 0.1, count)
        bend = rng.uniform(-0.5, 1.0, count)
        lengths = [0.09, 0.045, 0.028, 0.022]
        reach, depth = np.zeros(count), np.zeros(count)
        for part, length in enumerate(lengths):
            reach = reach + length * np.cos(part * bend)
            depth = depth - length * np.sin(part * bend)
            joints[:, 1 + 4 * finger + part] = np.stack([reach * np.sin(angle), -reach * np.cos(angle), depth], -1)
    joints += rng.normal(0, 0.01, (count, 1, 3)) + np.array([0, 0.07, 0.5])
    return joints


def batch_of(rgb, joints, pixels, is_hand) -> Batch:
    count = len(rgb)
    f32 = torch.float32
    zeros = lambda *shape: torch.zeros(count, *shape)  # noqa: E731
    hand = torch.from_numpy(is_hand)
    return Batch(
        rgb_B3SS=torch.from_numpy(rgb),
        K_B33=torch.from_numpy(K).to(f32).expand(count, 3, 3).clone(),
        joints_px_BJ2=torch.from_numpy(pixels).to(f32),
        valid_BJ=hand[:, None].expand(count, 21).clone(),
        sigma_px_BJ=zeros(21),
        joints_m_BJ3=torch.from_numpy(joints).to(f32),
        has_joints_m_B=hand.clone(),
        mask_BSS=zeros(SIZE, SIZE),
        has_mask_B=torch.zeros(count, dtype=torch.bool),
        pose_B45=zeros(45),
        shape_B10=zeros(10),
        root_B3=zeros(3),
        scale_B=zeros(),
        trans_B3=zeros(3),
        has_params_B=torch.zeros(count, dtype=torch.bool),
        is_hand_B=hand.clone(),
    )


def to_float(batch: Batch, generator: torch.Generator, size: int) -> Batch:
    """A ``Prepare`` that changes nothing but the type of the picture."""
    fields = {name: getattr(batch, name) for name in Batch.__dataclass_fields__}
    return Batch(**(fields | {"rgb_B3SS": batch.rgb_B3SS.float() / 255}))
