"""FreiHAND (Zimmermann et al. 2019) in its published layout, and the evaluation's ``pred.json``.

``training/rgb/%08d.jpg`` holds 4 versions of 32,560 hands, file = id + 32560 * version; labels and masks are by id.
All are right hands. ``evaluation_verts.json`` is read to score meshes of MANO's hand; ``training_verts.json`` is not: no training
uses vertices, and as Python lists it is gigabytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from handviz.crop import CropWindow
from handviz.errors import OutputError, SourceError
from handviz.geometry.camera import Camera, FloatArray, project
from handviz.hand.skeleton import NUM_JOINTS
from handviz.models.checkpoint import write_atomically
from handviz.records import UInt8Array
from training.data.benchmarks.base import SPECS, read_json_list, read_picture
from training.data.photo_crop import LabelledHand, cut_sample
from training.data.sample import Sample

EVALUATION_COUNT = 3960
NUM_VERTICES = 778
# The pictures are 224 px and already centred on the hand, which fills about this share of them.
_CENTRED_SHARE = 0.75
# The masks are JPEGs: pixels of the hand are near white.
_MASK_LEVEL = 100


class FreiHand:
    """FreiHAND's training split, or its evaluation split once ``evaluation_xyz.json`` is next to the pictures."""

    name = "freihand"

    def __init__(self, folder: Path, split: Literal["training", "evaluation"] = "training") -> None:
        self._folder, self._split = folder, split
        self._spec = SPECS[split]
        self._K = read_json_list(folder / f"{split}_K.json")
        self._xyz = read_json_list(folder / f"{split}_xyz.json")
        if len(self._K) != len(self._xyz):
            raise SourceError(f"{folder}: {split}_K.json and {split}_xyz.json have different lengths. Download them again.")
        # Versions of each hand: as many as there are full sets of pictures.
        pictures = sum(1 for _ in (folder / split / "rgb").glob("*.jpg"))
        self._versions = max(1, pictures // max(len(self._K), 1)) if split == "training" else 1

    def __len__(self) -> int:
        return len(self._K) * self._versions

    def sample(self, index: int) -> Sample:
        """Read sample ``index`` = id + number of hands * version."""
        hand_id = index % len(self._K)
        rgb = read_picture(self._folder / self._split / "rgb" / f"{index:08d}.jpg")
        height, width = rgb.shape[:2]
        K, joints_m = _array(self._K[hand_id], (3, 3), "K"), _array(self._xyz[hand_id], (NUM_JOINTS, 3), "xyz")
        mask_path = self._folder / self._split / "mask" / f"{hand_id:08d}.jpg"
        mask = None
        if mask_path.is_file():
            mask = np.where(read_picture(mask_path, grey=True) > _MASK_LEVEL, np.uint8(255), np.uint8(0))
        hand = LabelledHand(
            side="right", joints_px=project(joints_m, K), sigma_px=np.zeros(NUM_JOINTS), joints_m=joints_m, mask=mask
        )
        camera = Camera(width=width, height=height, K=K, source="calibrated")
        name = f"{self._split}/{index:08d}"
        return cut_sample(rgb, camera, hand, source=self.name, name=name, split_key=self._split, spec=self._spec)


def evaluation_vertices(folder: Path, names: Sequence[str]) -> FloatArray | None:
    """Return the true vertices (N, 778, 3) in metres of evaluation samples of these names; None where their file is missing.

    They are in the picture's camera, not in the crop's, which is rotated against it. Raises SourceError for a damaged file.
    """
    path = folder / "evaluation_verts.json"
    if not path.is_file():
        return None
    vertices = read_json_list(path)
    rows = [int(name.rpartition("/")[2]) for name in names]
    if max(rows, default=-1) >= len(vertices):
        raise SourceError(f"{path}: holds {len(vertices)} hands, fewer than evaluation_xyz.json. Download it again.")
    return np.stack([_array(vertices[row], (NUM_VERTICES, 3), "verts") for row in rows])


def evaluation_pictures(folder: Path) -> Iterator[tuple[UInt8Array, Camera]]:
    """Yield the 3,960 evaluation pictures (H, W, 3) and their cameras; no labels are needed."""
    for i, K in enumerate(read_json_list(folder / "evaluation_K.json")):
        rgb = read_picture(folder / "evaluation" / "rgb" / f"{i:08d}.jpg")
        yield rgb, Camera(width=rgb.shape[1], height=rgb.shape[0], K=_array(K, (3, 3), "K"), source="calibrated")


def evaluation_scales(folder: Path) -> FloatArray | None:
    """Return the hand scales (N,) in metres that the evaluation gives; None where ``evaluation_scale.json`` is missing."""
    path = folder / "evaluation_scale.json"
    if not path.is_file():
        return None
    scales = read_json_list(path)
    return _array(scales, (len(scales),), "scale")


def centred_window(camera: Camera) -> CropWindow:
    """Return where the hand is in an evaluation picture: in the middle."""
    side = max(camera.height, camera.width)
    return CropWindow(u=(camera.width - 1) / 2, v=(camera.height - 1) / 2, side=1.25 * _CENTRED_SHARE * side)


def write_predictions(path: Path, joints_m: FloatArray, vertices_m: FloatArray) -> None:
    """Write ``pred.json`` for the evaluation server: joints (3960, 21, 3) and vertices (3960, 778, 3), metres.

    Raises OutputError when the arrays are not of that size or hold values that are not finite.
    """
    for array, shape in ((joints_m, (EVALUATION_COUNT, NUM_JOINTS, 3)), (vertices_m, (EVALUATION_COUNT, NUM_VERTICES, 3))):
        if array.shape != shape:
            raise OutputError(f"{path}: the server wants an array of shape {shape}, not {array.shape}. Predict every picture.")
        if not np.isfinite(array).all():
            raise OutputError(f"{path}: some predictions are not finite numbers. Nothing was written.")
    write_atomically(path, json.dumps([joints_m.tolist(), vertices_m.tolist()]).encode())


def _array(values: object, shape: tuple[int, ...], what: str) -> FloatArray:
    try:
        array = np.array(values, float)
    except (ValueError, TypeError) as error:
        raise SourceError(f"FreiHAND: {what} holds something other than numbers ({error}). Download the labels again.") from error
    if array.shape != shape:
        raise SourceError(f"FreiHAND: {what} has shape {array.shape}, not {shape}. Download the labels again.")
    return array
