"""The one sample type of all data sources, and the batch that the trainer uses.

Every sample is a crop that shows a right hand, cut by ``handviz.crop``, with the crop's own camera: the same
picture the live app would give to a network. Absent labels are None, never a number that stands for "missing".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from handviz.fit.mesh_terms import resized
from handviz.geometry.camera import FloatArray
from handviz.hand.mirror import Side
from handviz.records import HandParams, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One labelled crop.

    ``rgb`` (S, S, 3) uint8; ``K`` (3, 3) of the crop's camera; ``joints_px`` (21, 2) crop pixels;
    ``joint_valid`` (21,) bool; ``sigma_px`` (21,) the label's uncertainty in crop pixels (0 for exact labels);
    ``joints_m`` (21, 3) crop-camera frame; ``mask`` (S, S) uint8 0 or 255; ``params`` right-hand parameters in the
    crop-camera frame; ``side`` of the hand before mirroring; ``source`` names the data set; ``split_key`` is the person, room
    or sequence by which held-out data is split; ``view`` is a coarse view label for reports.
    ``is_hand`` is False for a crop without a hand (background, face, object): its joints are zeros and all invalid.
    """

    rgb: UInt8Array
    K: FloatArray
    joints_px: FloatArray
    joint_valid: FloatArray
    sigma_px: FloatArray
    side: Side
    source: str
    name: str
    split_key: str = ""
    view: str = ""
    joints_m: FloatArray | None = None
    mask: UInt8Array | None = None
    params: HandParams | None = None
    is_hand: bool = True


# All rows of a batch.
WHOLE = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Samples stacked as tensors on one device. Absent labels are zeros with a False in their validity flag.

    ``rgb_B3SS`` uint8 or float in [0, 1] (float after augmentation); ``K_B33``; ``joints_px_BJ2``; ``valid_BJ`` bool;
    ``sigma_px_BJ``; ``joints_m_BJ3`` with ``has_joints_m_B``; ``mask_BSS`` float in [0, 1] with ``has_mask_B``;
    ``pose_B45``, ``shape_B10``, ``root_B3`` (axis-angle), ``scale_B``, ``trans_B3`` (metres) with ``has_params_B``.
    Vertices are not stored: a batch with parameters gets them from the hand model. ``is_hand_B`` bool is False for crops
    without a hand; left out, every crop shows one. ``mirrored_B`` bool is True for pictures of a left hand, which have no labels.
    """

    rgb_B3SS: Tensor
    K_B33: Tensor
    joints_px_BJ2: Tensor
    valid_BJ: Tensor
    sigma_px_BJ: Tensor
    joints_m_BJ3: Tensor
    has_joints_m_B: Tensor
    mask_BSS: Tensor
    has_mask_B: Tensor
    pose_B45: Tensor
    shape_B10: Tensor
    root_B3: Tensor
    scale_B: Tensor
    trans_B3: Tensor
    has_params_B: Tensor
    # Both are filled in below, so that they are always tensors.
    is_hand_B: Tensor = None  # type: ignore[assignment]
    mirrored_B: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for name, usual in (("is_hand_B", True), ("mirrored_B", False)):
            if getattr(self, name) is None:
                plain = torch.full((len(self),), usual, dtype=torch.bool, device=self.rgb_B3SS.device)
                object.__setattr__(self, name, plain)

    def __len__(self) -> int:
        return int(self.rgb_B3SS.shape[0])

    def take(self, rows: slice | Tensor) -> Batch:
        """Return some of the samples."""
        return Batch(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on another device."""
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in self.__dataclass_fields__}
        return Batch(**moved)


def enlarged(batch: Batch, size: int) -> Batch:
    """Return a batch with pictures and pixel labels resized to ``size`` pixels; the same batch where they are already."""
    old = batch.rgb_B3SS.shape[-1]
    if old == size:
        return batch
    grow = size / old
    rgb = functional.interpolate(batch.rgb_B3SS.float(), size=(size, size), mode="bilinear", align_corners=False)
    mask = functional.interpolate(batch.mask_BSS[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]
    return replace(
        batch,
        rgb_B3SS=rgb if batch.rgb_B3SS.is_floating_point() else rgb.round().to(torch.uint8),
        K_B33=resized(batch.K_B33, old, size),
        joints_px_BJ2=(batch.joints_px_BJ2 + 0.5) * grow - 0.5,
        sigma_px_BJ=batch.sigma_px_BJ * grow,
        mask_BSS=mask,
    )
