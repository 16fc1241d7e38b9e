"""The panel's model section: estimator, network, comparison, hand model and size, and field of view."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QSizePolicy, QToolButton, QWidget

from handviz.app.state import Controls
from handviz.app.widgets import combo_box, fill, grey, spin_box
from handviz.arguments import FOV_DEG, MAX_HANDS

NO_COMPARISON = "nothing"
OPEN_FILE = "Open a file…"
BUILT_IN = "built in"
NO_SIZE = "not given…"
SIZE_TIP = (
    "How large your hand is, to get true metres: one camera cannot tell a large hand far away from a small one close by. "
    "Type the length of your palm, or measure it once"
)
AUTO_FOV = "auto: "
FOV_TIP = (
    "The field of view along the picture's longer side, for a camera that is not calibrated.\n"
    "auto: taken from a photograph's EXIF; a photograph that shows little but a hand is assumed to be cropped from a larger one. "
    "Type another value; clear the field to return to auto"
)


class ModelForm(QWidget):
    """Choices about the model. ``configured`` carries a field's name and its new value."""

    configured = Signal(str, object)
    compared = Signal(object)
    network_chosen = Signal(object)
    network_file_wanted = Signal()
    hand_size_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.estimator = combo_box("Which network estimates the hand (E selects the next one); auto: the best one that keeps up")
        self.estimator.activated.connect(lambda: self.configured.emit("estimator", self.estimator.currentText()))
        self.network = combo_box("Which trained weights the network runs: shipped ones, your own, or a file")
        self.network.activated.connect(self._choose_network)
        self.compare = combo_box("A second estimator on the same frames, drawn in grey, with the difference in mm")
        self.compare.activated.connect(self._choose_comparison)
        self.hand_model = combo_box("Which hand model the mesh uses: the bundled one, or your own file")
        self.hand_model.activated.connect(lambda: self.configured.emit("hand_model", self.hand_model.currentText()))
        self.hand_size = QToolButton()
        self.hand_size.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hand_size.setToolTip(SIZE_TIP)
        self.hand_size.clicked.connect(lambda: self.hand_size_wanted.emit())
        self.max_hands = spin_box(*MAX_HANDS, "", "How many hands to look for at most")
        self.max_hands.valueChanged.connect(lambda value: self.configured.emit("max_hands", value))
        self.fov = spin_box(*FOV_DEG, "°", FOV_TIP)
        self.fov.valueChanged.connect(lambda value: self.configured.emit("fov_deg", float(value)))
        self.fov.emptied.connect(lambda: self.configured.emit("fov_deg", None))
        self._arrange()

    def _arrange(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(7)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for label, widget in (
            ("Estimator", self.estimator),
            ("Network", self.network),
            ("Compare with", self.compare),
            ("Hand model", self.hand_model),
            ("Hand size", self.hand_size),
            ("Hands", self.max_hands),
            ("Field of view", self.fov),
        ):
            form.addRow(label, widget)

    def _choose_network(self, place: int) -> None:
        if self.network.itemText(place) == OPEN_FILE:
            self.network_file_wanted.emit()
        else:
            self.network_chosen.emit(self.network.itemData(place))

    def _choose_comparison(self) -> None:
        chosen = self.compare.currentText()
        self.compared.emit(None if chosen == NO_COMPARISON else chosen)

    def show_controls(self, controls: Controls) -> None:
        """Show the choices in force, without echoing them."""
        config = controls.config
        lacking = dict(controls.lacking)
        fill(self.estimator, controls.estimators, config.estimator)
        fill(self.compare, (NO_COMPARISON, *controls.rivals), config.compare_with or NO_COMPARISON)
        for combo in (self.estimator, self.compare):
            grey(combo, lacking)
        self.compare.setEnabled(bool(controls.rivals))
        fill(self.hand_model, controls.hand_models, config.hand_model)
        self._show_networks(controls)
        palm = config.hand_scale_m
        self.hand_size.setText(NO_SIZE if palm is None else f"{palm * 1e3:.0f} mm palm…")
        self.max_hands.show_number(config.max_hands)
        self._show_fov(controls)

    def _show_fov(self, controls: Controls) -> None:
        words = AUTO_FOV if controls.fov_used and controls.config.fov_deg is None else ""
        if words != self.fov.prefix():
            self.fov.setPrefix(words)
        self.fov.show_number(round(controls.fov_deg))
        self.fov.setEnabled(controls.fov_used)

    def _show_networks(self, controls: Controls) -> None:
        labels = [label for label, _ in controls.networks] or [BUILT_IN]
        paths = [path for _, path in controls.networks] or [None]
        fill(self.network, (*labels, OPEN_FILE), controls.network or BUILT_IN, paths)
