"""A network's features as a false-colour picture that shows what the network tells apart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from handviz.geometry.camera import FloatArray
from handviz.models.dense import DenseNetwork
from handviz.models.dense_evidence import HEAT_SIDE, LiveEvidence
from handviz.records import UInt8Array

# Half the colour range, in standard deviations of the first crop.
_RANGE_SIGMA = 2.0


class FeatureView:
    """The three main directions of a network's feature map as red, green and blue.

    The directions are those of the first crop seen, so that colours mean the same from frame to frame.
    """

    def __init__(self, network: DenseNetwork) -> None:
        self._network = network
        self._basis: tuple[FloatArray, FloatArray, FloatArray] | None = None

    @torch.no_grad()
    def __call__(self, rgb: UInt8Array) -> UInt8Array:
        """Return the features of a crop (S, S, 3) as a picture (h, w, 3)."""
        device = self._network.mean_pose.device
        rgb_B3SS = torch.from_numpy(rgb).to(device).permute(2, 0, 1)[None].float() / 255
        feat_CHW = feature_map(self._network, rgb_B3SS)[0].float().cpu().numpy().astype(float)
        rows_PC = feat_CHW.reshape(len(feat_CHW), -1).T
        if self._basis is None:
            self._basis = main_directions(rows_PC)
        mean_C, directions_C3, sigma_3 = self._basis
        colours = ((rows_PC - mean_C) @ directions_C3 / (_RANGE_SIGMA * sigma_3) + 1) * 127.5
        return np.clip(colours, 0, 255).astype(np.uint8).reshape(*feat_CHW.shape[1:], 3)


def feature_map(network: DenseNetwork, rgb_B3SS: Tensor) -> Tensor:
    """Return the map (B, C, h, w) that the network's 2D evidence is read from."""
    rgb = rgb_B3SS.contiguous(memory_format=torch.channels_last)
    evidence = network.evidence
    if isinstance(evidence, LiveEvidence):
        return evidence.groups.hourglass(rgb)[0]
    size = (8 * HEAT_SIDE, 8 * HEAT_SIDE)
    code: Tensor = evidence.J2D.encoder(torch.nn.functional.interpolate(rgb, size=size, mode="bilinear", align_corners=False))
    return code


def main_directions(rows_PC: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean (C,), the three directions of largest variance (C, 3) and the standard deviations along them (3,)."""
    mean = rows_PC.mean(0)
    values, vectors = np.linalg.eigh(np.cov(rows_PC - mean, rowvar=False))
    return mean, vectors[:, ::-1][:, :3], np.sqrt(np.maximum(values[::-1][:3], 1e-12))
