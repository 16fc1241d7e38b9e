"""The hand's silhouette as refinement sees it: the network's mask, how much a hand misses it, and lines that pull it there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from handviz.fit.edges import BoolArray, EdgeLines, EdgeTarget, drawn_mask, mask_iou, match_edges
from handviz.fit.rig import Rig
from handviz.geometry.camera import FloatArray
from handviz.records import HandParams

# What missing the whole mask costs beside the joints' squares, and how well the mask's edge is known (shares of the crop).
MISS_WEIGHT, EDGE_SIGMA = 120.0, 0.05
# A mask that covers less, or leaves less of the crop free, has no outline worth following.
_LEAST = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Silhouette:
    """A mask (S, S) in a crop seen by ``K`` (3, 3), with its outline prepared."""

    mask_SS: BoolArray
    outline: EdgeTarget
    K: FloatArray

    @staticmethod
    def of(chance_HW: FloatArray | None, size: int, K: FloatArray) -> Silhouette | None:
        """Return the silhouette of a mask's probabilities, at the crop's size; None where there is none to follow."""
        if chance_HW is None:
            return None
        mask = cv2.resize(chance_HW.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR) > 0.5
        outline = EdgeTarget.of(mask) if _LEAST < mask.mean() < 1 - _LEAST else None
        return None if outline is None else Silhouette(mask, outline, K)

    def miss(self, rig: Rig, vertices_V3: FloatArray) -> float:
        """Return 1 - IoU of the mask and that of a hand's vertices (V, 3) in the crop's camera."""
        size = len(self.mask_SS)
        return 1.0 - mask_iou(drawn_mask(vertices_V3, rig.faces_F3, self.K, size, size), self.mask_SS)

    def lines(self, rig: Rig, params: HandParams) -> EdgeLines:
        """Return the lines that pull a hand's outline to the mask's."""
        return match_edges(rig, params, self.K, self.outline)

    @property
    def line_weight(self) -> float:
        """One over the standard deviation of a line, per pixel."""
        return 1.0 / (EDGE_SIGMA * len(self.mask_SS))
