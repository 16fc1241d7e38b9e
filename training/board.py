"""Curves and pictures for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from handviz.errors import HandvizError
from handviz.hand.skeleton import ROOT, SCALE_BONE
from handviz.models.groups import GroupsOutput
from handviz.models.selector import JointSelector
from handviz.records import UInt8Array
from training.bones import camera_rays
from training.data.preview import draw_joints
from training.data.sample import Batch
from training.losses import relative_depth_target

if TYPE_CHECKING:
    from training.trainer import StepReport, Trainer

_TRUTH, _ANSWER = (90, 220, 90), (255, 120, 40)
# A sheet's number of crops and their enlargement; a selector picture's pixels per probability.
_SHOWN, _ZOOM, _CELL = 16, 2, 16


@torch.no_grad()
def pixel_error(uv_BJ2: Tensor, batch: Batch) -> float:
    """Return the mean 2D error in pixels over known joints."""
    return mean_where((uv_BJ2 - batch.joints_px_BJ2).norm(dim=-1), batch.valid_BJ)


@torch.no_grad()
def batch_errors(output: GroupsOutput, batch: Batch) -> dict[str, float]:
    """Return the mean 2D error in pixels, the mean relative depth error, and EPE in mm with the true root and scale."""
    target_BJ, known_B = relative_depth_target(batch)
    valid_BJ = batch.valid_BJ
    deep_BJ = (output.depth_BJ - target_BJ).abs()
    errors = {"px": pixel_error(output.uv_BJ2, batch), "depth": mean_where(deep_BJ, valid_BJ & known_B[:, None])}
    a, b = SCALE_BONE
    scale_B1 = (batch.joints_m_BJ3[:, a] - batch.joints_m_BJ3[:, b]).norm(dim=-1, keepdim=True)
    z_BJ = output.depth_BJ * scale_B1 + batch.joints_m_BJ3[:, ROOT, 2:3]
    joints = camera_rays(output.uv_BJ2, batch.K_B33) * z_BJ[..., None]
    epe_BJ = 1000 * (joints - batch.joints_m_BJ3).norm(dim=-1)
    return errors | {"epe_mm": mean_where(epe_BJ, valid_BJ & known_B[:, None])}


def mean_where(value: Tensor, where: Tensor) -> float:
    """Return the mean of the values that a mask of their shape selects, NaN where it selects none."""
    return float(value[where].mean()) if bool(where.any()) else float("nan")


def overlay(output_px_BJ2: Tensor, batch: Batch, shown: int = _SHOWN) -> UInt8Array:
    """Return a sheet of the first crops (H, W, 3): labels green, answers orange."""
    tiles = []
    for i in range(min(shown, len(batch))):
        rgb = (batch.rgb_B3SS[i].float().permute(1, 2, 0).clamp(0, 1) * 255).byte().cpu().numpy()
        big = cv2.resize(rgb, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_LINEAR)
        centre = 0.5 * _ZOOM - 0.5
        if bool(batch.valid_BJ[i].any()):
            draw_joints(big, batch.joints_px_BJ2[i].cpu().numpy() * _ZOOM + centre, colour=_TRUTH)
            draw_joints(big, output_px_BJ2[i].detach().float().cpu().numpy() * _ZOOM + centre, colour=_ANSWER)
        tiles.append(big)
    columns = min(8, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[r : r + columns], 1) for r in range(0, len(tiles), columns)]
    return np.asarray(np.concatenate(rows, 0), np.uint8)


def selector_picture(selector: JointSelector) -> UInt8Array:
    """Return the 21 x K probabilities as a grey picture, joints downwards."""
    grey = (255 * selector.probabilities().cpu().numpy()).round().astype(np.uint8)
    return np.repeat(np.repeat(np.repeat(grey[..., None], 3, 2), _CELL, 0), _CELL, 1)


def selector_scalars(selector: JointSelector) -> dict[str, float]:
    """Return the selector's entropy (nats) and temperature."""
    return {"selector/entropy": float(selector.entropy()), "selector/temperature": float(selector.temperature)}


class TensorBoard:
    """Writes loss terms, errors, what the task shows of its network, and overlays."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise HandvizError("training curves need tensorboard. Install it with: pip install 'handviz[train]'") from error
        self._writer = SummaryWriter(str(folder))

    def report(self, trainer: Trainer, step: StepReport) -> None:
        """Write curves every ``log_every`` steps and pictures every ``picture_every``."""
        if step.step % trainer.recipe.log_every == 0:
            self._scalars(trainer, step)
        if step.step % trainer.recipe.picture_every == 0:
            sheet = overlay(trainer.task.joints_px(step.output), step.batch)
            for name, picture in {"overlay": sheet, **trainer.task.pictures(trainer.network)}.items():
                self._writer.add_image(name, picture, step.step, dataformats="HWC")

    def _scalars(self, trainer: Trainer, step: StepReport) -> None:
        values = {"loss": step.loss, "lr": step.lr, "grad_norm": step.grad_norm}
        values |= {f"train/{name}": value for name, value in trainer.task.errors(step.output, step.batch).items()}
        values |= trainer.task.scalars(trainer.network)
        if step.terms is not None:
            values |= {f"terms/{name}": value for name, value in step.terms.numbers().items()}
        for name, value in values.items():
            self._writer.add_scalar(name, value, step.step)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
