"""The hand's silhouette as refinement sees it: the network's mask, how much a hand misses it, and lines that pull it there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from handviz.fit.edges import NO_LINES, EdgeLines, EdgeTarget, drawn_mask, mask_iou, match_edges
from handviz.fit.rig import Rig
from handviz.geometry.camera import FloatArray
from handviz.records import BoolArray, HandParams

# The cost of missing all of the mask, added to the joints' squares, and how well the mask's edge is known (shares of the crop).
MISS_WEIGHT, EDGE_SIGMA = 300.0, 0.03
# A mask that covers less, or leaves less of the crop free, has no outline worth following.
_LEAST = 0.01


@dataclass(frozen=True, eq=False)
class Silhouette:
    """A mask (S, S) in a crop seen by ``K`` (3, 3); its outline is prepared when it is first needed."""

    mask_SS: BoolArray
    K: FloatArray

    @staticmethod
    def of(chance_HW: FloatArray, size: int, K: FloatArray) -> Silhouette:
        """Return the silhouette of a mask's probabilities, at the crop's size."""
        return Silhouette(cv2.resize(chance_HW.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR) > 0.5, K)

    @property
    def has_outline(self) -> bool:
        """Whether there is an outline worth following."""
        return _LEAST < float(self.mask_SS.mean()) < 1 - _LEAST

    @cached_property
    def _outline(self) -> EdgeTarget | None:
        return EdgeTarget.of(self.mask_SS) if self.has_outline else None

    def iou(self, rig: Rig, vertices_V3: FloatArray) -> float:
        """Return the IoU of the mask and that of a hand's vertices (V, 3) in the crop's camera."""
        size = len(self.mask_SS)
        return mask_iou(drawn_mask(vertices_V3, rig.faces_F3, self.K, size, size), self.mask_SS)

    def lines(self, rig: Rig, params: HandParams) -> EdgeLines:
        """Return the lines that pull a hand's outline to the mask's; none where there is no outline."""
        return NO_LINES if self._outline is None else match_edges(rig, params, self.K, self._outline)

    @property
    def line_weight(self) -> float:
        """One over the standard deviation of a line, per pixel."""
        return 1.0 / (EDGE_SIGMA * len(self.mask_SS))
