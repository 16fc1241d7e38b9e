"""The selector as a picture: how probable it is that each learned group is responsible for each joint."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from handviz.app.colours import DARK, Palette, mix
from handviz.geometry.camera import FloatArray
from handviz.hand.palette import group_colour
from handviz.hand.skeleton import FINGER_JOINTS, JOINT_NAMES, NUM_JOINTS, WRIST

LEFT, BOTTOM, TOP, RIGHT = 72, 36, 22, 14
WORD_HEIGHT, PART_HEIGHT = 16, 15
NO_GROUPS = (
    "The chosen estimator has no joint groups.\n"
    "With a groups network, this page shows which group is responsible for which joint."
)
TITLE = "Probability that a group (row) is responsible for a joint (column), in the group's colour"
PARTS = ("", *(name.split("_")[1].upper() for name in JOINT_NAMES[1:]))


class GroupsPage(QWidget):
    """A matrix with a column per joint and a row per group, shaded by probability; it shows the value under the pointer."""

    def __init__(self) -> None:
        super().__init__()
        self._palette = DARK
        self.selector_JK: FloatArray | None = None
        self._cell: tuple[int, int] | None = None
        self.setMouseTracking(True)

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._palette = palette
        self.update()

    def show_selector(self, selector_JK: FloatArray | None) -> None:
        """Show the probabilities (21, K); None where the estimator has no groups."""
        if selector_JK is not self.selector_JK:
            self.selector_JK, self._cell = selector_JK, None
            self.update()

    def cell_at(self, place: QPointF) -> tuple[int, int] | None:
        """Return (joint, group) of the cell under a place of the widget."""
        if self.selector_JK is None:
            return None
        wide, high = self._cell_size(self.selector_JK.shape[1])
        joint, group = math.floor((place.x() - LEFT) / wide), math.floor((place.y() - TOP) / high)
        inside = 0 <= joint < NUM_JOINTS and 0 <= group < self.selector_JK.shape[1]
        return (joint, group) if inside else None

    def value_text(self, joint: int, group: int) -> str:
        """Return a cell's value in words."""
        assert self.selector_JK is not None
        return f"{JOINT_NAMES[joint].replace('_', ' ')}, group {group}: {self.selector_JK[joint, group]:.1%}"

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show the value under the pointer."""
        self._point_at(self.cell_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Hide the value."""
        self._point_at(None)

    def _point_at(self, cell: tuple[int, int] | None) -> None:
        if cell != self._cell:
            self._cell = cell
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the matrix, or why there is none."""
        painter = QPainter(self)
        painter.setPen(QColor(*self._palette.muted))
        if self.selector_JK is None:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, NO_GROUPS)
        else:
            self._paint_cells(painter, self.selector_JK)
            self._paint_words(painter, self.selector_JK.shape[1])
        painter.end()

    def _cell_size(self, rows: int) -> tuple[float, float]:
        return (self.width() - LEFT - RIGHT) / NUM_JOINTS, max((self.height() - TOP - BOTTOM) / rows, 1.0)

    def _paint_cells(self, painter: QPainter, selector_JK: FloatArray) -> None:
        rows = selector_JK.shape[1]
        wide, high = self._cell_size(rows)
        gap = 1.0 if high > 5 else 0.0
        for joint, group in np.ndindex(NUM_JOINTS, rows):
            colour = mix(self._palette.field, group_colour(group), float(selector_JK[joint, group]))
            cell = QRectF(LEFT + joint * wide + 1, TOP + group * high + gap, wide - 2, high - 2 * gap)
            painter.fillRect(cell, QColor(*colour))
            if (joint, group) == self._cell:
                painter.setPen(QPen(QColor(*self._palette.text), 1.5))
                painter.drawRect(cell)

    def _paint_words(self, painter: QPainter, rows: int) -> None:
        wide, high = self._cell_size(rows)
        painter.setPen(QColor(*(self._palette.muted if self._cell is None else self._palette.text)))
        title = TITLE if self._cell is None else self.value_text(*self._cell)
        painter.drawText(QRectF(LEFT, 0, self.width() - LEFT, TOP), Qt.AlignmentFlag.AlignVCenter, title)
        painter.setPen(QColor(*self._palette.muted))
        step = max(1, math.ceil(WORD_HEIGHT / high))
        for row in range(0, rows, step):
            place = QRectF(0, TOP + (row + 0.5) * high - WORD_HEIGHT / 2, LEFT - 8, WORD_HEIGHT)
            painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"group {row}")
        below = self.height() - BOTTOM
        for joint, part in enumerate(PARTS):
            place = QRectF(LEFT + joint * wide - 8, below, wide + 16, PART_HEIGHT)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, part)
        for name, joints in (("wrist", (WRIST,)), *FINGER_JOINTS.items()):
            place = QRectF(LEFT + joints[0] * wide - 8, below + PART_HEIGHT, wide * len(joints) + 16, PART_HEIGHT + 2)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, name)
