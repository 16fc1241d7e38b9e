"""Observations and priors, as the arrays that the compiled solver takes; see ``handviz.fit.system``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.fit.chain import COLUMNS, POSE, ROOT_TURN, SCALE, TRANSLATION
from handviz.fit.edges import EdgeLines
from handviz.fit.problem import FitSettings, Observations
from handviz.fit.rig import PARENTS, Rig
from handviz.hand.limits import ANATOMICAL_FROM_POSE, POSE_HIGH, POSE_LOW
from handviz.hand.prior import pose_prior

Array = npt.NDArray[Any]
Compiled = tuple[Array, ...]


def chain_with(rig: Rig, vertices: Array) -> tuple[Array, ...]:
    """Return the hand as the solver moves it: 16 joints, then five fingertips, then these vertices (N,) of its outline."""
    return (rig.rest_J3, rig.rest_dirs_J3S, PARENTS, *rig.points(np.concatenate([rig.tips, vertices])))


def line_rows(edges: EdgeLines, weight: float) -> tuple[Array, ...]:
    """Return points, normals, offsets and weights of lines, numbered as ``chain_with`` numbers the same lines' vertices."""
    return edges.point + 21, edges.normal, edges.offset, np.full(len(edges.point), weight)


def prior_rows(settings: FitSettings, anchor: Compiled) -> tuple[Array, ...]:
    """Return the prior on a hand: what is usual, the state it is pulled to, and how strongly."""
    return (*constant_prior(settings), *anchor[:4], hold_weights(settings))


def joint_rows(seen: Observations, index: int) -> tuple[Array, ...]:
    """Return K, pixels, their weights, metres, their weights and whether they are relative, absent ones at weight zero."""
    K = np.ascontiguousarray(seen.K_B33 if seen.K_B33.ndim == 2 else seen.K_B33[index], float)
    pixels, pixel_weight = _weighted(seen.joints_px_BJ2, seen.sigma_px_BJ, index, 2)
    metres, metre_weight = _weighted(seen.joints_m_BJ3, seen.sigma_m_BJ, index, 3)
    return K, pixels, pixel_weight, metres, metre_weight, np.array([1.0 if seen.metres == "relative" else 0.0])


def _weighted(joints_BJC: Array | None, sigma_BJ: Array | float, index: int, columns: int) -> tuple[Array, Array]:
    if joints_BJC is None:
        return np.zeros((21, columns)), np.zeros(21)
    sigma = np.broadcast_to(np.asarray(sigma_BJ, float), joints_BJC.shape[:2])[index]
    known = np.isfinite(joints_BJC[index]).all(-1) & np.isfinite(sigma) & (sigma > 0)
    values = np.where(known[:, None], joints_BJC[index], 0.0).astype(float)
    return values, np.where(known, 1.0 / np.where(known, sigma, 1.0), 0.0)


@lru_cache(maxsize=32)
def constant_prior(settings: FitSettings) -> Compiled:
    """Return the part of the solver's prior that does not depend on the start."""
    gaussian = pose_prior()
    precision = settings.pose_prior**2 * (gaussian.whiten.T @ gaussian.whiten)
    mean, weight = np.zeros(COLUMNS), np.zeros(COLUMNS)
    mean[POSE:ROOT_TURN] = settings.shape_mean
    weight[POSE:ROOT_TURN] = 1.0 / settings.shape_sigma if settings.shape_sigma > 0 else 0.0
    weight[SCALE] = 1.0 / settings.scale_sigma if settings.scale_sigma > 0 else 0.0
    limits = (np.array(ANATOMICAL_FROM_POSE), np.array(POSE_LOW), np.array(POSE_HIGH), np.array([1.0 / settings.limit_rad]))
    return gaussian.mean.astype(float), np.ascontiguousarray(precision), *limits, mean, weight


def _groups(settings: FitSettings) -> tuple[tuple[slice, float | None], ...]:
    return (
        (slice(0, POSE), settings.hold_pose_rad),
        (slice(POSE, ROOT_TURN), settings.hold_shape),
        (slice(ROOT_TURN, TRANSLATION), settings.hold_rotation_rad),
        (slice(TRANSLATION, SCALE), settings.hold_translation_m),
    )


def hold_weights(settings: FitSettings) -> Array:
    """Return the weights (62,) that pull towards the start."""
    weight = np.zeros(COLUMNS)
    for columns, sigma in _groups(settings):
        weight[columns] = 1.0 / sigma if sigma else 0.0
    return weight


def free_columns(settings: FitSettings) -> Array:
    """Return which of the 62 parameters may move."""
    free = np.ones(COLUMNS, bool)
    for columns, sigma in _groups(settings):
        free[columns] = sigma != 0
    free[SCALE] = settings.scale_sigma > 0
    return free
