"""Metrics of meshes and masks: PA-MPVPE, F-scores, and the mask table of Baek et al. 2019 (Table 2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from handviz.geometry.alignment import similarity_align
from handviz.geometry.camera import FloatArray
from handviz.records import BoolArray

F_THRESHOLDS_MM = (5.0, 15.0)


def pa_mpvpe_mm(predicted_NV3: FloatArray, truth_NV3: FloatArray) -> FloatArray:
    """Return each mesh's mean vertex distance (N,) in mm after the best similarity alignment, over matching vertices."""
    aligned = similarity_align(predicted_NV3, truth_NV3)
    return np.asarray(1000 * np.linalg.norm(aligned - truth_NV3, axis=-1).mean(-1))


def f_score(predicted_V3: FloatArray, truth_W3: FloatArray, threshold_mm: float) -> float:
    """Return the harmonic mean of how much of each point set lies within a distance of the other.

    Distances are between vertices, as in FreiHAND's evaluation, after Procrustes alignment by the caller.
    """
    within = threshold_mm / 1000
    precision = float((cKDTree(truth_W3).query(predicted_V3)[0] < within).mean())
    recall = float((cKDTree(predicted_V3).query(truth_W3)[0] < within).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def f_scores(predicted_NV3: FloatArray, truth_NV3: FloatArray) -> dict[str, float]:
    """Return the mean F-scores at 5 and 15 mm of Procrustes-aligned meshes; NaN for none."""
    aligned = similarity_align(predicted_NV3, truth_NV3) if len(predicted_NV3) else predicted_NV3
    names = {t: f"F@{t:g} mm" for t in F_THRESHOLDS_MM}
    scores = {t: [f_score(p, q, t) for p, q in zip(aligned, truth_NV3, strict=True)] for t in F_THRESHOLDS_MM}
    return {names[t]: float(np.mean(values)) if values else float("nan") for t, values in scores.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskScores:
    """In [0, 1]: means over pictures, or pooled over all pictures' pixels, as the paper's own rows imply."""

    iou: float
    precision: float
    recall: float
    f1: float

    def numbers(self, of: str = "mask") -> dict[str, float]:
        """Return one line of the mask table."""
        return {f"{of} IoU": self.iou, f"{of} precision": self.precision, f"{of} recall": self.recall, f"{of} F1": self.f1}


def mask_scores(predicted: Iterable[BoolArray], truth: Iterable[BoolArray]) -> MaskScores:
    """Compare masks picture by picture; two empty masks agree fully, an empty one and a full one not at all."""
    rows = [_one_mask(p, t) for p, t in zip(predicted, truth, strict=True)]
    if not rows:
        nan = float("nan")
        return MaskScores(iou=nan, precision=nan, recall=nan, f1=nan)
    iou, precision, recall, f1 = np.mean(rows, 0).tolist()
    return MaskScores(iou=iou, precision=precision, recall=recall, f1=f1)


def pooled_mask_scores(predicted: BoolArray, truth: BoolArray) -> MaskScores:
    """Compare the pixels of all masks (N, H, W) together: a large hand counts more than a small one. NaN for none."""
    if len(predicted) == 0:
        return mask_scores(predicted, truth)
    iou, precision, recall, f1 = _one_mask(predicted, truth)
    return MaskScores(iou=iou, precision=precision, recall=recall, f1=f1)


def _one_mask(predicted: BoolArray, truth: BoolArray) -> tuple[float, float, float, float]:
    both, mine, theirs = float((predicted & truth).sum()), float(predicted.sum()), float(truth.sum())
    if mine == theirs == 0:
        return 1.0, 1.0, 1.0, 1.0
    precision = both / mine if mine else 0.0
    recall = both / theirs if theirs else 0.0
    return both / (mine + theirs - both), precision, recall, 2 * both / (mine + theirs)
