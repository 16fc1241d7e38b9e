"""The icon set: one stroke weight, drawn as paths on a 24 x 24 grid, so that it is sharp at any size and in any theme."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap, QPolygonF

from handviz.app.colours import DARK
from handviz.hand.palette import FINGER_COLOURS, RGB

GRID = 24
STROKE = 1.9
SIZES = (20, 40)


def _path(*strokes: tuple[tuple[float, float], ...]) -> QPainterPath:
    path = QPainterPath()
    for stroke in strokes:
        path.addPolygon(QPolygonF([QPointF(x, y) for x, y in stroke]))
    return path


def _filled(painter: QPainter, *polygons: tuple[tuple[float, float], ...]) -> None:
    painter.setBrush(painter.pen().color())
    for polygon in polygons:
        painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in polygon]))
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _play(p: QPainter) -> None:
    _filled(p, ((7, 5), (19, 12), (7, 19)))


def _pause(p: QPainter) -> None:
    _filled(p, ((7, 5), (9, 5), (9, 19), (7, 19)), ((15, 5), (17, 5), (17, 19), (15, 19)))


def _next(p: QPainter) -> None:
    _filled(p, ((6, 6), (14, 12), (6, 18)))
    p.drawPath(_path(((18, 6), (18, 18))))


def _previous(p: QPainter) -> None:
    _filled(p, ((18, 6), (10, 12), (18, 18)))
    p.drawPath(_path(((6, 6), (6, 18))))


def _loop(p: QPainter) -> None:
    p.drawArc(QRectF(4, 5, 16, 14), 40 * 16, 245 * 16)
    _filled(p, ((15, 3), (20, 7), (14.5, 10)))


def _mark_in(p: QPainter) -> None:
    p.drawPath(_path(((13, 5), (8, 5), (8, 19), (13, 19))))


def _mark_out(p: QPainter) -> None:
    p.drawPath(_path(((11, 5), (16, 5), (16, 19), (11, 19))))


def _snapshot(p: QPainter) -> None:
    p.drawRoundedRect(QRectF(3.5, 7, 17, 12), 2, 2)
    p.drawPath(_path(((8.5, 7), (10, 4.5), (14, 4.5), (15.5, 7))))
    p.drawEllipse(QPointF(12, 13), 3.4, 3.4)


def _full_screen(p: QPainter) -> None:
    p.drawPath(
        _path(((4, 9), (4, 4), (9, 4)), ((15, 4), (20, 4), (20, 9)), ((20, 15), (20, 20), (15, 20)), ((9, 20), (4, 20), (4, 15)))
    )


def _close(p: QPainter) -> None:
    p.drawPath(_path(((6, 6), (18, 18)), ((18, 6), (6, 18))))


def _frame_all(p: QPainter) -> None:
    p.drawEllipse(QPointF(12, 12), 3, 3)
    p.drawPath(_path(((12, 3), (12, 7)), ((12, 17), (12, 21)), ((3, 12), (7, 12)), ((17, 12), (21, 12))))


def _save(p: QPainter) -> None:
    p.drawPath(_path(((12, 4), (12, 15)), ((7, 10.5), (12, 15.5), (17, 10.5)), ((4, 19.5), (20, 19.5))))


DRAWINGS: dict[str, Callable[[QPainter], None]] = {
    "play": _play,
    "pause": _pause,
    "next": _next,
    "previous": _previous,
    "loop": _loop,
    "in": _mark_in,
    "out": _mark_out,
    "snapshot": _snapshot,
    "full_screen": _full_screen,
    "close": _close,
    "frame_all": _frame_all,
    "save": _save,
}


def icon(name: str, colour: RGB, disabled: RGB) -> QIcon:
    """The named icon in a colour; ``disabled`` is its colour on a disabled button."""
    made = QIcon()
    for size in SIZES:
        made.addPixmap(_pixmap(name, colour, size), QIcon.Mode.Normal)
        made.addPixmap(_pixmap(name, disabled, size), QIcon.Mode.Disabled)
    return made


def _pixmap(name: str, colour: RGB, size: int) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / GRID, size / GRID)
    painter.setPen(QPen(QColor(*colour), STROKE, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    DRAWINGS[name](painter)
    painter.end()
    return pixmap


FINGER_STROKES = {
    "thumb": ((11, 20), (4.5, 13.5)),
    "index": ((11, 20), (8, 5.5)),
    "middle": ((11.5, 20), (12, 3.5)),
    "ring": ((12, 20), (15.8, 5)),
    "little": ((12.5, 20), (19, 9)),
}


def application_icon() -> QIcon:
    """The program's own icon: a hand of five coloured bones on a dark tile."""
    made = QIcon()
    for size in (32, 64, 128, 256):
        pixmap = QPixmap(size, size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(size / GRID, size / GRID)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*DARK.panel))
        painter.drawRoundedRect(QRectF(0.5, 0.5, 23, 23), 5, 5)
        for finger, (wrist, tip) in FINGER_STROKES.items():
            colour = QColor(*FINGER_COLOURS[finger])
            painter.setPen(QPen(colour, 2.1, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(QPointF(*wrist), QPointF(*tip))
            painter.setBrush(colour)
            painter.drawEllipse(QPointF(*tip), 0.7, 0.7)
        painter.end()
        made.addPixmap(pixmap)
    return made
