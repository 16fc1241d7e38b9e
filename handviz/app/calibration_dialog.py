"""Calibrating the open camera: print a board, hold it up in many positions, save the result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QPixmap
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from handviz.app.images import image_of
from handviz.app.widgets import GrowingDialog
from handviz.capture.board import PAGES_MM, BoardKind, BoardSpec, print_board
from handviz.capture.calibration import calibration_path, save_intrinsics
from handviz.capture.calibrator import ENOUGH_VIEWS, MIN_VIEWS, CalibrationResult, Calibrator, Offer
from handviz.errors import HandvizError
from handviz.hand.palette import RGB
from handviz.records import Frame, UInt8Array

PICTURE = QSize(640, 480)
SIDE_WIDTH, ADVICE_HEIGHT, WORDS_HEIGHT = 250, 62, 84
LOOK_EVERY_MS = 50
TAKEN: RGB = (92, 200, 130)
SEEN: RGB = (255, 181, 46)
ADVICE = {
    "no board": "Show the whole board to the camera.",
    "hold still": "Hold it still.",
    "taken": "Taken. Now move it elsewhere.",
    "move the board": "Move it: nearer, farther, tilted, into a corner.",
}
KINDS: dict[str, BoardKind] = {"ChArUco board": "charuco", "Checkerboard": "checkerboard"}


class CalibrationDialog(GrowingDialog):
    """Polls ``newest`` for frames; ``saved`` carries the path of a calibration that was saved."""

    saved = Signal(Path)

    def __init__(self, parent: QWidget | None, newest: Callable[[], Frame | None], camera_name: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Calibrate the camera")
        self._newest, self._camera_name = newest, camera_name
        self._calibrator = Calibrator(BoardSpec(), camera_name)
        self._result: CalibrationResult | None = None
        self._shown = -1
        # The board is detected off the display's thread, one picture at a time.
        self._worker = ThreadPoolExecutor(1, "handviz-calibration")
        self._looking: Future[Offer] | None = None
        self._solving: Future[CalibrationResult] | None = None
        self._frame: Frame | None = None
        self._build()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(LOOK_EVERY_MS)

    def _build(self) -> None:
        self.picture = QLabel("Waiting for the camera")
        self.picture.setFixedSize(PICTURE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.kind, self.page = QComboBox(), QComboBox()
        self.kind.addItems(list(KINDS))
        self.kind.setAccessibleName("Kind of board")
        self.page.setAccessibleName("Paper")
        self.page.addItems([name.upper() if len(name) == 2 else name.title() for name in PAGES_MM])
        self.kind.currentTextChanged.connect(lambda _: self.restart())
        self.print_button, self.solve_button = QPushButton("Print the board…"), QPushButton("Calculate")
        self.save_button, again = QPushButton("Save and use"), QPushButton("Begin again")
        self.save_button.setObjectName("primary")
        self.print_button.clicked.connect(lambda: self.ask_print())
        self.solve_button.clicked.connect(lambda: self.solve())
        self.save_button.clicked.connect(lambda: self.keep())
        again.clicked.connect(lambda: self.restart())
        self.bars = {name: QProgressBar() for name in self._calibrator.coverage}
        self.advice, self.count, self.words = QLabel(), QLabel(), QLabel()
        large = self.advice.font()
        large.setPointSizeF(1.3 * large.pointSizeF())
        self.advice.setFont(large)
        self.advice.setMinimumHeight(ADVICE_HEIGHT)
        self.words.setObjectName("muted")
        for label in (self.advice, self.words):
            label.setWordWrap(True)
        self.words.setMinimumHeight(WORDS_HEIGHT)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        side = QWidget()
        side.setFixedWidth(SIDE_WIDTH)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(9)
        for widget in (self.kind, self.page, self.print_button, self.advice):
            column.addWidget(widget)
        spans = QFormLayout()
        for name, bar in self.bars.items():
            bar.setTextVisible(False)
            spans.addRow(name.capitalize(), bar)
        spans.addRow("Views", self.count)
        column.addLayout(spans)
        for widget in (self.words, self.solve_button, self.save_button, again):
            column.addWidget(widget)
        column.insertStretch(column.indexOf(self.words))
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 18, 20, 18)
        row.setSpacing(18)
        row.addWidget(self.picture)
        row.addWidget(side)
        self._refresh("no board")

    def look(self) -> None:
        """Show what the worker found, and give it the newest picture."""
        solving, looking = self._solving, self._looking
        if solving is not None and solving.done():
            self._solving = None
            self._take_result(solving)
        if looking is not None:
            if not looking.done():
                return
            self._looking = None
            self._take_offer(looking)
        frame = self._newest()
        if frame is None or frame.index == self._shown:
            return
        self._shown, self._frame = frame.index, frame
        self._looking = self._worker.submit(self._calibrator.offer, frame.rgb)

    def _take_offer(self, looking: Future[Offer]) -> None:
        assert self._frame is not None
        try:
            offer = looking.result()
        except HandvizError as error:
            self.words.setText(str(error))
            return
        shown = picture_with_corners(self._frame.rgb, offer, self._calibrator)
        sharp = self.devicePixelRatioF()
        scaled = QPixmap.fromImage(image_of(shown)).scaled(
            PICTURE * sharp, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        scaled.setDevicePixelRatio(sharp)
        self.picture.setPixmap(scaled)
        self._refresh(offer.advice)

    def _refresh(self, advice: str) -> None:
        calibrator = self._calibrator
        self.advice.setText("Enough views: press Calculate." if calibrator.ready else ADVICE[advice])
        for name, share in calibrator.coverage.items():
            self.bars[name].setValue(round(100 * share))
        self.count.setText(f"{calibrator.views} of {ENOUGH_VIEWS}")
        self.solve_button.setEnabled(calibrator.views >= MIN_VIEWS and self._solving is None)
        self.save_button.setEnabled(self._result is not None)

    def solve(self) -> None:
        """Calculate the intrinsics off the display's thread."""
        self._result = None
        self.words.setText("Calculating…")
        self._solving = self._worker.submit(self._calibrator.solve)
        self.solve_button.setEnabled(False)

    def _take_result(self, solving: Future[CalibrationResult]) -> None:
        try:
            self._result = solving.result()
        except HandvizError as error:
            self.words.setText(str(error))
            return
        found = self._result.intrinsics
        left_out = f", {self._result.rejected} left out" if self._result.rejected else ""
        self.words.setText(
            f"Reprojection error {found.error_px:.2f} px over {self._result.views} views{left_out}. Focal length "
            f"{found.K[0, 0]:.1f} x {found.K[1, 1]:.1f} px, give or take {self._result.focal_deviation_px:.1f}."
        )
        self.save_button.setEnabled(True)

    def keep(self) -> None:
        """Save the result for this camera and picture size, and emit ``saved``."""
        assert self._result is not None and self._result.intrinsics.size is not None
        path = calibration_path(self._camera_name, *self._result.intrinsics.size)
        try:
            save_intrinsics(self._result.intrinsics, path)
        except HandvizError as error:
            self.words.setText(str(error))
            return
        self.saved.emit(path)
        self.accept()

    def restart(self) -> None:
        """Forget all views, on request or because another board was chosen."""
        self._calibrator = Calibrator(BoardSpec(kind=KINDS[self.kind.currentText()]), self._camera_name)
        # Calculations and detections still under way belong to the old board.
        self._result = self._solving = self._looking = None
        self.words.clear()
        self._refresh("no board")

    def ask_print(self) -> None:
        """Ask for a file and write the board to it."""
        path, _ = QFileDialog.getSaveFileName(self, "Print the board", "board.pdf", "Page (*.pdf);;Picture (*.png)")
        if path:
            self.print_to(Path(path))

    def print_to(self, path: Path) -> None:
        """Write the chosen board for printing."""
        try:
            print_board(self._calibrator.spec, path, list(PAGES_MM)[self.page.currentIndex()])
        except HandvizError as error:
            self.words.setText(str(error))
            return
        self.words.setText(f"Written to {path}. Print it at 100 % and fix it to something flat.")

    def done(self, result: int) -> None:
        """Stop the timer and the worker, however the dialog ends."""
        self._timer.stop()
        self._worker.shutdown(wait=False, cancel_futures=True)
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Do the same when the window is closed."""
        self.done(0)
        super().closeEvent(event)


def picture_with_corners(rgb: UInt8Array, offer: Offer, calibrator: Calibrator) -> UInt8Array:
    """Return a copy of the picture with the board's corners, and a tint over the parts already covered by the board."""
    cells = calibrator.cells_seen
    veil = cv2.resize((cells > 0).astype(np.float32), (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_NEAREST)[..., None]
    canvas = (rgb * (1 - 0.22 * veil) + np.array(TAKEN) * 0.22 * veil).astype(np.uint8)
    colour = TAKEN if offer.advice == "taken" else SEEN
    radius = max(2, round(min(rgb.shape[:2]) / 130))
    for u, v in () if offer.corners_px is None else np.round(offer.corners_px).astype(int):
        cv2.circle(canvas, (int(u), int(v)), radius, colour, -1, cv2.LINE_AA)
    return cast(UInt8Array, canvas)
