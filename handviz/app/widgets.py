"""Small parts that the panel, the pages and the dialogs are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QSpinBox, QStackedWidget, QVBoxLayout, QWidget


def heading(text: str) -> QLabel:
    """A section's title."""
    label = QLabel(text.upper())
    label.setObjectName("heading")
    # By itself Qt moves text in from an edge that a style sheet gives it.
    label.setIndent(0)
    return label


def literal(name: str) -> str:
    """Return a name for a button or a menu, where a single & marks a key."""
    return name.replace("&", "&&")


def native(key: str) -> str:
    """Return a key as this system writes it: Ctrl+R is Command-R on a Mac."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


def combo_box(tip: str) -> QComboBox:
    """A list of choices that is as wide as its place."""
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.setMinimumContentsLength(6)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


class NumberBox(QSpinBox):
    """A field for a number that leaves alone what is being typed. ``emptied``: it was left without one, and has it again."""

    emptied = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._waiting: int | None = None
        self.editingFinished.connect(self._show_waiting)

    def show_number(self, number: int) -> None:
        """Show the value in force, without echoing it; one that comes while another is typed waits for the end of that."""
        typed = self.hasFocus() and self.cleanText() != self.textFromValue(self.value())
        self._waiting = number if typed else None
        if not typed and number != self.value():
            with QSignalBlocker(self):
                self.setValue(number)

    def fixup(self, text: str) -> str:
        """Asked by Qt about what is no number in the range; left as it is, the number that was there is put back."""
        if not self.cleanText():
            self.emptied.emit()
        return text

    def _show_waiting(self) -> None:
        if self._waiting is not None:
            self.show_number(self._waiting)


def spin_box(low: int, high: int, suffix: str, tip: str) -> NumberBox:
    """A whole number with plus and minus."""
    spin = NumberBox()
    spin.setRange(low, high)
    spin.setSuffix(suffix)
    spin.setToolTip(tip)
    spin.setKeyboardTracking(False)
    spin.setButtonSymbols(QSpinBox.ButtonSymbols.PlusMinus)
    return spin


def fill(combo: QComboBox, items: Sequence[str], chosen: str, data: Sequence[object] | None = None) -> None:
    """Show these choices, with what stands behind each, and the one in force; a list that did not change is left alone."""
    if [combo.itemText(i) for i in range(combo.count())] != list(items):
        combo.clear()
        combo.addItems(list(items))
    for place, value in enumerate(data or ()):
        combo.setItemData(place, value)
    combo.setCurrentText(chosen)


def grey(combo: QComboBox, reasons: Mapping[str, str]) -> None:
    """Grey the choices that can not be taken; why stands under the pointer."""
    model = combo.model()
    assert isinstance(model, QStandardItemModel)
    for place in range(combo.count()):
        item = model.item(place)
        reason = reasons.get(item.text())
        item.setEnabled(reason is None)
        item.setData(reason, Qt.ItemDataRole.ToolTipRole)


class WordsOrContent(QWidget):
    """A page with controls at its right: words in the middle, or the content in their place."""

    def __init__(self, content: QWidget, controls: QVBoxLayout, controls_width: int) -> None:
        super().__init__()
        self._words = QLabel()
        self._words.setObjectName("muted")
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words.setWordWrap(True)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._words)
        self._stack.addWidget(content)
        side = QWidget()
        side.setFixedWidth(controls_width)
        controls.setContentsMargins(8, 6, 14, 6)
        controls.addStretch(1)
        side.setLayout(controls)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._stack, 1)
        row.addWidget(side)

    @property
    def words(self) -> str | None:
        """The words shown, None where the content is."""
        return self._words.text() if self._stack.currentIndex() == 0 else None

    def show_words(self, words: str | None) -> None:
        """Show words, or with None the content."""
        self._words.setText(words or "")
        self._stack.setCurrentIndex(1 if words is None else 0)
