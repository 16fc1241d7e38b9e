"""Which intrinsics are in force without being a lasting choice of the user's. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from handviz.pipeline.config import SessionConfig


@dataclass(slots=True, kw_only=True)
class Lens:
    """``own`` is the calibration of the camera that is open, ``resting`` what is put aside while that camera is calibrated.

    ``uses_own`` is False where the user gave a field of view instead, for as long as the window is open.
    """

    uses_own: bool = True
    own: Path | None = None
    resting: Path | None = None

    def lasting(self, config: SessionConfig) -> SessionConfig:
        """Return the configuration as it stands without the present camera."""
        intrinsics = config.intrinsics or self.resting
        return replace(config, intrinsics=None if intrinsics == self.own else intrinsics)

    def leave(self) -> None:
        """Forget the present camera."""
        self.own = self.resting = None
