"""Left and right: the one place where a hand is mirrored.

The right hand is canonical. A left hand becomes a right one by mirroring x in a camera whose principal point
is the picture's centre, so the same K serves before and after. Mirroring twice is the identity.

Parameters of a left hand describe the mirrored, right hand: ``x_camera = MIRROR @ x_model``.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Side = Literal["left", "right"]

MIRROR: npt.NDArray[np.float64] = np.diag([-1.0, 1.0, 1.0])
MIRROR.flags.writeable = False


def needs_mirror(side: Side) -> bool:
    """Say whether a hand of this side is mirrored before a network or hand model sees it."""
    return side == "left"


def other_side(side: Side) -> Side:
    """Return the opposite side."""
    return "right" if side == "left" else "left"


def mirror_points(points: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Mirror camera-frame points (..., 3) at the plane x = 0."""
    return np.asarray(points * np.diagonal(MIRROR).astype(points.dtype))


def mirror_rotation(R: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return the rotation (..., 3, 3) that does to mirrored points what ``R`` does to the points."""
    return np.asarray(MIRROR @ R @ MIRROR)


def mirror_faces(faces: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
    """Reverse the winding of triangles (F, 3), so that normals of a mirrored mesh still point outwards."""
    return np.ascontiguousarray(faces[:, ::-1])
