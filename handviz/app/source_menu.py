"""The menu of sources. Looking for cameras opens each in turn, so it runs off the display's thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QMenu, QWidget

from handviz.app.widgets import literal
from handviz.capture.base import SourceSpec
from handviz.capture.device import device_name
from handviz.capture.webcam import list_cameras
from handviz.pipeline.loader import PROBING, in_thread

LOOK_MS = 60


class SourceMenu(QMenu):
    """Cameras first, as they are found, then files. ``current`` is open already and is not probed."""

    def __init__(
        self,
        parent: QWidget,
        current: SourceSpec | None,
        open_camera: Callable[[SourceSpec], None],
        find: Callable[..., list[int]] = list_cameras,
    ) -> None:
        super().__init__(parent)
        self._open_camera = open_camera
        self._current = current if current is not None and current.kind == "camera" else None
        # A camera's driver may block for long: quitting does not wait for it.
        self._found = in_thread(partial(find, but=None if self._current is None else self._current.camera), PROBING)
        self._looking = self.addAction("Looking for cameras…")
        self._looking.setEnabled(False)
        self._first = self.addSeparator()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_MS)
        self.aboutToHide.connect(self._timer.stop)

    def _look(self) -> None:
        if not self._found.done():
            return
        self._timer.stop()
        numbers: set[int | str] = set(self._found.result())
        if self._current is not None:
            numbers.add(self._current.camera)
        for number in sorted(numbers, key=str):
            self._add(number)
        self._looking.setText("No camera was found")
        self._looking.setVisible(not numbers)

    def _add(self, number: int | str) -> None:
        here = self._current is not None and self._current.camera == number
        spec = self._current if here and self._current is not None else SourceSpec(kind="camera", camera=number)
        device = device_name(number)
        words = f"Camera {number}: {device}" if device else f"Camera {number}"
        action = self.addAction(literal(words), partial(self._open_camera, spec))
        action.setCheckable(True)
        action.setChecked(here)
        self.removeAction(action)
        self.insertAction(self._first, action)
