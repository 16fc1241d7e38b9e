"""Sheets of a method's best and worst answers, drawn into the pictures, to show what numbers alone hide."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from handviz.fit.edges import drawn_mask
from handviz.geometry.camera import FloatArray, scale_intrinsics
from handviz.hand.model import load_hand_model
from handviz.records import IntArray, UInt8Array
from training.answers import Answers
from training.data.preview import draw_joints, draw_outline, sheet_of
from training.data.sample import Batch
from training.metrics import has_mesh
from training.pictures import write_picture

_SHOWN = 20
_TILE = 192
_TRUTH = (255, 255, 255)


def save_overlays(path: Path, crops: Batch, answers: Answers, error_N: FloatArray) -> None:
    """Write the twenty best answers (upper half) and the twenty worst (worst last) by ``error_N`` pixels.

    ``crops`` are uint8 and of the answers' pixels; the truth is white, the answer coloured by finger, a mesh an outline.
    Raises OutputError.
    """
    faces = load_hand_model(answers.hand_model).faces_F3.numpy()
    order = np.argsort(np.where(np.isfinite(error_N), error_N, np.inf))[: np.isfinite(error_N).sum()]
    shown = [*order[:_SHOWN], *order[-_SHOWN:]]
    tiles = [_tile(crops, i, answers, faces, error_N[i]) for i in shown]
    if tiles:
        write_picture(path, sheet_of(tiles, 10))


def _tile(crops: Batch, i: int, answers: Answers, faces_F3: IntArray, error: float) -> UInt8Array:
    rgb = crops.rgb_B3SS[i].permute(1, 2, 0).contiguous().numpy()
    grow = _TILE / rgb.shape[0]
    picture = np.asarray(cv2.resize(rgb, (_TILE, _TILE), interpolation=cv2.INTER_AREA), np.uint8)
    if answers.vertices_m is not None and has_mesh(answers.vertices_m[i]):
        K = scale_intrinsics(crops.K_B33[i].double().numpy(), grow, grow)
        draw_outline(picture, drawn_mask(answers.vertices_m[i], faces_F3, K, _TILE, _TILE), (255, 230, 0))
    draw_joints(picture, _grown(crops.joints_px_BJ2[i].double().numpy(), grow), crops.valid_BJ[i].numpy(), _TRUTH)
    draw_joints(picture, _grown(answers.joints_px[i], grow))
    cv2.putText(picture, f"{error:.1f} px", (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(picture, f"{error:.1f} px", (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def _grown(pixels: FloatArray, grow: float) -> FloatArray:
    return (pixels + 0.5) * grow - 0.5
