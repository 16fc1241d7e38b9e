"""Packs on a GPU: every picture decoded once at the start, batches gathered there.

A GPU uses crops faster than CPU cores decode them. 60,000 crops of 160 px take 4.6 GB of its memory, their masks 1.5 GB.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from handviz.records import IntArray
from training.data.encoded import EncodedPack
from training.data.sample import Batch

_CHUNK = 256
# The share of free memory that the pictures may take; the rest is for training.
_SHARE_OF_FREE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidentPack:
    """N samples on a device: labels as a batch with blank pictures, pictures (N, S, S, 3) and masks (N, S, S) uint8."""

    labels: Batch
    rgb_NSS3: Tensor
    mask_NSS: Tensor

    def __len__(self) -> int:
        return len(self.rgb_NSS3)

    def batch(self, index: IntArray) -> Batch:
        """Return these samples as a batch on the device; pictures uint8. Equal to ``EncodedPack.batch`` but for the device."""
        rows = torch.from_numpy(index).to(self.rgb_NSS3.device)
        rgb, mask = self.rgb_NSS3[rows].permute(0, 3, 1, 2), self.mask_NSS[rows].float() / 255
        return replace(self.labels.take(rows), rgb_B3SS=rgb, mask_BSS=mask)


def decoded_onto(pack: EncodedPack, device: torch.device) -> ResidentPack:
    """Decode all pictures on all CPU cores and keep them on the device. Raises SourceError for a damaged picture."""
    side = _side(pack)
    rgb = torch.empty(len(pack), side, side, 3, dtype=torch.uint8, device=device)
    mask = torch.empty(len(pack), side, side, dtype=torch.uint8, device=device)

    def decode(start: int) -> None:
        part = slice(start, start + _CHUNK)
        some_rgb, some_masks = pack.pictures(np.arange(len(pack))[part])
        rgb[part], mask[part] = torch.from_numpy(some_rgb).to(device), torch.from_numpy(some_masks).to(device)

    # The decoder releases Python's lock, so threads are enough.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, range(0, len(pack), _CHUNK)))
    labels = pack.labels.batch(np.arange(len(pack))).to(device)
    return ResidentPack(labels=labels, rgb_NSS3=rgb, mask_NSS=mask)


def has_room(pack: EncodedPack, device: torch.device) -> bool:
    """Say whether a GPU has room for the pack's pictures in addition to the training."""
    free, _ = torch.cuda.mem_get_info(device)
    return len(pack) * _side(pack) ** 2 * 4 < _SHARE_OF_FREE * free


def _side(pack: EncodedPack) -> int:
    return pack.pictures(np.arange(1))[0].shape[1]
