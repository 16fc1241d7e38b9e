"""RHD, the rendered hand data set (Zimmermann and Brox 2017), in its published layout.

``{training,evaluation}/{color,mask}/%05d.png`` and ``anno_{set}.pickle``: 42 joints of two hands, left before right. The
hand with more mask pixels is used, as in the papers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from handviz.errors import ModelFileError, SourceError
from handviz.geometry.camera import Camera, FloatArray, project
from handviz.hand.mirror import Side
from handviz.hand.safe_pickle import read_plain_pickle
from handviz.hand.skeleton import NUM_JOINTS
from handviz.records import UInt8Array
from training.data.benchmarks.base import SPECS, read_picture
from training.data.benchmarks.orders import RHD_ORDER
from training.data.photo_crop import LabelledHand, cut_sample
from training.data.sample import Sample

# Mask labels of each hand: 0 is background, 1 the person.
_MASK_LABELS: dict[Side, tuple[int, int]] = {"left": (2, 17), "right": (18, 33)}


class Rhd:
    """One split of RHD."""

    name = "rhd"

    def __init__(self, folder: Path, split: Literal["training", "evaluation"] = "training") -> None:
        path = folder / split / f"anno_{split}.pickle"
        self._folder, self._split, self._labels = folder / split, split, read_labels(path)
        self._ids = sorted(self._labels)
        self._spec = SPECS[split]

    def __len__(self) -> int:
        return len(self._ids)

    def sample(self, index: int) -> Sample:
        """Read one picture's larger hand."""
        number = self._ids[index]
        rgb = read_picture(self._folder / "color" / f"{number:05d}.png")
        parts = read_picture(self._folder / "mask" / f"{number:05d}.png", grey=True)
        xyz, K = self._arrays(number)
        side, mask = _larger_hand(parts)
        joints_m = (xyz[:NUM_JOINTS] if side == "left" else xyz[NUM_JOINTS:])[RHD_ORDER]
        hand = LabelledHand(
            side=side, joints_px=project(joints_m, K), sigma_px=np.zeros(NUM_JOINTS), joints_m=joints_m, mask=mask
        )
        camera = Camera(width=rgb.shape[1], height=rgb.shape[0], K=K, source="calibrated")
        name = f"{self._split}/{number:05d}"
        return cut_sample(rgb, camera, hand, source=self.name, name=name, split_key=self._split, spec=self._spec)

    def _arrays(self, number: int) -> tuple[FloatArray, FloatArray]:
        try:
            entry = self._labels[number]
            xyz, K = np.asarray(entry["xyz"], float), np.asarray(entry["K"], float)
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError(
                f"{self._folder}: the labels of picture {number} are incomplete ({error}). Download it again."
            ) from error
        if xyz.shape != (2 * NUM_JOINTS, 3) or K.shape != (3, 3):
            raise SourceError(
                f"{self._folder}: the labels of picture {number} have shapes {xyz.shape} and {K.shape}. Download it again."
            )
        return xyz, K


def read_labels(path: Path) -> dict[int, Any]:
    """Return the labels by picture number. Raises SourceError for a missing or damaged file, or one that would run code."""
    if not path.is_file():
        raise SourceError(f"{path}: no such file. Check that the data set is unpacked here in its published layout.")
    try:
        labels = read_plain_pickle(path)
    except ModelFileError as error:
        raise SourceError(str(error)) from error
    if not isinstance(labels, dict) or not labels or not all(isinstance(number, int) for number in labels):
        raise SourceError(f"{path}: holds no labels by picture number. Download it again.")
    return labels


def _larger_hand(parts: UInt8Array) -> tuple[Side, UInt8Array]:
    masks = {side: (parts >= low) & (parts <= high) for side, (low, high) in _MASK_LABELS.items()}
    side: Side = "left" if masks["left"].sum() > masks["right"].sum() else "right"
    return side, np.where(masks[side], np.uint8(255), np.uint8(0))
