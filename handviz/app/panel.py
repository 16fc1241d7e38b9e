"""The control panel: source, model, smoothing, and the view toggles."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from handviz.app.state import Controls
from handviz.app.view_options import MESH_STYLES, TOGGLES, Toggle, ViewOptions

WIDTH = 272
STEPS = 100
NO_COMPARISON = "nothing"
REFINE_TIP = (
    "Steps by which the dense estimator's hand is brought nearer to the joints it sees in 2D, on every frame; "
    "the Refinement tab shows them one by one on a held frame"
)


def heading(text: str) -> QLabel:
    """A section's title."""
    label = QLabel(text.upper())
    label.setObjectName("heading")
    return label


class Panel(QScrollArea):
    """All choices. ``configured`` and ``viewed`` carry a field's name and its new value."""

    configured = Signal(str, object)
    viewed = Signal(str, object)
    toggled = Signal(str)
    compared = Signal(object)
    source_menu_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFixedWidth(WIDTH)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QFrame()
        body.setObjectName("panel")
        self._rows = QVBoxLayout(body)
        self._rows.setContentsMargins(14, 12, 14, 12)
        self._rows.setSpacing(8)
        self.chips: dict[str, QToolButton] = {}
        self._add_source()
        self._add_model()
        self._add_smoothing()
        self._add_toggles("Picture", "video")
        self._add_toggles("3D scene", "scene")
        self._add_mesh_style()
        self._rows.addStretch(1)
        self.setWidget(body)

    # Building

    def _add_source(self) -> None:
        self._rows.addWidget(heading("Source"))
        self.source_button = QToolButton()
        self.source_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.source_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.source_button.setToolTip("Open a camera, a video, a picture or a folder (Ctrl+O). Files can be dropped anywhere")
        self.source_button.clicked.connect(lambda: self.source_menu_wanted.emit(self.source_button))
        self._rows.addWidget(self.source_button)

    def _add_model(self) -> None:
        self._rows.addWidget(heading("Model"))
        form = QFormLayout()
        form.setSpacing(7)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        self.estimator = self._combo("Which network reads the hand (E takes the next one)")
        self.estimator.activated.connect(lambda: self.configured.emit("estimator", self.estimator.currentText()))
        self.compare = self._combo("A second estimator on the same frames, drawn in grey, with the difference in mm")
        self.compare.activated.connect(self._emit_comparison)
        self.hand_model = self._combo("Whose hand the mesh is: the bundled one, or a file of your own")
        self.hand_model.activated.connect(lambda: self.configured.emit("hand_model", self.hand_model.currentText()))
        self.max_hands = self._spin(1, 4, "", "How many hands are looked for at most")
        self.max_hands.valueChanged.connect(lambda value: self.configured.emit("max_hands", value))
        self.fov = self._spin(20, 150, "°", "The camera's field of view along its longer side, where it was not calibrated")
        self.fov.valueChanged.connect(lambda value: self.configured.emit("fov_deg", float(value)))
        for label, widget in (
            ("Estimator", self.estimator),
            ("Compare with", self.compare),
            ("Hand model", self.hand_model),
            ("Hands", self.max_hands),
            ("Field of view", self.fov),
        ):
            form.addRow(label, widget)
        self._rows.addLayout(form)

    def _add_smoothing(self) -> None:
        self.smoothing = QCheckBox("Smoothing")
        self.smoothing.setToolTip("One Euro filter: calm when the hand is still, quick when it moves (X)")
        self.smoothing.clicked.connect(lambda on: self.configured.emit("smoothing", on))
        self.strength, self.strength_value = self._slider("How much is smoothed")
        self.strength.valueChanged.connect(lambda value: self.configured.emit("smoothing_strength", value / STEPS))
        self._add_slider_row(self.smoothing, self.strength, self.strength_value)
        self.refine_label = QLabel("Refinement")
        self.refine, self.refine_value = self._slider(REFINE_TIP)
        self.refine.valueChanged.connect(lambda value: self.configured.emit("refine_iterations", value))
        self._add_slider_row(self.refine_label, self.refine, self.refine_value)

    def _add_slider_row(self, title: QWidget, slider: QSlider, value: QLabel) -> None:
        row = QGridLayout()
        row.setVerticalSpacing(3)
        row.addWidget(title, 0, 0)
        row.addWidget(value, 0, 1, Qt.AlignmentFlag.AlignRight)
        row.addWidget(slider, 1, 0, 1, 2)
        self._rows.addLayout(row)

    def _add_toggles(self, title: str, place: str) -> None:
        self._rows.addWidget(heading(title))
        grid = QGridLayout()
        grid.setSpacing(5)
        for number, toggle in enumerate(toggle for toggle in TOGGLES if toggle.place == place):
            grid.addWidget(self._chip(toggle), number // 3, number % 3)
        for column in range(3):
            grid.setColumnStretch(column, 1)
        self._rows.addLayout(grid)

    def _chip(self, toggle: Toggle) -> QToolButton:
        chip = QToolButton()
        chip.setObjectName("chip")
        chip.setText(toggle.label)
        chip.setCheckable(True)
        chip.setToolTip(f"{toggle.tip} ({toggle.key})")
        chip.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        chip.clicked.connect(lambda: self.toggled.emit(toggle.name))
        self.chips[toggle.name] = chip
        return chip

    def _add_mesh_style(self) -> None:
        row = QHBoxLayout()
        self.mesh_label = QLabel("Surface")
        self.mesh_style = self._combo("Solid, wire, or see-through glass (W)")
        self.mesh_style.addItems(MESH_STYLES)
        self.mesh_style.activated.connect(lambda: self.viewed.emit("mesh_style", self.mesh_style.currentText()))
        row.addWidget(self.mesh_label)
        row.addWidget(self.mesh_style, 1)
        self._rows.addLayout(row)

    def _combo(self, tip: str) -> QComboBox:
        combo = QComboBox()
        combo.setToolTip(tip)
        combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        combo.setMinimumContentsLength(6)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        return combo

    def _spin(self, low: int, high: int, suffix: str, tip: str) -> QSpinBox:
        spin = QSpinBox()
        spin.setRange(low, high)
        spin.setSuffix(suffix)
        spin.setToolTip(tip)
        spin.setKeyboardTracking(False)
        spin.setButtonSymbols(QSpinBox.ButtonSymbols.PlusMinus)
        return spin

    def _slider(self, tip: str) -> tuple[QSlider, QLabel]:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, STEPS)
        slider.setToolTip(tip)
        value = QLabel("0")
        value.setObjectName("muted")
        return slider, value

    def _emit_comparison(self) -> None:
        chosen = self.compare.currentText()
        self.compared.emit(None if chosen == NO_COMPARISON else chosen)

    # Showing

    def show_controls(self, controls: Controls) -> None:
        """Show the choices in force, without echoing them."""
        config = controls.config
        name = "Open…" if controls.source is None else controls.source.name
        self.source_button.setText(self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, WIDTH - 70))
        _fill(self.estimator, controls.estimators, config.estimator)
        others = tuple(name for name in controls.estimators if name != config.estimator)
        _fill(self.compare, (NO_COMPARISON, *others), config.compare_with or NO_COMPARISON)
        self.compare.setEnabled(controls.can_compare)
        _fill(self.hand_model, controls.hand_models, config.hand_model)
        for spin, value in ((self.max_hands, config.max_hands), (self.fov, round(config.fov_deg))):
            with QSignalBlocker(spin):
                spin.setValue(value)
        self.fov.setEnabled(controls.fov_used)
        self.smoothing.setChecked(config.smoothing)
        self._show_slider(self.strength, self.strength_value, round(config.smoothing_strength * STEPS), config.smoothing)
        self._show_slider(self.refine, self.refine_value, config.refine_iterations, controls.can_refine)
        self.refine_label.setEnabled(controls.can_refine)

    def _show_slider(self, slider: QSlider, label: QLabel, value: int, enabled: bool) -> None:
        with QSignalBlocker(slider):
            slider.setValue(value)
        slider.setEnabled(enabled)
        label.setText(str(value))

    def show_options(self, options: ViewOptions, useful: frozenset[str]) -> None:
        """Show the view toggles; those without effect are greyed."""
        for name, chip in self.chips.items():
            chip.setChecked(bool(getattr(options, name)))
            chip.setEnabled(name in useful)
        self.mesh_style.setCurrentText(options.mesh_style)
        self.mesh_style.setEnabled("mesh_style" in useful)
        self.mesh_label.setEnabled("mesh_style" in useful)


def _fill(combo: QComboBox, items: tuple[str, ...], chosen: str) -> None:
    if [combo.itemText(i) for i in range(combo.count())] != list(items):
        combo.clear()
        combo.addItems(items)
    combo.setCurrentText(chosen)
