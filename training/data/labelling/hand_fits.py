"""The hand model fitted to pseudo-labels: parameters and a mask for each photograph where the fit is close."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from handviz.fit.fit import fit_hand
from handviz.fit.problem import FitResult, FitSettings, Observations
from handviz.geometry.alignment import placed_on_rays
from handviz.geometry.camera import FloatArray, project
from handviz.hand.model import HandModel, HandSurface, load_hand_model
from handviz.hand.skeleton import ROOT
from handviz.records import BoolArray, IntArray, UInt8Array
from handviz.render.raster import rasterize
from training.data.pack import Pack, SampleNames, with_labels

_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FitLimits:
    """When a fit is close, in pixels of the stored crop, in which the hand spans 80, and in metres relative to the root."""

    mean_px: float = 2.5
    max_px: float = 7.0
    mean_m: float = 0.010
    least_sigma_px: float = 1.0
    sigma_m: float = 0.008


def with_fits(pack: Pack, limits: FitLimits | None = None) -> Pack:
    """Return the pack with parameters and masks of the default hand where a fit to the labels is close.

    Samples that already have parameters, or show no hand, or have no metric joints, are left as they are.
    """
    limits = limits or FitLimits()
    wanted = np.flatnonzero(pack.is_hand_N & pack.has_joints_m_N & ~pack.has_params_N & pack.valid_NJ.all(1))
    params, masks = pack.params_N62.copy(), pack.mask_NSS.copy()
    has_params, has_mask = pack.has_params_N.copy(), pack.has_mask_N.copy()
    model = load_hand_model()
    for first in range(0, len(wanted), _AT_ONCE):
        rows = wanted[first : first + _AT_ONCE]
        result = _fit(pack, rows, limits)
        close = rows[_is_close(pack, rows, result, limits)]
        params[rows] = _vectors(result)
        has_params[close] = True
        bare = close[~has_mask[close]]
        masks[bare] = _masks(model, params[bare], pack.K_N33[bare], pack.rgb_NSS3.shape[1])
        has_mask[bare] = True
    params[~has_params] = 0.0
    names = _named(pack.names, has_params & ~pack.has_params_N, model.name)
    fitted = with_labels(pack, params_N62=params, has_params_N=has_params, mask_NSS=masks, has_mask_N=has_mask)
    return replace(fitted, names=names)


def at_depths_of_fits(pack: Pack, chosen_N: BoolArray) -> Pack:
    """Return the pack with the depths of chosen hands' fits, on the rays of the labels' pixels.

    A hand model's bones have realistic lengths, which the depths of pseudo-labels often do not give. The labels' pixels stay,
    because a model bends real hands a little towards itself. Hands without a close fit stay as they are.
    """
    model, joints_m = load_hand_model(), pack.joints_m_NJ3.copy()
    fitted = np.flatnonzero(chosen_N & pack.has_params_N)
    for first in range(0, len(fitted), _AT_ONCE):
        rows = fitted[first : first + _AT_ONCE]
        for row, fit_m in zip(rows, _surface(model, pack.params_N62[rows]).joints_BJ3.double().numpy(), strict=True):
            px, K = pack.joints_px_NJ2[row].astype(float), pack.K_N33[row].astype(float)
            joints_m[row] = placed_on_rays(fit_m - fit_m[ROOT], px, K)
    return with_labels(pack, joints_m_NJ3=joints_m)


def _fit(pack: Pack, rows: IntArray, limits: FitLimits) -> FitResult:
    seen = Observations(
        K_B33=pack.K_N33[rows].astype(float),
        joints_px_BJ2=pack.joints_px_NJ2[rows].astype(float),
        joints_m_BJ3=pack.joints_m_NJ3[rows].astype(float),
        sigma_px_BJ=np.maximum(pack.sigma_px_NJ[rows].astype(float), limits.least_sigma_px),
        sigma_m_BJ=limits.sigma_m,
        metres="relative",
    )
    return fit_hand(seen, settings=FitSettings(scale_sigma=0.1))


def _is_close(pack: Pack, rows: IntArray, result: FitResult, limits: FitLimits) -> BoolArray:
    pixels = np.stack([project(j, K) for j, K in zip(result.joints_BJ3, pack.K_N33[rows], strict=True)])
    gap_px = np.linalg.norm(pixels - pack.joints_px_NJ2[rows], axis=-1)
    truth = pack.joints_m_NJ3[rows]
    gap_m = np.linalg.norm((result.joints_BJ3 - result.joints_BJ3[:, [ROOT]]) - (truth - truth[:, [ROOT]]), axis=-1)
    close: BoolArray = (gap_px.mean(1) <= limits.mean_px) & (gap_px.max(1) <= limits.max_px) & (gap_m.mean(1) <= limits.mean_m)
    return close


def _vectors(result: FitResult) -> FloatArray:
    s = result.state
    parts = (s.pose_BP, s.shape_BS, s.root_rotation_B3, s.scale_B[:, None], s.translation_B3)
    return np.concatenate(parts, 1).astype(np.float32)


def _masks(model: HandModel, params_N62: FloatArray, K_N33: FloatArray, size: int) -> UInt8Array:
    if len(params_N62) == 0:
        return np.zeros((0, size, size), np.uint8)
    vertices_NV3 = _surface(model, params_N62).vertices_BV3
    covered = rasterize(vertices_NV3, model.faces_F3, torch.from_numpy(K_N33), size, size).mask_BHW.numpy()
    return np.where(covered, np.uint8(255), np.uint8(0))


def _surface(model: HandModel, params_N62: FloatArray) -> HandSurface:
    pose, shape, root, scale, trans = torch.from_numpy(params_N62).split([45, 10, 3, 1, 3], dim=1)
    return model.forward(pose, shape, root, scale[:, 0], trans)


def _named(names: SampleNames, fitted: BoolArray, model: str) -> SampleNames:
    hands = tuple(model if new else old for old, new in zip(names.hand_model, fitted, strict=True))
    return replace(names, hand_model=hands)
