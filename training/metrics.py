"""The field's usual metrics. Joints (N, 21, 3) are in metres, pixels (N, 21, 2); errors come out in mm or px.

Protocols that look alike but differ have different names; see ``AUC_RANGES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.geometry.alignment import similarity_align
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import MIDDLE_MCP, ROOT, WRIST
from handviz.records import BoolArray

# Thresholds in mm. "20-50 Zimmermann" is what that line of papers computes (Li et al. among them): 20 points from 0 to 50
# without the first 8, that is 21.05 to 50; "20-50 linspace" is what others mean by the same words.
AUC_RANGES: Mapping[str, FloatArray] = {
    "AUC 20-50 (Zimmermann)": np.linspace(0, 50, 20)[8:],
    "AUC 20-50 (linspace)": np.linspace(20, 50, 15),
    "AUC 0-50": np.linspace(0, 50, 100),
    "AUC 0-100": np.linspace(0, 100, 100),
}


def point_errors(predicted: FloatArray, truth: FloatArray) -> FloatArray:
    """Return distances (N, J) between points (N, J, D), in their unit."""
    return np.asarray(np.linalg.norm(predicted - truth, axis=-1))


def root_aligned(predicted: FloatArray, truth: FloatArray) -> FloatArray:
    """Return predictions (N, J, 3) moved so that their root lies on the true one."""
    return predicted - predicted[:, ROOT : ROOT + 1] + truth[:, ROOT : ROOT + 1]


def procrustes_aligned(predicted: FloatArray, truth: FloatArray, valid: BoolArray | None = None) -> FloatArray:
    """Return predictions (N, J, 3), each sample aligned with rotation, scale and translation over its valid joints."""
    if valid is None or valid.all():
        return similarity_align(predicted, truth)
    aligned = np.full_like(predicted, np.nan)
    for i, keep in enumerate(valid):
        if keep.sum() >= 3:
            aligned[i, keep] = similarity_align(predicted[i, keep], truth[i, keep])
    return aligned


def best_root_and_scale(predicted: FloatArray, truth: FloatArray, valid: BoolArray) -> FloatArray:
    """Return predictions with the scale and shift, but no rotation, that fit best over valid joints.

    The Dexter+Object protocol of Yang et al. 2019: fingertips only, "best root and scale", read here as per sample.
    Samples with fewer than two valid joints become NaN. No scale is below zero, which would turn the hand over.
    """
    w = valid[..., None].astype(float)
    count = w.sum(1, keepdims=True)
    count = np.where(count >= 2, count, np.nan)
    safe_p, safe_t = np.where(w > 0, predicted, 0.0), np.where(w > 0, truth, 0.0)
    mean_p, mean_t = safe_p.sum(1, keepdims=True) / count, safe_t.sum(1, keepdims=True) / count
    p, t = w * (predicted - mean_p), w * np.where(w > 0, truth - mean_t, 0.0)
    scale = (p * t).sum((1, 2), keepdims=True) / np.maximum((p**2).sum((1, 2), keepdims=True), 1e-18)
    return np.asarray(np.maximum(scale, 0.0) * (predicted - mean_p) + mean_t)


def pck(errors: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Return the share of errors (N,) at or below each threshold; for errors (N, J), the mean of the joints' shares.

    NaN is left out, infinite errors are misses. Zimmermann and Brox count by joint, too: a joint that is labelled in few pictures
    counts as much as the others.
    """
    by_joint = [row[~np.isnan(row)] for row in np.atleast_2d(errors.T)]
    shares = [np.searchsorted(np.sort(known), thresholds, side="right") / len(known) for known in by_joint if len(known)]
    return np.asarray(np.mean(shares, 0)) if shares else np.full(len(thresholds), np.nan)


