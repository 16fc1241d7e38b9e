"""Small parts that the panel, the pages and the dialogs are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeySequence, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)


def heading(text: str) -> QLabel:
    """A section's title."""
    label = QLabel(text.upper())
    label.setObjectName("heading")
    # By default Qt indents text from an edge set by a style sheet.
    label.setIndent(0)
    return label


def literal(name: str) -> str:
    """Escape a name for a button or a menu, where a single & marks a mnemonic key."""
    return name.replace("&", "&&")


def native(key: str) -> str:
    """Return a key as this system writes it: Ctrl+R is Command-R on a Mac."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


def combo_box(tip: str) -> QComboBox:
    """A list of choices that is as wide as its place allows."""
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.setMinimumContentsLength(6)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


class NumberBox(QSpinBox):
    """A number field that leaves alone what is being typed. ``emptied``: it was left empty, and its number was put back."""

    emptied = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._waiting: int | None = None
        self.editingFinished.connect(self._show_waiting)

    def show_number(self, number: int) -> None:
        """Show the value in force, without echoing it; while another is being typed, it waits until that is finished."""
        typed = self.hasFocus() and self.cleanText() != self.textFromValue(self.value())
        self._waiting = number if typed else None
        if not typed and number != self.value():
            with QSignalBlocker(self):
                self.setValue(number)

    def fixup(self, text: str) -> str:
        """Called by Qt for text that is not a number in the range; if returned unchanged, Qt restores the former number."""
        if not self.cleanText():
            self.emptied.emit()
        return text

    def _show_waiting(self) -> None:
        if self._waiting is not None:
            self.show_number(self._waiting)


def spin_box(low: int, high: int, suffix: str, tip: str) -> NumberBox:
    """An integer field with plus and minus buttons."""
    spin = NumberBox()
    spin.setRange(low, high)
    spin.setSuffix(suffix)
    spin.setToolTip(tip)
    spin.setKeyboardTracking(False)
    spin.setButtonSymbols(QSpinBox.ButtonSymbols.PlusMinus)
    return spin


def fill(combo: QComboBox, items: Sequence[str], chosen: str, data: Sequence[object] | None = None) -> None:
    """Show these choices, with the data of each, and select the one in force; an unchanged list is left alone."""
    if [combo.itemText(i) for i in range(combo.count())] != list(items):
        combo.clear()
        combo.addItems(list(items))
    for place, value in enumerate(data or ()):
        combo.setItemData(place, value)
    combo.setCurrentText(chosen)


def grey(combo: QComboBox, reasons: Mapping[str, str]) -> None:
    """Grey out the choices that cannot be taken; their tooltips say why."""
    model = combo.model()
    assert isinstance(model, QStandardItemModel)
    for place in range(combo.count()):
        item = model.item(place)
        reason = reasons.get(item.text())
        item.setEnabled(reason is None)
        item.setData(reason, Qt.ItemDataRole.ToolTipRole)


class GrowingDialog(QDialog):
    """A dialog that grows when its texts need more lines than it has room for: Qt would cut them off."""

    def event(self, event: QEvent) -> bool:
        """Grow once the layout has changed."""
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest and self.isVisible():
            self.resize(self.width(), max(self.height(), self.heightForWidth(self.width())))
        return done


class WordsOrContent(QWidget):
    """A page with controls on its right, and in the middle either words or the content."""

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
