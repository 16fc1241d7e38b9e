"""The person's hand shape: the hand at rest, its ten values, and holding it."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from handviz.app.colours import DARK, Palette, mix
from handviz.app.images import image_of
from handviz.app.shape_memory import ShapeState
from handviz.app.shape_view import RestPicture, rest_picture, shape_names
from handviz.app.widgets import WordsOrContent
from handviz.errors import HandvizError

CONTROLS_WIDTH = 190
EXTENT = 3.0
TRACK_SHARE = 0.4
NAME_WIDTH, VALUE_WIDTH, GAP = 168, 92, 8
ALL_HANDS = "all hands"


class RestHand(QWidget):
    """The hand at rest seen from the palm, with the average hand's outline behind it."""

    def __init__(self) -> None:
        super().__init__()
        self._palette = DARK
        self._state = ShapeState()
        self._drawn: RestPicture | None = None
        self.setToolTip("The hand at rest, as a right hand seen from the palm; dotted: the hand model's average")

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._palette = palette
        self.update()

    def show_state(self, state: ShapeState) -> None:
        """Draw another shape."""
        self._state = state
        self._draw()

    def resizeEvent(self, event: object) -> None:
        """Stay square and sharp."""
        self.setFixedWidth(self.height())
        with suppress(HandvizError):  # is reported with the next state
            self._draw()

    def _draw(self) -> None:
        shape, model = self._state.shown, self._state.hand_model
        side = round(self.height() * self.devicePixelRatioF())
        self._drawn = None
        self.update()
        if shape is not None and model is not None and side > 0:
            self._drawn = rest_picture(shape, model, side)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint hand and outline."""
        if self._drawn is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        scale = self.height() / self._drawn.picture.shape[0]
        painter.scale(scale, scale)
        painter.drawImage(QPointF(0, 0), image_of(self._drawn.picture))
        painter.setPen(QPen(QColor(*self._palette.muted), 1.2 / scale, Qt.PenStyle.DotLine))
        for outline in self._drawn.average:
            painter.drawPolygon(QPolygonF([QPointF(u + 0.5, v + 0.5) for u, v in outline]))
        painter.end()


class ShapeBars(QWidget):
    """Ten values as bars around zero, in standard deviations across people, with the spread of the estimates."""

    def __init__(self) -> None:
        super().__init__()
        self._palette = DARK
        self._state = ShapeState()
        self._names: tuple[str, ...] = ()
        self._pointed: int | None = None
        self.setMouseTracking(True)

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._palette = palette
        self.update()

    def show_state(self, state: ShapeState) -> None:
        """Show other values."""
        if state.hand_model is not None and (not self._names or state.hand_model != self._state.hand_model):
            self._names = ()
            self._names = shape_names(state.hand_model)
        self._state = state
        self.update()

    @property
    def names(self) -> tuple[str, ...]:
        """What the values change."""
        return self._names

    def value_text(self, row: int) -> str:
        """A value in words."""
        state = self._state
        value = None if state.shown is None else float(state.shown[row])
        if value is None:
            return ""
        held = state.held is not None
        spread = "" if held or state.spread is None else f" ± {state.spread[row]:.2f}"
        return f"{value:+.2f}{spread}"

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows."""
        if self._state.shown is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        high = self.height() / len(self._names)
        font = painter.font()
        font.setPixelSize(max(9, min(13, math.floor(high) - 2)))
        painter.setFont(font)
        for row in range(len(self._names)):
            self._paint_row(painter, row, high)
        painter.setPen(QPen(QColor(*self._palette.muted), 1))
        middle = self._x_of(0.0)
        painter.drawLine(QPointF(middle, 0), QPointF(middle, self.height()))
        painter.end()

    def _x_of(self, value: float) -> float:
        first, last = NAME_WIDTH + GAP, self.width() - VALUE_WIDTH - GAP
        return first + (min(max(value, -EXTENT), EXTENT) + EXTENT) / (2 * EXTENT) * (last - first)

    def _paint_row(self, painter: QPainter, row: int, high: float) -> None:
        state, palette = self._state, self._palette
        assert state.shown is not None
        top, middle = row * high, (row + 0.5) * high
        painter.setPen(QColor(*(palette.text if row == self._pointed else palette.muted)))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, top, NAME_WIDTH, high), right, self._names[row])
        painter.drawText(QRectF(self.width() - VALUE_WIDTH, top, VALUE_WIDTH, high), right, self.value_text(row))
        first, last = self._x_of(-EXTENT), self._x_of(EXTENT)
        thick = max(2.0, high - 5)
        painter.fillRect(
            QRectF(first, middle - thick / 2, last - first, thick), QColor(*mix(palette.panel, palette.border, TRACK_SHARE))
        )
        value = float(state.shown[row])
        start, stop = sorted((self._x_of(0.0), self._x_of(value)))
        colour = palette.good if state.held is not None else palette.accent
        painter.fillRect(QRectF(start, middle - thick / 2, stop - start, thick), QColor(*colour))
        if state.held is None and state.spread is not None:
            spread = float(state.spread[row])
            painter.setPen(QPen(QColor(*palette.text), 1.4))
            painter.drawLine(QPointF(self._x_of(value - spread), middle), QPointF(self._x_of(value + spread), middle))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark the row under the pointer and show its value."""
        rows = max(len(self._names), 1)
        self._pointed = int(np.clip(event.position().y() / self.height() * rows, 0, rows - 1))
        if self._names and self._state.shown is not None:
            self.setToolTip(f"{self._names[self._pointed]}: {self.value_text(self._pointed)} standard deviations across people")
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        """Mark no row."""
        self._pointed = None
        self.update()


class ShapePage(QWidget):
    """Shows a ``ShapeState`` and signals what the user asks for; ``chosen`` carries a track, or None for all hands."""

    hold_clicked = Signal()
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.state = ShapeState()
        self.rest, self.bars = RestHand(), ShapeBars()
        both = QWidget()
        inner = QHBoxLayout(both)
        inner.setContentsMargins(10, 4, 8, 6)
        inner.setSpacing(14)
        inner.addWidget(self.rest)
        inner.addWidget(self.bars, 1)
        self.frame = WordsOrContent(both, self._controls(), CONTROLS_WIDTH)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.frame)
        self.show_state(self.state)

    def _controls(self) -> QVBoxLayout:
        rows = QVBoxLayout()
        rows.setSpacing(6)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.hold = QPushButton()
        self.hold.clicked.connect(self.hold_clicked)
        self.hand = QComboBox()
        self.hand.setToolTip("Which hand's shapes are averaged: with two people in the picture, choose one hand")
        self.hand.activated.connect(lambda: self.chosen.emit(self.hand.currentData()))
        for widget in (self.status, self.hold, self.hand):
            rows.addWidget(widget)
        return rows

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self.rest.set_palette(palette)
        self.bars.set_palette(palette)

    def show_state(self, state: ShapeState) -> None:
        """Show a state, without echoing it."""
        self.state = state
        words = (state.words or "") if state.shown is None else None
        try:
            self.rest.show_state(state)
            self.bars.show_state(state)
        except HandvizError as error:  # its file may have been removed meanwhile
            words = str(error)
        self.frame.show_words(words)
        held = state.held is not None
        looks = f"Mean of {state.looks} estimate" + ("" if state.looks == 1 else "s")
        self.status.setText("This shape is held." if held else looks if state.looks else "")
        self.hold.setText("Release the shape" if held else "Hold this shape")
        self.hold.setToolTip(
            "Let the estimator find the shape in each frame again (Y)"
            if held
            else "Use the mean from now on: the hand keeps this shape, and only its pose is estimated (Y)"
        )
        self.hold.setEnabled(held or state.shown is not None)
        self._show_hands(state)

    def _show_hands(self, state: ShapeState) -> None:
        choices = [(None, ALL_HANDS), *state.tracks]
        if [(self.hand.itemData(i), self.hand.itemText(i)) for i in range(self.hand.count())] != choices:
            self.hand.clear()
            for track, words in choices:
                self.hand.addItem(words, track)
        self.hand.setCurrentIndex(next((i for i, (track, _) in enumerate(choices) if track == state.track), 0))
        self.hand.setVisible(len(state.tracks) > 1 and state.held is None)
