"""Which picture size and rate to ask a camera for."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from handviz.capture.base import SourceSpec

AS_IT_COMES = "as it comes"
SIZES: tuple[tuple[int, int] | None, ...] = (None, (640, 480), (800, 600), (1280, 720), (1920, 1080))
RATES: tuple[float | None, ...] = (None, 15.0, 30.0, 60.0)
WORDS = (
    "A camera takes what it can and may choose another. The status line shows the rate that really arrives: low light makes "
    "many cameras halve it, because they expose longer."
)


class CameraDialog(QDialog):
    """Asks for size and rate; ``spec`` is the camera as chosen."""

    def __init__(self, parent: QWidget, spec: SourceSpec) -> None:
        super().__init__(parent)
        self.setWindowTitle("Camera")
        self._spec = spec
        self.sizes, self.rates = QComboBox(), QComboBox()
        for size in SIZES:
            self.sizes.addItem(AS_IT_COMES if size is None else f"{size[0]} × {size[1]}", size)
        for rate in RATES:
            self.rates.addItem(AS_IT_COMES if rate is None else f"{rate:.0f} pictures a second", rate)
        wanted = None if spec.width is None or spec.height is None else (spec.width, spec.height)
        self.sizes.setCurrentIndex(SIZES.index(wanted) if wanted in SIZES else 0)
        self.rates.setCurrentIndex(RATES.index(spec.fps) if spec.fps in RATES else 0)
        form = QFormLayout()
        form.addRow("Picture", self.sizes)
        form.addRow("Rate", self.rates)
        words = QLabel(WORDS)
        words.setWordWrap(True)
        words.setObjectName("muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(18, 16, 18, 14)
        rows.setSpacing(12)
        rows.addLayout(form)
        rows.addWidget(words)
        rows.addWidget(buttons)
        self.setMinimumWidth(360)

    @property
    def spec(self) -> SourceSpec:
        """The camera with the chosen size and rate."""
        size = SIZES[self.sizes.currentIndex()]
        width, height = (None, None) if size is None else size
        return replace(self._spec, width=width, height=height, fps=RATES[self.rates.currentIndex()])
