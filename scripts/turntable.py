"""Draw the hand's turntable sheet: ``python scripts/turntable.py [--out FILE] [--hand-model NAME] [--beside NAME]``.

Five gestures from four sides, the ten shape values at -2, 0 and +2, and, where another hand is named, its gestures below.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation

from handviz.errors import HandvizError
from handviz.hand.gestures import GESTURE_BY_NAME
from handviz.hand.library import DEFAULT_HAND
from handviz.hand.model import HandModel, load_hand_model
from handviz.render.light import room_light
from handviz.render.shade import shade
from handviz.render.surface import Surface, plain_texture, texture_of
from training.pictures import check_picture_path, write_picture

Image = npt.NDArray[np.uint8]

OUT = Path(__file__).resolve().parent.parent / "assets" / "turntable.jpg"
GESTURES = ("flat", "fist", "point", "ok", "spread")
TURNS_DEG = (0.0, 180.0, 250.0, 50.0)
TILE = 260
DISTANCE_M, HAND_CENTRE = 0.75, np.array([0.005, -0.005, 0.015])
PAPER, INK = 246, (60, 60, 60)
# The hand upright in the picture, its back to the camera: picture right, down and forward in the model's axes.
_UPRIGHT = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def draw(model: HandModel, gesture: str, shape: npt.NDArray[np.float64], turn_deg: float, size: int) -> Image:
    """Return a picture (size, size, 3) of one hand seen from one side."""
    pose = torch.tensor(GESTURE_BY_NAME[gesture].pose(), dtype=model.dtype)[None]
    hand = model.shaped(torch.tensor(shape, dtype=model.dtype)[None]).posed(pose, torch.zeros(1, 3, dtype=model.dtype))
    R = Rotation.from_euler("xy", [-12.0, turn_deg], degrees=True).as_matrix() @ _UPRIGHT
    vertices = (hand.vertices_BV3[0].double().numpy() - HAND_CENTRE) @ R.T + [0.0, 0.0, DISTANCE_M]
    textured = model.texture is not None
    surface = Surface(
        vertices_V3=vertices,
        faces_F3=model.faces_F3.numpy().astype(np.int32),
        first_V=model.first_V,
        texture=texture_of(model.texture) if model.texture is not None else plain_texture((214, 170, 144)),
        uv_V2=model.uv_V2.double().numpy() if textured else None,
    )
    focal = size * DISTANCE_M / 0.27
    K = np.array([[focal, 0, (size - 1) / 2], [0, focal, (size - 1) / 2], [0, 0, 1.0]])
    paper = np.full((size, size, 3), PAPER, np.uint8)
    light = room_light(np.array([-0.35, -0.5, -0.9]), sun=0.75, sky=0.45, ground=0.25, warmth=0.15)
    return shade([surface], K, size, size, light, background=paper, samples=3, occlusion_views=24).rgb


def label(picture: Image, text: str) -> Image:
    """Return the picture with a small caption at its lower edge."""
    out = np.ascontiguousarray(picture)
    cv2.putText(out, text, (8, len(out) - 8), cv2.FONT_HERSHEY_SIMPLEX, len(out) / 650, INK, 1, cv2.LINE_AA)
    return out


def gesture_rows(model: HandModel, title: str) -> list[Image]:
    """Return one row per side, one column per gesture."""
    zero = np.zeros(10)
    rows = []
    for turn in TURNS_DEG:
        names = [f"{title}: {gesture}" if turn == TURNS_DEG[0] else "" for gesture in GESTURES]
        rows.append(np.hstack([label(draw(model, g, zero, turn, TILE), n) for g, n in zip(GESTURES, names, strict=True)]))
    return rows


def shape_rows(model: HandModel) -> list[Image]:
    """Return two blocks of five shape values, each a column of -2, 0, +2."""
    rows = []
    for first in (0, 5):
        blocks = []
        for k in range(first, first + 5):
            column = []
            for value in (-2.0, 0.0, 2.0):
                shape = np.zeros(10)
                shape[k] = value
                name = f"{model.shape_names[k]} {value:+.0f}" if value else ""
                column.append(label(draw(model, "flat", shape, 180.0, TILE), name))
            blocks.append(np.vstack(column))
        rows.append(np.hstack(blocks))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--hand-model", default=DEFAULT_HAND)
    parser.add_argument("--beside", help="another hand's name, drawn below")
    options = parser.parse_args()
    try:
        check_picture_path(options.out)
        model = load_hand_model(options.hand_model)
        rows = [*gesture_rows(model, options.hand_model), *shape_rows(model)]
        if options.beside:
            rows += gesture_rows(load_hand_model(options.beside), options.beside)[:2]
        sheet = np.vstack(rows)
        write_picture(options.out, sheet, quality=88)
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.out}: {sheet.shape[1]}x{sheet.shape[0]}, {options.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
