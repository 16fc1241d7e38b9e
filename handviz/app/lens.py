"""The user's intents about intrinsics, and which are in force without being a lasting choice. No Qt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from handviz.capture.calibration import calibration_path
from handviz.pipeline.config import SessionConfig

if TYPE_CHECKING:
    from handviz.app.controller import Controller


class Lens:
    """Turns them into changes of a controller's configuration.

    ``own`` is the calibration of the camera that is open. ``uses_own`` is False where the user gave a field of view instead,
    for as long as the window is open.
    """

    def __init__(self, controller: Controller, *, uses_own: bool) -> None:
        self.own: Path | None = None
        self._controller, self._uses_own = controller, uses_own
        # What is put aside while the camera is calibrated.
        self._resting: Path | None = None
        # Cameras, by their names, that do without their calibration for as long as the window is open: the user forgot it.
        self._without: set[str] = set()

    def lasting(self, config: SessionConfig) -> SessionConfig:
        """Return the configuration as it stands without the present camera."""
        intrinsics = config.intrinsics or self._resting
        return replace(config, intrinsics=None if intrinsics == self.own else intrinsics)

    def use_calibration(self, path: Path) -> None:
        """Use a calibration of the present camera, until another source is opened."""
        self._want()
        self.own, self._resting = path, None
        self._controller.configure(intrinsics=path)

    def use_own(self, size: tuple[int, int]) -> None:
        """Use what the present camera was calibrated to at this picture size, unless the user chose otherwise."""
        camera = self._camera
        if camera is None or self._in_force is not None or not self._uses_own or camera in self._without:
            return
        path = calibration_path(camera, *size)
        if path.exists():
            self.use_calibration(path)

    def load(self, path: Path) -> None:
        """Use an intrinsics file for whatever is open, also one that is in use and may have been written anew."""
        if path == self._in_force:
            self._controller.configure(intrinsics=None)
        if self._controller.configure(intrinsics=path):
            self._want()

    def forget(self) -> None:
        """Do without intrinsics; a camera that is open does without its own calibration, too, until one is loaded or made."""
        self.leave()
        camera = self._camera
        if camera is not None:
            self._without.add(camera)
        self._controller.configure(intrinsics=None)

    def rest(self) -> None:
        """Put the intrinsics aside while the camera is calibrated, so that its pictures come as the lens makes them."""
        self._resting = self._in_force
        self._controller.configure(intrinsics=None)

    def take_back(self) -> None:
        """Use again what was put aside, if the camera is still the one that is open."""
        if self._resting is not None:
            self._controller.configure(intrinsics=self._resting)
        self._resting = None

    def leave(self) -> None:
        """Forget the present camera."""
        self.own = self._resting = None

    def _want(self) -> None:
        """Take in that intrinsics were given for what is open."""
        self._without.discard(self._camera or "")

    @property
    def _in_force(self) -> Path | None:
        return self._controller.wish.config.intrinsics

    @property
    def _camera(self) -> str | None:
        """The name of the camera that is open."""
        spec = self._controller.wish.source
        return spec.name if spec is not None and spec.kind == "camera" else None
