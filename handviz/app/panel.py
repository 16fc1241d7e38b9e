"""The control panel: source, model, smoothing, and the view toggles."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from handviz.app.heat_choice import ALL, heat_choices
from handviz.app.model_form import ModelForm
from handviz.app.state import Controls
from handviz.app.view_options import MESH_STYLES, TOGGLES, Toggle, ViewOptions
from handviz.app.widgets import combo_box, fill, heading, literal, native

WIDTH = 272
STEPS = 100
REFINE_TIP = (
    "How many steps fit the dense estimator's hand to the joints and the mask it predicts. "
    "The picture waits for the first two; the others run in the background. "
    "The Refinement tab shows them one by one on a paused frame"
)


class Panel(QScrollArea):
    """All choices. ``configured`` and ``viewed`` carry a field's name and its new value."""

    configured = Signal(str, object)
    viewed = Signal(str, object)
    toggled = Signal(str)
    source_menu_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFixedWidth(WIDTH)
        # It scrolls to the control that Tab reaches.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._body = body = QFrame()
        body.setObjectName("panel")
        self._rows = QVBoxLayout(body)
        self._rows.setContentsMargins(14, 12, 14, 12)
        self._rows.setSpacing(8)
        self.chips: dict[str, QToolButton] = {}
        self._add_source()
        self._add_model()
        self._add_smoothing()
        self._add_toggles("Picture", "video")
        self._add_heatmap_of()
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
        key = native("Ctrl+O")
        self.source_button.setToolTip(f"Open a camera, a video, a picture or a folder ({key}). Files can be dropped anywhere")
        self.source_button.clicked.connect(lambda: self.source_menu_wanted.emit(self.source_button))
        self._rows.addWidget(self.source_button)

    def _add_model(self) -> None:
        self._rows.addWidget(heading("Model"))
        self.model = ModelForm()
        self.model.configured.connect(self.configured)
        self._rows.addWidget(self.model)

    def _add_smoothing(self) -> None:
        self.smoothing = QCheckBox("Smoothing")
        self.smoothing.setToolTip("One Euro filter: calm when the hand is still, quick when it moves (X)")
        self.smoothing.clicked.connect(lambda on: self.configured.emit("smoothing", on))
        self.strength, self.strength_value = self._slider("How strongly to smooth")
        self.strength.valueChanged.connect(lambda value: self.configured.emit("smoothing_strength", value / STEPS))
        self._add_slider_row(self.smoothing, self.strength, self.strength_value)
        self.refine_label = QLabel("Refinement")
        self.refine, self.refine_value = self._slider(REFINE_TIP)
        self.refine_label.setBuddy(self.refine)
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

    def _add_heatmap_of(self) -> None:
        self._heatmap_of = ALL
        self.heatmap_label = QLabel("Heatmaps of")
        self.heatmap_of = combo_box("Which heatmaps to show: of all joints, of the joints of one learned group, or of one joint")
        self.heatmap_of.activated.connect(lambda: self.viewed.emit("heatmap_of", self.heatmap_of.currentData()))
        self._add_row(self.heatmap_label, self.heatmap_of)

    def _add_row(self, label: QLabel, widget: QWidget) -> None:
        label.setBuddy(widget)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(widget, 1)
        self._rows.addLayout(row)

    def _add_mesh_style(self) -> None:
        self.mesh_label = QLabel("Surface")
        self.mesh_style = combo_box("Solid, wire, or see-through glass (W)")
        self.mesh_style.addItems(MESH_STYLES)
        self.mesh_style.activated.connect(lambda: self.viewed.emit("mesh_style", self.mesh_style.currentText()))
        self._add_row(self.mesh_label, self.mesh_style)

    def _slider(self, tip: str) -> tuple[QSlider, QLabel]:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, STEPS)
        slider.setToolTip(tip)
        value = QLabel("0")
        value.setObjectName("muted")
        return slider, value

    # Showing

    def showEvent(self, event: QShowEvent) -> None:
        """Be as wide as the texts need in the font in use."""
        super().showEvent(event)
        words = self._body.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
        self.setFixedWidth(max(WIDTH, words))

    def show_controls(self, controls: Controls) -> None:
        """Show the choices in force, without echoing them."""
        config = controls.config
        name = "Open…" if controls.source is None else controls.source.name
        shown = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, WIDTH - 70)
        self.source_button.setText(literal(shown))
        self.model.show_controls(controls)
        words = dict(heat_choices(controls.groups))
        fill(self.heatmap_of, tuple(words.values()), words.get(self._heatmap_of, words[ALL]), tuple(words))
        self.smoothing.setChecked(config.smoothing)
        self._show_slider(self.strength, self.strength_value, round(config.smoothing_strength * STEPS), config.smoothing)
        self._show_slider(self.refine, self.refine_value, config.refine_iterations, controls.can_refine)
        self.refine_label.setEnabled(controls.can_refine)

    def _show_slider(self, slider: QSlider, label: QLabel, value: int, enabled: bool) -> None:
        with QSignalBlocker(slider):
            slider.setValue(value)
        for part in (slider, label):
            part.setEnabled(enabled)
        label.setText(str(value))

    def show_options(self, options: ViewOptions, useful: frozenset[str]) -> None:
        """Show the view toggles; those without effect are greyed out."""
        for name, chip in self.chips.items():
            chip.setChecked(bool(getattr(options, name)))
            chip.setEnabled(name in useful)
        self._heatmap_of = options.heatmap_of
        self.heatmap_of.setCurrentIndex(max(self.heatmap_of.findData(options.heatmap_of), 0))
        for part in (self.heatmap_label, self.heatmap_of):
            part.setEnabled("heatmaps" in useful and options.heatmaps)
        self.mesh_style.setCurrentText(options.mesh_style)
        self.mesh_style.setEnabled("mesh_style" in useful)
        self.mesh_label.setEnabled("mesh_style" in useful)
