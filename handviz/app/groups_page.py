"""The selector as a picture: which learned group answers for each joint."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from handviz.app.colours import DARK, Palette
from handviz.hand.palette import group_colour
from handviz.hand.skeleton import FINGER_JOINTS, NUM_JOINTS
from handviz.records import IntArray

LEFT, BOTTOM, TOP, RIGHT = 40, 22, 12, 14
WORD_HEIGHT = 16
NO_GROUPS = "The chosen estimator has no joint groups.\nA groups network shows here which group answers for which joint."


class GroupsPage(QWidget):
    """A matrix: a column a joint, a row a group, one filled cell a column."""

    def __init__(self) -> None:
        super().__init__()
        self._palette = DARK
        self._groups: IntArray | None = None

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._palette = palette
        self.update()

    def show_groups(self, groups: IntArray | None) -> None:
        """Show the group (21,) of each joint."""
        if groups is not self._groups:
            self._groups = groups
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the matrix, or why there is none."""
        painter = QPainter(self)
        painter.setPen(QColor(*self._palette.muted))
        if self._groups is None:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, NO_GROUPS)
        else:
            self._paint_matrix(painter, self._groups)
        painter.end()

    def _paint_matrix(self, painter: QPainter, groups: IntArray) -> None:
        rows = int(groups.max()) + 1
        wide = (self.width() - LEFT - RIGHT) / NUM_JOINTS
        high = (self.height() - TOP - BOTTOM) / rows
        for joint in range(NUM_JOINTS):
            for row in range(rows):
                mine = int(groups[joint]) == row
                cell = QRectF(LEFT + joint * wide + 1, TOP + row * high + 1, wide - 2, high - 2)
                painter.fillRect(cell, QColor(*(group_colour(row) if mine else self._palette.field)))
        self._paint_words(painter, rows, wide, high)

    def _paint_words(self, painter: QPainter, rows: int, wide: float, high: float) -> None:
        painter.setPen(QColor(*self._palette.muted))
        step = max(1, math.ceil(WORD_HEIGHT / max(high, 1.0)))
        for row in range(0, rows, step):
            place = QRectF(0, TOP + (row + 0.5) * high - WORD_HEIGHT / 2, LEFT - 8, WORD_HEIGHT)
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{row}")
        below = self.height() - BOTTOM
        painter.drawText(QRectF(LEFT - 12, below, wide + 24, BOTTOM), Qt.AlignmentFlag.AlignCenter, "wrist")
        for finger, joints in FINGER_JOINTS.items():
            place = QRectF(LEFT + joints[0] * wide, below, wide * len(joints), BOTTOM)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, finger)
