"""The virtual camera of the 3D view, as pure mathematics. World frame = the real camera's frame (+y down, +z away)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from handviz.geometry.camera import Camera, FloatArray

ViewName = Literal["orbit", "front", "side", "top", "camera"]
VIEW_ANGLES: dict[ViewName, tuple[float, float]] = {
    "orbit": (0.55, 0.32),
    "front": (0.0, 0.0),
    "side": (np.pi / 2, 0.0),
    "top": (0.0, np.pi / 2 - 1e-3),
}
FOV_DEG = 40.0
MAX_PITCH = np.pi / 2 - 1e-3
FRAMING_ROOM = 1.2
# A followed hand is never further off centre than this share of its size, or a fast one would leave the view.
LEASH = 0.3
NEAREST_M, FARTHEST_M = 0.08, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Orbit:
    """Looks at ``target`` (metres) from ``distance``; yaw turns right, pitch up, both radians, zero = the camera's direction."""

    target: tuple[float, float, float] = (0.0, 0.0, 0.5)
    yaw: float = VIEW_ANGLES["orbit"][0]
    pitch: float = VIEW_ANGLES["orbit"][1]
    distance: float = 0.55

    def turned(self, yaw: float, pitch: float) -> Orbit:
        """Orbit by these angles in radians."""
        return replace(self, yaw=self.yaw + yaw, pitch=float(np.clip(self.pitch + pitch, -MAX_PITCH, MAX_PITCH)))

    def zoomed(self, factor: float) -> Orbit:
        """Move nearer (factor < 1) or farther away."""
        return replace(self, distance=float(np.clip(self.distance * factor, NEAREST_M, FARTHEST_M)))

    def panned(self, right: float, down: float) -> Orbit:
        """Move the target by fractions of the picture's height."""
        R = self.rotation()
        metres = 2 * self.distance * np.tan(np.radians(FOV_DEG) / 2)
        x, y, z = np.array(self.target) + (R[0] * right + R[1] * down) * metres
        return replace(self, target=(float(x), float(y), float(z)))

    def facing(self, view: ViewName) -> Orbit:
        """Turn to a named view; ``camera`` faces front (its lens is the real camera's, see ``camera_lens``)."""
        yaw, pitch = VIEW_ANGLES.get(view, VIEW_ANGLES["front"])
        return replace(self, yaw=yaw, pitch=pitch)

    def rotation(self) -> FloatArray:
        """R_view_from_world (3, 3): rows are the view's right, down and forward directions."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        return np.array([[cy, 0.0, sy], [sp * sy, cp, -sp * cy], [-sy * cp, sp, cy * cp]])

    def extrinsic(self) -> FloatArray:
        """T_view_from_world (4, 4)."""
        R = self.rotation()
        T = np.eye(4)
        T[:3, :3] = R
        T[:3, 3] = np.array([0.0, 0.0, self.distance]) - R @ np.array(self.target)
        return T

    def followed(self, centre: FloatArray, radius: float, share: float) -> Orbit:
        """Drift by ``share`` of the way, further if it is far, towards framing a ball of ``radius`` metres at ``centre`` (3,)."""
        wanted = float(np.clip(radius / np.sin(np.radians(FOV_DEG) / 2) * FRAMING_ROOM, NEAREST_M, FARTHEST_M))
        away = np.array(self.target) - centre
        left = min(1.0 - share, LEASH * radius / max(float(np.linalg.norm(away)), 1e-9))
        x, y, z = centre + away * left
        distance = self.distance + (wanted - self.distance) * share
        return replace(self, target=(float(x), float(y), float(z)), distance=distance)


def orbit_lens(width: int, height: int) -> FloatArray:
    """K (3, 3) of the orbit view for a picture of this size."""
    focal = 0.5 * height / np.tan(np.radians(FOV_DEG) / 2)
    return np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1.0]])


def camera_lens(camera: Camera, width: int, height: int) -> FloatArray:
    """K (3, 3) that shows the real camera's whole picture, centred, in a view of this size.

    Open3D takes the principal point at the picture's centre only, so a calibrated offset is left out.
    """
    # One scale for both directions, as Open3D draws: pixels that are not square become square.
    wide = camera.width * float(camera.K[1, 1] / camera.K[0, 0])
    focal = float(camera.K[1, 1]) * min(width / wide, height / camera.height)
    return np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1.0]])
