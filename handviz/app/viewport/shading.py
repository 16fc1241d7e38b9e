"""Light of the 3D view, computed at the vertices: one lamp over the viewer's left shoulder, and light from all around."""

from __future__ import annotations

import numpy as np

from handviz.geometry.camera import FloatArray

# Towards the lamp, in the view's frame (+x right, +y down, +z away from the viewer).
TO_LAMP = np.array([-0.42, -0.62, -0.66])
AROUND, LAMP, FACING = 0.50, 0.42, 0.26
SHINE = 0.22


def shaded(colours: FloatArray, normals: FloatArray, R_view_from_world: FloatArray) -> FloatArray:
    """Return colours (V, 3) in [0, 1] as lit, for unit normals (V, 3) in the world's frame."""
    in_view = normals @ R_view_from_world.T
    to_lamp = TO_LAMP / np.linalg.norm(TO_LAMP)
    halfway = to_lamp + np.array([0.0, 0.0, -1.0])
    halfway = halfway / np.linalg.norm(halfway)
    lamp = np.clip(in_view @ to_lamp, 0, 1)
    facing = np.clip(-in_view[:, 2], 0, 1)
    # The 24th power by products: numpy's own power costs as much as all the rest.
    eighth = np.clip(in_view @ halfway, 0, 1) ** 2
    eighth = (eighth * eighth) ** 2
    shine = SHINE * eighth * eighth * eighth
    strength = AROUND + LAMP * lamp + FACING * facing
    return np.clip(colours * strength[:, None] + shine[:, None], 0, 1)
