"""``training preview SOURCE``: a contact sheet of samples, plain and with joints, mask and parameters drawn in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from handviz.geometry.camera import FloatArray
from handviz.hand.model import load_hand_model
from handviz.hand.palette import FINGER_COLOURS
from handviz.hand.skeleton import BONES, FINGER_JOINTS
from handviz.records import BoolArray, UInt8Array
from handviz.render.raster import rasterize
from training.data.augment import augment
from training.data.sample import Batch
from training.data.sources import is_live, open_source, read_source
from training.pictures import check_picture_path, write_picture
from training.recipes.records import DataPart

_COLUMNS = 12
_CROP = 128
_FAR_PX = 1e4


def preview(source: str, data: Path, out: Path, *, count: int, seed: int, augmented: bool) -> int:
    """Write the sheet and return the number of samples on it. Raises SourceError or OutputError."""
    check_picture_path(out)
    batch = _samples(source, data, count, seed)
    if augmented:
        batch = augment(batch, torch.Generator().manual_seed(seed), _CROP)
    tiles = [np.vstack([_plain(batch, i), labelled(batch, i)]) for i in range(len(batch))]
    write_picture(out, sheet_of(tiles))
    return len(batch)


def _samples(source: str, data: Path, count: int, seed: int) -> Batch:
    if is_live(source):
        live = open_source([DataPart(source=source)], data, seed)
        try:
            return live.draw(0, count)
        finally:
            live.close()
    pack = read_source(source, data, limit=count)
    return pack.batch(np.random.default_rng(seed).choice(len(pack), min(count, len(pack)), replace=False))


def sheet_of(tiles: list[UInt8Array], columns: int = _COLUMNS) -> UInt8Array:
    """Return pictures of one size as rows of a larger one."""
    blank = np.zeros_like(tiles[0])
    columns = min(columns, len(tiles))
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    return np.vstack([np.hstack([*row, *[blank] * (columns - len(row))]) for row in rows])


def _plain(batch: Batch, i: int) -> UInt8Array:
    rgb = batch.rgb_B3SS[i].permute(1, 2, 0)
    picture = (rgb * 255).round().byte() if rgb.is_floating_point() else rgb
    return np.array(picture.numpy(), order="C")


def labelled(batch: Batch, i: int) -> UInt8Array:
    """Return the picture (S, S, 3) of one sample of a batch with everything known about it drawn in."""
    picture = _plain(batch, i)
    if bool(batch.has_params_B[i]):
        _draw_mesh(picture, batch, i)
    if bool(batch.has_mask_B[i]):
        draw_outline(picture, batch.mask_BSS[i].numpy() > 0.5, (255, 255, 0))
    if bool(batch.is_hand_B[i]):
        draw_joints(picture, batch.joints_px_BJ2[i].numpy(), batch.valid_BJ[i].numpy())
    return picture


def draw_joints(
    picture: UInt8Array, joints_px: FloatArray, valid: BoolArray | None = None, colour: tuple[int, int, int] | None = None
) -> None:
    """Draw the bones between joints (21, 2) into a picture, in their fingers' colours (the palm's bones too) or one."""
    # A diverging network's joints may be anywhere.
    joints = np.nan_to_num(joints_px).clip(-_FAR_PX, _FAR_PX).round().astype(int).tolist()
    fingers = {j: FINGER_COLOURS[finger] for finger, chain in FINGER_JOINTS.items() for j in chain}
    for a, b in BONES:
        if valid is None or (valid[a] and valid[b]):
            cv2.line(picture, tuple(joints[a]), tuple(joints[b]), colour or fingers[b], 1, cv2.LINE_AA)


def _draw_mesh(picture: UInt8Array, batch: Batch, i: int) -> None:
    """Tint the area covered by the hand of the parameters."""
    one = slice(i, i + 1)
    surface = load_hand_model().forward(
        batch.pose_B45[one], batch.shape_B10[one], batch.root_B3[one], batch.scale_B[one], batch.trans_B3[one]
    )
    side = picture.shape[0]
    covered = rasterize(surface.vertices_BV3, load_hand_model().faces_F3, batch.K_B33[one], side, side).mask_BHW[0].numpy()
    picture[covered] = (0.75 * picture[covered] + 0.25 * np.array([0, 220, 255])).astype(np.uint8)


def draw_outline(picture: UInt8Array, mask: BoolArray, colour: tuple[int, int, int]) -> None:
    """Draw the border of a mask into a picture of its size."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, 1)
