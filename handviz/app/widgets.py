"""Small parts that the panel and the dialogs are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QLabel, QSizePolicy, QSpinBox


def heading(text: str) -> QLabel:
    """A section's title."""
    label = QLabel(text.upper())
    label.setObjectName("heading")
    return label


def combo_box(tip: str) -> QComboBox:
    """A list of choices that is as wide as its place."""
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.setMinimumContentsLength(6)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def spin_box(low: int, high: int, suffix: str, tip: str) -> QSpinBox:
    """A whole number with plus and minus."""
    spin = QSpinBox()
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
