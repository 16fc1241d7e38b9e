"""The dialogs about model, hand and camera: what they ask, and what happens with the answer."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFileDialog

from handviz.app.calibration_dialog import CalibrationDialog
from handviz.app.camera_dialog import CameraDialog
from handviz.app.controller import Controller
from handviz.app.hand_dialog import HandDialog
from handviz.app.keyboard import ControlKeys, name_controls
from handviz.app.window import MainWindow
from handviz.capture.base import SourceSpec
from handviz.models.weights_files import WEIGHTS_SUFFIX
from handviz.records import Frame


class Dialogs:
    """Opens dialogs over one window, and hands their answers to its controller."""

    def __init__(self, window: MainWindow, controller: Controller) -> None:
        self._window, self._controller = window, controller

    def open_network(self) -> None:
        """Ask for a weights file and run it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Network weights", "", f"Weights (*{WEIGHTS_SUFFIX})")
        if path:
            self._controller.choices.network(Path(path))
        else:
            # The list shows the entry that was chosen; show what is in force again.
            self._controller.show_again()

    def hand_size(self) -> None:
        """Ask how large the hand is, or measure it."""
        controller = self._controller
        session = controller.session
        dialog = HandDialog(
            self._window,
            controller.wish.config.hand_scale_m,
            look=lambda: controller.result,
            held=lambda: session is not None and not session.state().playing,
        )
        dialog.chosen.connect(lambda palm_m: controller.configure(hand_scale_m=palm_m))
        _open(dialog)

    def camera_settings(self) -> None:
        """Ask for the camera's picture size and rate, and reopen it with them."""
        spec = self._camera()
        if spec is None:
            return
        session = self._controller.session
        dialog = CameraDialog(self._window, spec, lambda: None if session is None else session.state())
        dialog.accepted.connect(lambda: self._controller.open(dialog.spec))
        _open(dialog)

    def calibrate(self) -> None:
        """Open the calibration of the camera. It needs uncorrected pictures, so intrinsics are set aside meanwhile."""
        spec = self._camera()
        if spec is None:
            return
        controller, session = self._controller, self._controller.session
        shown = controller.frame()

        def newest() -> Frame | None:
            # A file may be dropped on the window meanwhile: its pictures are not this camera's.
            return self._newer_than(shown) if controller.session is session else None

        dialog = CalibrationDialog(self._window, newest, spec.name)
        dialog.saved.connect(lambda path: controller.lens.use_calibration(path) if controller.session is session else None)
        dialog.rejected.connect(controller.lens.take_back)
        if controller.wish.config.intrinsics is not None:
            controller.lens.rest()
        if session is not None and not session.state().playing:
            # A frozen camera would not show the board.
            session.resume()
        _open(dialog)

    def _newer_than(self, shown: Frame | None) -> Frame | None:
        """Return the newest frame if no calibration was applied to it; the one shown before may be undistorted."""
        frame = self._controller.frame()
        touched = frame is None or frame.camera.source == "calibrated" or (shown is not None and frame.rgb is shown.rgb)
        return None if touched else frame

    def load_calibration(self) -> None:
        """Ask for an intrinsics file and use it."""
        path, _ = QFileDialog.getOpenFileName(self._window, "Camera intrinsics", "", "Intrinsics (*.json *.npy *.npz)")
        if path:
            self._controller.lens.load(Path(path))

    def _camera(self) -> SourceSpec | None:
        spec = self._controller.wish.source
        if spec is None or spec.kind != "camera":
            self._controller.report("This needs a camera, and none is open. Open one first.")
            return None
        return spec


def _open(dialog: QDialog) -> None:
    name_controls(dialog)
    ControlKeys(dialog)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
