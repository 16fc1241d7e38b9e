"""Rigid and similarity alignment of point sets, and placing a known shape in front of a camera."""

from __future__ import annotations

import numpy as np

from handviz.geometry.camera import FloatArray, unproject


def similarity_align(source: FloatArray, target: FloatArray, *, with_scale: bool = True) -> FloatArray:
    """Return ``source`` (..., N, 3) moved onto ``target`` by the best rotation, translation and scale.

    Least squares over points (Umeyama 1991, no reflection), batched over leading axes. A source whose points
    coincide is moved to the target's centre.
    """
    mu_s, mu_t = source.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    s0, t0 = source - mu_s, target - mu_t
    U, D, Vt = np.linalg.svd(np.swapaxes(t0, -1, -2) @ s0)
    sign = np.ones_like(D)
    sign[..., -1] = np.sign(np.linalg.det(U @ Vt))
    R = (U * sign[..., None, :]) @ Vt
    spread = (s0**2).sum((-1, -2))
    scale = np.where(spread > 1e-18, (D * sign).sum(-1) / np.maximum(spread, 1e-18), 1.0) if with_scale else np.ones(spread.shape)
    return np.asarray(scale[..., None, None] * (s0 @ np.swapaxes(R, -1, -2)) + mu_t)


def solve_translation(points_m: FloatArray, pixels: FloatArray, K: FloatArray) -> FloatArray:
    """Return t (3,) such that ``points_m + t`` projects best onto ``pixels`` (linear least squares).

    ``points_m`` (N, 3) is a metric shape with the camera's axes and any origin; ``pixels`` (N, 2). From
    (x + tx) / (z + tz) = u' follows tx - u' tz = u' z - x, and the same for y, with u', v' the pixel on the unit plane.
    Raises ValueError with fewer than two finite points.
    """
    good = np.isfinite(points_m).all(-1) & np.isfinite(pixels).all(-1)
    if good.sum() < 2:
        raise ValueError("a translation needs at least two finite points")
    ray = np.concatenate([pixels[good], np.ones((int(good.sum()), 1))], -1) @ np.linalg.inv(K).T
    x = points_m[good]
    zeros, ones = np.zeros(len(x)), np.ones(len(x))
    rows_u = np.stack([ones, zeros, -ray[:, 0]], -1)
    rows_v = np.stack([zeros, ones, -ray[:, 1]], -1)
    rhs = ray[:, :2] * x[:, 2:3] - x[:, :2]
    t, *_ = np.linalg.lstsq(np.concatenate([rows_u, rows_v]), np.concatenate([rhs[:, 0], rhs[:, 1]]), rcond=None)
    return np.asarray(t)


def placed_on_rays(points_m: FloatArray, pixels: FloatArray, K: FloatArray) -> FloatArray:
    """Return a metric shape (N, 3) placed where it projects best, each point then moved at its depth onto its pixel's ray.

    Depths are the shape's, directions those of ``pixels`` (N, 2). Raises ValueError with fewer than two finite points.
    """
    t = solve_translation(points_m, pixels, K)
    return unproject(pixels, points_m[:, 2] + t[2], K)
