"""Which picture size, rate and exposure to ask a camera for, and what it actually delivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from PySide6.QtCore import QTimer
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QComboBox,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from handviz.app.status import is_slow
from handviz.app.widgets import GrowingDialog
from handviz.capture.base import SourceSpec
from handviz.capture.exposure import EXPOSURE_MS, Exposure
from handviz.pipeline.session import SessionState

AS_IT_COMES = "camera default"
Size = tuple[int | None, int | None]
SIZES: tuple[Size, ...] = ((None, None), (640, 480), (800, 600), (1280, 720), (1920, 1080))
RATES: tuple[float | None, ...] = (None, 15.0, 30.0, 60.0)
EXPOSURES = (AS_IT_COMES, "automatic", "manual")
# Short enough for 30 frames per second and for a moving hand, long enough for a lit room.
USUAL_MS = 10.0
DECIMALS = 3
LOOK_MS = 500
WORDS = "A camera may use other values if it does not support these; some drivers do not let programs set the exposure."
SLOW = " It exposes too long for its rate, as most cameras do in low light: turn on a light, or set the exposure manually."
T = TypeVar("T")


class DecimalBox(QDoubleSpinBox):
    """Accepts a comma as the decimal point: Qt would drop it, and 12,5 would become 125. Shows no zeros at the end."""

    def validate(self, text: str, place: int) -> tuple[QValidator.State, str, int]:
        """Judge what is typed."""
        return super().validate(text.replace(",", "."), place)

    def textFromValue(self, value: float) -> str:
        """Return the number as the field shows it."""
        return f"{value:.{self.decimals()}f}".rstrip("0").rstrip(".")


class CameraDialog(GrowingDialog):
    """Asks for size, rate and exposure; ``spec`` is the camera as chosen. ``look`` returns the source's current state."""

    def __init__(self, parent: QWidget, spec: SourceSpec, look: Callable[[], SessionState | None] = lambda: None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Camera")
        self._spec, self._look = spec, look
        self._sizes, self._rates = _offered(SIZES, (spec.width, spec.height)), _offered(RATES, spec.fps)
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
        self.sizes.addItems([_size_words(size) for size in self._sizes])
        self.rates.addItems([AS_IT_COMES if rate is None else f"{rate:g} frames per second" for rate in self._rates])
        self.sizes.setCurrentIndex(self._sizes.index((spec.width, spec.height)))
        self.rates.setCurrentIndex(self._rates.index(spec.fps))
        self.exposures.addItems(EXPOSURES)
        by_hand = isinstance(spec.exposure, float)
        self.exposures.setCurrentIndex(0 if spec.exposure is None else 2 if by_hand else 1)
        self.exposure_ms.setDecimals(DECIMALS)
        self.exposure_ms.setRange(*EXPOSURE_MS)
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
        rows.addStretch(1)
        rows.addWidget(words)
        rows.addWidget(buttons)
        self.setMinimumWidth(420)

    def _show_limit(self) -> None:
        """Show the highest rate that a manual exposure allows."""
        exposure = self._exposure
        self.exposure_ms.setEnabled(isinstance(exposure, float))
        most = 1e3 / exposure if isinstance(exposure, float) else float("inf")
        self.limit.setText(f"At most {round(most, 1):g} frames per second with this exposure.")
        self.limit.setVisible(most < (self._rates[self.rates.currentIndex()] or 30.0))

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
        width, height = self._sizes[self.sizes.currentIndex()]
        rate = self._rates[self.rates.currentIndex()]
        return replace(self._spec, width=width, height=height, fps=rate, exposure=self._exposure)


def _offered(usual: tuple[T, ...], wanted: T) -> tuple[T, ...]:
    """Return the usual choices, followed by the one in force if it is not among them."""
    return usual if wanted in usual else (*usual, wanted)


def _size_words(size: Size) -> str:
    width, height = size
    return AS_IT_COMES if size == (None, None) else f"{width or 'any'} × {height or 'any'}"
