"""Keyboard, wheel and screen reader: which keys a focused control keeps for itself, when it gets the focus, and its name."""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLabel, QMainWindow, QSlider, QTabBar, QWidget

Key = Qt.Key
ARROWS = frozenset({Key.Key_Left, Key.Key_Right, Key.Key_Up, Key.Key_Down})
ENDS = frozenset({Key.Key_Home, Key.Key_End})
# Keys that operate a control and would otherwise be shortcuts of the window.
OWN_KEYS = {
    QAbstractButton: ARROWS | {Key.Key_Space},
    QComboBox: ARROWS | ENDS | {Key.Key_Space},
    QSlider: ARROWS | ENDS,
    QTabBar: ARROWS | ENDS,
    # It is typed into, so a click gives it the focus, and its field itself claims keys: more than it can use.
    QAbstractSpinBox: frozenset[Key](),
}
IN_NUMBERS = frozenset("0123456789.-+")
NAMED = (QAbstractButton, QComboBox, QSlider, QAbstractSpinBox)


class ControlKeys(QObject):
    """Leaves a control its own keys and the wheel while it has the focus.

    A control gets the focus with Tab only: after a click, Space still goes to the player. Only one that is typed into keeps
    the focus after a click in it. Over a control without the focus, the wheel scrolls what contains it.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        # A dialog has no shortcuts that a number field could take.
        self._home = window.centralWidget() if isinstance(window, QMainWindow) else None
        for control in window.findChildren(QWidget):
            if isinstance(control, tuple(OWN_KEYS)) and control.focusPolicy() != Qt.FocusPolicy.NoFocus:
                typed = isinstance(control, QAbstractSpinBox)
                control.setFocusPolicy(Qt.FocusPolicy.StrongFocus if typed else Qt.FocusPolicy.TabFocus)
                control.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Claim a control's keys before a shortcut takes them, and keep from it what it cannot use."""
        if _is_useless(watched, event):
            event.ignore()
            return True
        if self._home is not None and event.type() == QEvent.Type.MouseButtonRelease and isinstance(watched, QAbstractSpinBox):
            # A click on its buttons: its text field handles its own clicks.
            self._home.setFocus()
        if event.type() != QEvent.Type.ShortcutOverride or not isinstance(event, QKeyEvent):
            return False
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        own = next(keys for kind, keys in OWN_KEYS.items() if isinstance(watched, kind))
        if not plain or event.key() not in own:
            return False
        event.accept()
        return True


def _is_useless(watched: QObject, event: QEvent) -> bool:
    """Say whether it is the wheel over a control without the focus, or a key in a number field that writes no number."""
    if event.type() == QEvent.Type.Wheel:
        return isinstance(watched, QWidget) and not watched.hasFocus()
    if not isinstance(event, QKeyEvent) or event.type() == QEvent.Type.KeyRelease or not isinstance(watched, QAbstractSpinBox):
        return False
    # With these modifiers it is a command, such as paste.
    command = event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.MetaModifier)
    return not command and event.text().isprintable() and not set(event.text()) <= IN_NUMBERS


def name_controls(window: QWidget) -> None:
    """For screen readers, name every control that has no text of its own after the beginning of its tooltip."""
    labelled = {label.buddy() for label in window.findChildren(QLabel)}
    for control in window.findChildren(QWidget):
        wordless = not (isinstance(control, QAbstractButton) and control.text())
        if isinstance(control, NAMED) and wordless and not control.accessibleName() and control not in labelled:
            control.setAccessibleName(name_in(control.toolTip()))


def name_in(tip: str) -> str:
    """Return the first words of a tooltip, without the key in parentheses: "Play or pause (Space)" is "Play or pause"."""
    return re.split(r" \(|\. |[;:] |\n", tip)[0]
