"""The page under ``?``: every key, and how to move in 3D."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from handviz.app.shortcuts import Shortcut, sections
from handviz.app.widgets import heading, native
from handviz.app.window import FRAME

MOUSE = "In 3D: drag to orbit, drag with the right button to pan,\nwheel to zoom, double-click to frame the hands."
COLUMNS = (("Playback", "Window"), ("Picture", "3D scene"))


class HelpPage(QDialog):
    """Lists the shortcuts; closes with Escape."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        grid = QGridLayout()
        grid.setHorizontalSpacing(30)
        grid.setVerticalSpacing(10)
        known = sections()
        for column, names in enumerate(COLUMNS):
            rows = QVBoxLayout()
            rows.setSpacing(6)
            for name in names:
                rows.addWidget(heading(name))
                rows.addWidget(_table(known[name]))
            rows.addStretch(1)
            grid.addLayout(rows, 0, column)
        table = QWidget()
        table.setLayout(grid)
        keys = QScrollArea()
        keys.setFrameShape(QFrame.Shape.NoFrame)
        keys.setWidgetResizable(True)
        keys.setWidget(table)
        done = QPushButton("Close")
        done.setObjectName("primary")
        done.clicked.connect(self.accept)
        words = QLabel(MOUSE)
        words.setObjectName("muted")
        below = QHBoxLayout()
        below.addWidget(words, 1)
        below.addWidget(done, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(24, 20, 24, 18)
        outer.addWidget(keys, 1)
        outer.addLayout(below)
        # Large enough for all keys, but no larger than the screen, where they scroll.
        others = QSize(keys.verticalScrollBar().sizeHint().width(), outer.spacing() + below.sizeHint().height())
        whole = (table.sizeHint() + others).grownBy(outer.contentsMargins())
        self.resize(whole.boundedTo(parent.screen().availableSize() - FRAME))


def _table(shortcuts: list[Shortcut]) -> QLabel:
    rows = "".join(
        f"<tr><td style='padding-right:14px'><b>{escape(native(s.key))}</b></td><td>{escape(s.words.split(';')[0])}</td></tr>"
        for s in shortcuts
    )
    label = QLabel(f"<table cellspacing='3'>{rows}</table>")
    label.setTextFormat(Qt.TextFormat.RichText)
    return label
