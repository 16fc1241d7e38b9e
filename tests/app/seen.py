"""Where points of the world lie in the 3D view."""

from __future__ import annotations

import numpy as np

from handviz.geometry.camera import FloatArray


def project_to_view(points_world: FloatArray, T_view: FloatArray, K: FloatArray) -> FloatArray:
    """Pixels (..., 2) in the view of world points (..., 3); NaN behind it."""
    view = points_world @ T_view[:3, :3].T + T_view[:3, 3]
    z = np.where(view[..., 2:] > 1e-4, view[..., 2:], np.nan)
    return np.asarray(((view / z) @ K.T)[..., :2])
