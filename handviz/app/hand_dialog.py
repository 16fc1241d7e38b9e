"""How large the user's hand is: typed, or measured once at a known distance."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from handviz.app.hand_measure import HandMeasure
from handviz.app.widgets import GrowingDialog, heading
from handviz.arguments import HAND_SIZE_CM
from handviz.models.recovery import DEFAULT_PALM_M
from handviz.records import FrameResult

USUAL_CM = 40.0
LOOK_MS, STEPS = 30, 100
TYPED = "Measure from the wrist crease to the knuckle of the middle finger with a ruler. This is the most reliable way."
MEASURED = (
    "Hold your open hand flat towards the camera, at the distance from its lens that you enter here. The length is only as "
    "accurate as this distance and the camera's field of view: calibrate the camera first for the best result."
)
NO_PICTURE = "Open a camera or a recording first"
HELD = "The picture is paused. Close this, play, and measure again"


class HandDialog(GrowingDialog):
    """Asks for the palm's length. ``chosen`` carries it in metres, or None to forget it.

    ``look`` returns the newest result; ``held`` tells that playback is paused, so that no newer one will come.
    """

    chosen = Signal(object)

    def __init__(
        self,
        parent: QWidget,
        palm_m: float | None,
        look: Callable[[], FrameResult | None],
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Hand size")
        self._look, self._held = look, held
        self._measure: HandMeasure | None = None
        self.palm = self._number(10 * HAND_SIZE_CM[0], 10 * HAND_SIZE_CM[1], " mm", 1e3 * (palm_m or DEFAULT_PALM_M))
        self.distance = self._number(10, 200, " cm", USUAL_CM)
        self.start_button = QPushButton("Measure")
        self.start_button.clicked.connect(self.start)
        self.words, self.bar = QLabel(), QProgressBar()
        self.bar.setRange(0, STEPS)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        for part in (self.words, self.bar):
            part.hide()
        self._arrange()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._turn)

    def _number(self, low: float, high: float, unit: str, value: float) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(low, high)
        box.setDecimals(0)
        box.setSuffix(unit)
        box.setValue(value)
        return box

    def _arrange(self) -> None:
        rows = QVBoxLayout(self)
        rows.setContentsMargins(18, 16, 18, 14)
        rows.setSpacing(10)
        rows.addWidget(heading("By ruler"))
        rows.addLayout(self._row("Palm length", self.palm))
        rows.addWidget(self._text(TYPED))
        rows.addSpacing(6)
        rows.addWidget(heading("By camera"))
        rows.addLayout(self._row("Distance from lens to palm", self.distance, self.start_button))
        rows.addWidget(self._text(MEASURED))
        rows.addWidget(self.bar)
        rows.addWidget(self.words)
        rows.addWidget(self._buttons())
        self.setMinimumWidth(440)

    def _row(self, label: str, *widgets: QWidget) -> QFormLayout:
        form, place = QFormLayout(), QHBoxLayout()
        for widget in widgets:
            place.addWidget(widget, 1)
        words = QLabel(label)
        words.setBuddy(widgets[0])
        form.addRow(words, place)
        return form

    def _text(self, text: str) -> QLabel:
        label = QLabel(text)
        label.setWordWrap(True)
        label.setObjectName("muted")
        return label

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox()
        self.use_button = box.addButton("Use this length", QDialogButtonBox.ButtonRole.AcceptRole)
        self.use_button.setObjectName("primary")
        self.forget_button = box.addButton("Forget it", QDialogButtonBox.ButtonRole.DestructiveRole)
        self.forget_button.setToolTip("Take the scale from the estimator's own guess again")
        box.addButton(QDialogButtonBox.StandardButton.Cancel)
        self.use_button.clicked.connect(lambda: self._finish(self.palm.value() / 1e3))
        self.forget_button.clicked.connect(lambda: self._finish(None))
        box.rejected.connect(self.reject)
        return box

    def _finish(self, palm_m: float | None) -> None:
        self.chosen.emit(palm_m)
        self.accept()

    def start(self) -> None:
        """Begin to measure."""
        self._measure = HandMeasure(self.distance.value() / 100)
        for part in (self.words, self.bar):
            part.show()
        self._timer.start(LOOK_MS)
        self._turn()

    def _turn(self) -> None:
        measure, result = self._measure, self._look()
        assert measure is not None
        if result is not None:
            measure.add(result)
        self.words.setText(NO_PICTURE if result is None else HELD if self._in_vain() else measure.words)
        self.bar.setValue(round(measure.progress * STEPS))
        if measure.palm_m is not None:
            self._timer.stop()
            self.palm.setValue(measure.palm_m * 1e3)

    def _in_vain(self) -> bool:
        assert self._measure is not None
        return self._measure.palm_m is None and self._held()