def auc(errors: FloatArray, thresholds: FloatArray) -> float:
    """Return the area under the PCK curve between the first and last threshold, as a share of the whole (trapezoids)."""
    curve = pck(errors, thresholds)
    area = ((curve[1:] + curve[:-1]) / 2 * np.diff(thresholds)).sum()
    return float(area / (thresholds[-1] - thresholds[0]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """Ground truth of N crops: metres (NaN where unknown), crop pixels, valid joints."""

    joints_m: FloatArray
    joints_px: FloatArray
    valid: BoolArray

    @property
    def valid_m(self) -> BoolArray:
        """Which valid joints (N, J) are known in metres."""
        return self.valid & np.isfinite(self.joints_m).all(-1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """Errors (N, J) of one method: 3D in mm under three protocols, 2D in pixels and in palm lengths.

    NaN where the truth is unknown, infinite where it is known but the answer is not finite. ``epe_mm`` follows the protocol of
    the evaluation; without one, joints count as predicted.
    """

    epe_mm: FloatArray
    root_mm: FloatArray
    procrustes_mm: FloatArray
    px: FloatArray
    palms: FloatArray

    def summary(self) -> dict[str, float]:
        """Return the numbers of one line of a results table."""
        line = {
            "PA-MPJPE mm": mean_of(self.procrustes_mm),
            "PA-MPJPE median mm": _median_of_samples(self.procrustes_mm),
            "MPJPE root-aligned mm": mean_of(self.root_mm),
            "EPE mean mm": mean_over_joints(self.epe_mm),
            "EPE median mm": median_over_joints(self.epe_mm),
            "2D px": mean_of(self.px),
            "2D median px": _median(self.px),
            "2D palm lengths": mean_of(self.palms),
        }
        line |= {name: auc(self.epe_mm, thresholds) for name, thresholds in AUC_RANGES.items()}
        aligned = {"AUC 0-50, root-aligned": self.root_mm, "AUC 0-50, PA": self.procrustes_mm}
        return line | {name: auc(errors, AUC_RANGES["AUC 0-50"]) for name, errors in aligned.items()}

    def take(self, rows: npt.NDArray[Any]) -> Errors:
        """Return the errors of some samples."""
        return Errors(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def errors_of(joints_m: FloatArray, joints_px: FloatArray, truth: Truth) -> Errors:
    """Compare predictions with the truth, over its valid joints.

    Errors measured from an invalid joint (the root, the palm's two ends) are unknown for that sample.
    """
    hidden = np.where(truth.valid, 0.0, np.nan)
    known = np.isfinite(truth.joints_m).all((1, 2))
    target = np.where(known[:, None, None], truth.joints_m, 0.0)
    no_3d = np.where(known, 0.0, np.nan)[:, None] + hidden
    # A hand with a non-finite joint cannot be aligned: all of it is missed.
    answered = np.isfinite(joints_m).all((1, 2))
    joints_m = np.where(answered[:, None, None], joints_m, 0.0)
    no_3d = no_3d + np.where(answered, 0.0, np.inf)[:, None]
    px = missed(point_errors(joints_px, truth.joints_px)) + hidden
    palm = np.linalg.norm(truth.joints_px[:, MIDDLE_MCP] - truth.joints_px[:, WRIST], axis=-1)
    no_palm = np.where(truth.valid[:, [MIDDLE_MCP, WRIST]].all(1), 0.0, np.nan)
    no_root = np.where(truth.valid[:, ROOT], 0.0, np.nan)
    return Errors(
        epe_mm=1000 * point_errors(joints_m, target) + no_3d,
        root_mm=1000 * point_errors(root_aligned(joints_m, target), target) + no_3d + no_root[:, None],
        procrustes_mm=1000 * point_errors(procrustes_aligned(joints_m, target, truth.valid), target) + no_3d,
        px=px,
        palms=px / np.maximum(palm, 1e-6)[:, None] + no_palm[:, None],
    )


def missed(errors: FloatArray) -> FloatArray:
    """Return errors with NaN replaced by infinity: an answer that is not a number is a miss, not an unknown."""
    return np.where(np.isnan(errors), np.inf, errors)


def median_over_joints(errors: FloatArray) -> float:
    """Return the mean over joints of each joint's median of errors (N, J), as Zimmermann's line of papers reports it."""
    return mean_of(np.array([_median(joint) for joint in errors.T]))


def mean_over_joints(errors: FloatArray) -> float:
    """Return the mean over joints of each joint's mean of errors (N, J), as Zimmermann's line of papers reports it."""
    return mean_of(np.array([mean_of(joint) for joint in errors.T]))


def mean_of(values: FloatArray) -> float:
    """Return the mean of the known values, NaN where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _median(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _median_of_samples(values: FloatArray) -> float:
    known = ~np.isnan(values).all(-1)
    return _median(np.array([mean_of(row) for row in values[known]]))


def has_mesh(vertices: FloatArray) -> BoolArray:
    """Return which hands (...) have a mesh (..., V, 3): the vertices of those without one are NaN."""
    return np.isfinite(vertices).all((-2, -1))
