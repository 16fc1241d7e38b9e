"""Which intrinsics are in force without being a lasting choice of the user's. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from handviz.capture.calibration import calibration_path
from handviz.pipeline.config import SessionConfig


@dataclass(slots=True, kw_only=True)
class Lens:
    """``own`` is the calibration of the camera that is open, ``resting`` what is put aside while that camera is calibrated.

    ``uses_own`` is False where the user gave a field of view instead, for as long as the window is open; so long the cameras in
    ``without``, by their names, do without their calibration, because the user forgot it.
    """

    uses_own: bool = True
    own: Path | None = None
    resting: Path | None = None
    without: set[str] = field(default_factory=set)

    def lasting(self, config: SessionConfig) -> SessionConfig:
        """Return the configuration as it stands without the present camera."""
        intrinsics = config.intrinsics or self.resting
        return replace(config, intrinsics=None if intrinsics == self.own else intrinsics)

    def forget(self, camera: str | None) -> None:
        """Do without intrinsics, and where a camera is open, without its own until ``want`` is called."""
        self.leave()
        if camera is not None:
            self.without.add(camera)

    def want(self, camera: str | None) -> None:
        """Take in that intrinsics were given for what is open."""
        self.without.discard(camera or "")

    def own_of(self, camera: str, size: tuple[int, int]) -> Path | None:
        """Return the calibration of a camera's pictures of this size, None where there is none, or it is not wanted."""
        path = calibration_path(camera, *size)
        return path if self.uses_own and camera not in self.without and path.exists() else None

    def leave(self) -> None:
        """Forget the present camera."""
        self.own = self.resting = None
