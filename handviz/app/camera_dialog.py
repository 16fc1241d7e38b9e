"""Which picture size, rate and exposure to ask a camera for, and what it actually delivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QTimer
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from handviz.app.status import is_slow
from handviz.capture.base import SourceSpec
from handviz.capture.exposure import Exposure
from handviz.pipeline.session import SessionState

AS_IT_COMES = "camera default"
SIZES: tuple[tuple[int, int] | None, ...] = (None, (640, 480), (800, 600), (1280, 720), (1920, 1080))
RATES: tuple[float | None, ...] = (None, 15.0, 30.0, 60.0)
EXPOSURES = (AS_IT_COMES, "automatic", "manual")
# Short enough for 30 frames per second and for a moving hand, long enough for a lit room.
USUAL_MS = 10.0
LOOK_MS = 500
WORDS = "A camera may use other values if it does not support these; some drivers do not let programs set the exposure."
SLOW = " It exposes too long for its rate, as most cameras do in low light: turn on a light, or set the exposure manually."


class DecimalBox(QDoubleSpinBox):
    """Accepts a comma as the decimal point: Qt would drop it, and 12,5 would become 125."""

    def validate(self, text: str, place: int) -> tuple[QValidator.State, str, int]:
        """Judge what is typed."""
        return super().validate(text.replace(",", "."), place)


class CameraDialog(QDialog):
    """Asks for size, rate and exposure; ``spec`` is the camera as chosen. ``look`` returns the source's current state."""

    def __init__(self, parent: QWidget, spec: SourceSpec, look: Callable[[], SessionState | None] = lambda: None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Camera")
        self._spec, self._look = spec, look
        self.sizes, self.rates, self.exposures, self.exposure_ms = QComboBox(), QComboBox(), QComboBox(), DecimalBox()
        self.measured, self.limit = QLabel(), QLabel()
        self._fill()
        self._arrange()
        self._show_limit()
        self._show_rate()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._show_rate)
        self._timer.start(LOOK_MS)

    def _fill(self) -> None:
        spec = self._spec
        for size in SIZES:
            self.sizes.addItem(AS_IT_COMES if size is None else f"{size[0]} × {size[1]}", size)
        for rate in RATES:
            self.rates.addItem(AS_IT_COMES if rate is None else f"{rate:.0f} frames per second", rate)
        wanted = None if spec.width is None or spec.height is None else (spec.width, spec.height)
        self.sizes.setCurrentIndex(SIZES.index(wanted) if wanted in SIZES else 0)
        self.rates.setCurrentIndex(RATES.index(spec.fps) if spec.fps in RATES else 0)
        self.exposures.addItems(EXPOSURES)
        by_hand = isinstance(spec.exposure, float)
        self.exposures.setCurrentIndex(0 if spec.exposure is None else 2 if by_hand else 1)
        self.exposure_ms.setRange(0.1, 500.0)
        self.exposure_ms.setDecimals(1)
        self.exposure_ms.setSuffix(" ms")
        self.exposure_ms.setValue(spec.exposure if isinstance(spec.exposure, float) else USUAL_MS)
        self.exposures.currentIndexChanged.connect(self._show_limit)
        self.rates.currentIndexChanged.connect(self._show_limit)
        self.exposure_ms.valueChanged.connect(self._show_limit)

    def _arrange(self) -> None:
        form = QFormLayout()
        exposure = QHBoxLayout()
        exposure.addWidget(self.exposures, 1)
        exposure.addWidget(self.exposure_ms)
        for label, widget in (("Picture", self.sizes), ("Rate", self.rates)):
            form.addRow(label, widget)
        exposure_words = QLabel("Exposure")
        exposure_words.setBuddy(self.exposures)
        form.addRow(exposure_words, exposure)
        self.exposure_ms.setAccessibleName("Manual exposure")
        form.addRow("", self.limit)
        form.addRow("Now", self.measured)
        words = QLabel(WORDS)
        for text in (words, self.limit, self.measured):
            text.setWordWrap(True)
        for text in (words, self.limit):
            text.setObjectName("muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(18, 16, 18, 14)
        rows.setSpacing(12)
        rows.addLayout(form)
        rows.addWidget(words)
        rows.addWidget(buttons)
        self.setMinimumWidth(420)

    def _show_limit(self) -> None:
        """Show the highest rate that a manual exposure allows."""
        exposure = self._exposure
        self.exposure_ms.setEnabled(isinstance(exposure, float))
        most = 1e3 / exposure if isinstance(exposure, float) else float("inf")
        self.limit.setText(f"At most {most:.0f} frames per second with this exposure.")
        self.limit.setVisible(most < (RATES[self.rates.currentIndex()] or 30.0))

    def _show_rate(self) -> None:
        """Show the rate that the camera actually delivers."""
        state = self._look()
        if state is None or not state.fps_measured:
            self.measured.setText("no picture yet")
            return
        promised = f" of {state.fps_nominal:.0f}" if state.fps_nominal else ""
        self.measured.setText(f"{state.fps_measured:.1f}{promised} frames per second." + (SLOW if is_slow(state) else ""))

    @property
    def _exposure(self) -> Exposure | None:
        return (None, "auto", float(self.exposure_ms.value()))[self.exposures.currentIndex()]

    @property
    def spec(self) -> SourceSpec:
        """The camera with the chosen size, rate and exposure."""
        size = SIZES[self.sizes.currentIndex()]
        width, height = (None, None) if size is None else size
        rate = RATES[self.rates.currentIndex()]
        return replace(self._spec, width=width, height=height, fps=rate, exposure=self._exposure)
