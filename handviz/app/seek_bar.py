"""A frame-exact seek bar: range, playhead, and a curve of the confidence of the analysed frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from handviz.app.colours import DARK, Palette, mix
from handviz.app.state import Transport
from handviz.geometry.camera import FloatArray

MARGIN = 7
HEIGHT = 34


def time_code(frame: int, fps: float) -> str:
    """A frame as minutes, seconds and milliseconds; just its number if there is no rate."""
    if fps <= 0:
        return f"{frame}"
    milliseconds = round(frame / fps * 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{seconds:02d}.{milliseconds:03d}"


def curve_columns(curve: FloatArray, columns: int) -> FloatArray:
    """Thin a curve (n,) to its mean in each of ``columns`` columns; NaN where a column has no value."""
    places = np.arange(len(curve)) * columns // max(len(curve), 1)
    known = np.isfinite(curve)
    counts = np.bincount(places[known], minlength=columns)
    sums = np.bincount(places[known], curve[known], minlength=columns)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def curve_bars(curve: FloatArray, groove: QRectF) -> list[QRectF]:
    """Return a bar for each column of the groove, or for each value if there are fewer; none where a value is missing."""
    columns = int(groove.width())
    if not len(curve) or columns < 2:
        return []
    heights = curve_columns(curve, min(columns, len(curve)))
    width = groove.width() / len(heights)
    bars = []
    for place in np.flatnonzero(np.isfinite(heights)):
        high = max(1.5, float(heights[place]) * (groove.height() - 4))
        bars.append(QRectF(groove.left() + place * width, groove.bottom() - high, max(width, 1.0), high))
    return bars


class SeekBar(QWidget):
    """Click or drag to seek."""

    sought = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._palette = DARK
        self._transport = Transport()
        self._curve: FloatArray = np.zeros(0)
        # Everything but the playhead, the only part that moves with every frame.
        self._ground: QPixmap | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName("Seek bar")
        self.setToolTip("Click or drag to seek. The curve is the confidence of the hands")

    def sizeHint(self) -> QSize:
        """A slim bar."""
        return QSize(400, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Still usable in a small window."""
        return QSize(120, HEIGHT)

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._palette = palette
        self._ground = None
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Repaint in the new size."""
        self._ground = None

    def show_transport(self, transport: Transport) -> None:
        """Show position and range."""
        if replace(transport, position=self._transport.position) != self._transport:
            self._ground = None
        self._transport = transport
        self.setEnabled(transport.seekable)
        self.update()

    def show_curve(self, curve: FloatArray) -> None:
        """Show a value in [0, 1] for each frame; NaN where there is none."""
        if not np.array_equal(curve, self._curve, equal_nan=True):
            self._curve, self._ground = curve, None
            self.update()

    def frame_at(self, x: float) -> int:
        """The frame at horizontal position ``x`` of the widget."""
        last = max((self._transport.frame_count or 1) - 1, 0)
        share = (x - MARGIN) / max(self.width() - 2 * MARGIN, 1)
        return round(min(max(share, 0.0), 1.0) * last)

    def _x_of(self, frame: int) -> float:
        last = max((self._transport.frame_count or 1) - 1, 1)
        return MARGIN + (self.width() - 2 * MARGIN) * min(frame / last, 1.0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint groove, curve, range and playhead."""
        groove = QRectF(MARGIN, 5, self.width() - 2 * MARGIN, HEIGHT - 10)
        sharp = self.devicePixelRatioF()
        if self._ground is None or self._ground.devicePixelRatio() != sharp:
            self._ground = self._painted_ground(groove, sharp)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._ground)
        if self._transport.seekable:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_playhead(painter, groove)
        painter.end()

    def _painted_ground(self, groove: QRectF, sharp: float) -> QPixmap:
        ground = QPixmap(self.size() * sharp)
        ground.setDevicePixelRatio(sharp)
        ground.fill(Qt.GlobalColor.transparent)
        painter = QPainter(ground)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self._palette
        # Light themes have fields as bright as what is around them.
        painter.setPen(QPen(QColor(*palette.border), 1))
        painter.setBrush(QColor(*palette.field))
        painter.drawRoundedRect(groove, 4, 4)
        painter.setPen(Qt.PenStyle.NoPen)
        if self._transport.seekable:
            self._paint_range(painter, groove)
            self._paint_curve(painter, groove)
        painter.end()
        return ground

    def _paint_range(self, painter: QPainter, groove: QRectF) -> None:
        transport = self._transport
        if transport.range_in is None and transport.range_out is None:
            return
        left = self._x_of(transport.range_in or 0)
        last = (transport.frame_count or 1) - 1
        right = self._x_of(last if transport.range_out is None else transport.range_out)
        painter.setBrush(QColor(*mix(self._palette.field, self._palette.accent, 0.3)))
        painter.drawRect(QRectF(left, groove.top(), right - left, groove.height()))
        painter.setBrush(QColor(*self._palette.accent))
        for edge in (left - 1, right - 1):
            painter.drawRect(QRectF(edge, groove.top(), 2, groove.height()))

    def _paint_curve(self, painter: QPainter, groove: QRectF) -> None:
        colour = QColor(*self._palette.good)
        colour.setAlpha(150)
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawRects(curve_bars(self._curve, groove))

    def _paint_playhead(self, painter: QPainter, groove: QRectF) -> None:
        x = self._x_of(self._transport.position)
        painter.setPen(QPen(QColor(*self._palette.text), 2))
        painter.drawLine(QPointF(x, groove.top() - 2), QPointF(x, groove.bottom() + 2))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*self._palette.text))
        top = groove.top() - 3
        painter.drawPolygon(QPolygonF([QPointF(x - 5, top), QPointF(x + 5, top), QPointF(x, top + 6)]))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Seek."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.sought.emit(self.frame_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Seek while dragging; otherwise show which frame is under the pointer."""
        frame = self.frame_at(event.position().x())
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.sought.emit(frame)
        elif self._transport.seekable:
            QToolTip.showText(event.globalPosition().toPoint(), f"{time_code(frame, self._transport.fps)}  frame {frame}", self)
