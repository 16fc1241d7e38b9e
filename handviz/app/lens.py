"""The user's intents about intrinsics, and which intrinsics in force are not a lasting choice. No Qt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from handviz.capture.calibration import calibration_path
from handviz.pipeline.config import SessionConfig

if TYPE_CHECKING:
    from handviz.app.controller import Controller


class Lens:
    """Turns these intents into changes of a controller's configuration.

    ``own`` is the calibration of the open camera. ``uses_own`` is False if the user gave a field of view instead, which counts
    for as long as the window is open.
    """

    def __init__(self, controller: Controller, *, uses_own: bool) -> None:
        self.own: Path | None = None
        self._controller, self._uses_own = controller, uses_own
        # The intrinsics set aside while the camera is calibrated.
        self._resting: Path | None = None
        # Names of cameras whose calibration is not used for as long as the window is open: the user had it forgotten.
        self._without: set[str] = set()

    def lasting(self, config: SessionConfig) -> SessionConfig:
        """Return the configuration without what belongs to the current camera."""
        intrinsics = config.intrinsics or self._resting
        return replace(config, intrinsics=None if intrinsics == self.own else intrinsics)

    def use_calibration(self, path: Path) -> None:
        """Use a calibration of the current camera, until another source is opened."""
        self._want()
        self.own, self._resting = path, None
        self._controller.configure(intrinsics=path)

    def use_own(self, size: tuple[int, int]) -> None:
        """Use the current camera's calibration for this picture size, unless the user chose otherwise."""
        camera = self._camera
        if camera is None or self._in_force is not None or not self._uses_own or camera in self._without:
            return
        path = calibration_path(camera, *size)
        if path.exists():
            self.use_calibration(path)

    def load(self, path: Path) -> None:
        """Use an intrinsics file for whatever is open; one already in use is read again, as it may have changed."""
        if path == self._in_force:
            self._controller.configure(intrinsics=None)
        if self._controller.configure(intrinsics=path):
            self._want()

    def forget(self) -> None:
        """Stop using intrinsics; an open camera's own calibration is not used either, until one is loaded or made."""
        self.leave()
        camera = self._camera
        if camera is not None:
            self._without.add(camera)
        self._controller.configure(intrinsics=None)

    def rest(self) -> None:
        """Set the intrinsics aside while the camera is calibrated, so that its pictures arrive uncorrected."""
        self._resting = self._in_force
        self._controller.configure(intrinsics=None)

    def take_back(self) -> None:
        """Use what was set aside again, if the same camera is still open."""
        if self._resting is not None:
            self._controller.configure(intrinsics=self._resting)
        self._resting = None

    def leave(self) -> None:
        """Forget the current camera."""
        self.own = self._resting = None

    def _want(self) -> None:
        """Note that intrinsics were given for what is open."""
        self._without.discard(self._camera or "")

    @property
    def _in_force(self) -> Path | None:
        return self._controller.wish.config.intrinsics

    @property
    def _camera(self) -> str | None:
        """The name of the camera that is open."""
        spec = self._controller.wish.source
        return spec.name if spec is not None and spec.kind == "camera" else None
