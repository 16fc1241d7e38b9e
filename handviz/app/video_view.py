"""The left half: the picture with hands painted over it."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QRegion, QTransform
from PySide6.QtWidgets import QSizePolicy, QWidget

from handviz.app.colours import DARK, Palette
from handviz.app.images import image_of, quick_to_scale
from handviz.app.overlay import OverlayContext, paint_hands, paint_name
from handviz.app.picture import compared_apart, painted
from handviz.app.view_options import ViewOptions
from handviz.records import Frame, FrameResult

# The opacity of a picture that has a message over it.
BEHIND_OPACITY = 0.3
EMPTY_TEXT = "No picture yet.\nOpen a camera, a video, a picture or a folder, or drop a file here."


class VideoView(QWidget):
    """Shows a result's picture, complete and at its own aspect ratio, and paints its hands at the screen's resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.palette_ = DARK
        self.options = ViewOptions()
        self._result: FrameResult | None = None
        self._behind: Frame | None = None
        self._context = OverlayContext(self.options)
        self._message = EMPTY_TEXT
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(280, 210)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def sizeHint(self) -> QSize:
        """Half of a usual window."""
        return QSize(640, 480)

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self.palette_ = palette
        self.update()

    def show_message(self, text: str, behind: Frame | None = None) -> None:
        """Say why there is no result, over the frame that waits for one, or why there is no picture."""
        self._message, self._behind = text, behind
        self._result = None
        self.update()

    def show_result(self, result: FrameResult | None, context: OverlayContext) -> None:
        """Show a result."""
        self._result, self._context = result, context
        self.update()

    def picture_transform(self, place: QRectF) -> QTransform:
        """The transform from the picture's pixels to a part of the widget, in which it is centred."""
        frame = self._frame
        if frame is None:
            return QTransform()
        width, height = frame.camera.size
        scale = min(place.width() / width, place.height() / height)
        transform = QTransform()
        transform.translate(place.center().x() - width * scale / 2, place.center().y() - height * scale / 2)
        transform.scale(scale, scale)
        if self._context.options.mirror:
            transform.translate(width, 0)
            transform.scale(-1, 1)
        return transform

    @property
    def _frame(self) -> Frame | None:
        return self._behind if self._result is None else self._result.frame

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint picture and hands, or the message."""
        painter = QPainter(self)
        result = self._result
        painter.setClipRegion(QRegion(self.rect()).subtracted(QRegion(self._covered())))
        painter.fillRect(self.rect(), QColor(*self.palette_.canvas))
        painter.setClipping(False)
        if result is None:
            self._paint_message(painter)
        elif self._context.options.side_by_side and result.compared:
            self._paint_both(painter, result)
        else:
            self._paint_scene(painter, result, QRectF(self.rect()))
        painter.end()

    def _paint_message(self, painter: QPainter) -> None:
        if self._behind is not None:
            painter.save()
            painter.setTransform(self.picture_transform(QRectF(self.rect())), True)
            painter.setOpacity(BEHIND_OPACITY)
            self._paint_picture(painter, self._behind)
            painter.restore()
        painter.setPen(QColor(*(self.palette_.muted if self._behind is None else self.palette_.text)))
        place = self.rect().adjusted(20, 20, -20, -20)
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)

    def _covered(self) -> QRect:
        """The part of the widget that a single picture is going to cover; empty for two."""
        if self._result is None or (self._context.options.side_by_side and self._result.compared):
            return QRect()
        picture = QRectF(0, 0, *self._result.frame.camera.size)
        return whole_pixels(self.picture_transform(QRectF(self.rect())).mapRect(picture))

    def _paint_both(self, painter: QPainter, result: FrameResult) -> None:
        """Paint the estimators side by side, or one above the other where that leaves more room."""
        width, height = result.frame.camera.size
        first, second = halves(QRectF(self.rect()), width / height)
        for place, (shown, name) in zip((first, second), compared_apart(result), strict=True):
            self._paint_scene(painter, shown, place, name)

    def _paint_scene(self, painter: QPainter, result: FrameResult, place: QRectF, name: str = "") -> None:
        painter.save()
        painter.setTransform(self.picture_transform(place), True)
        width, height = result.frame.camera.size
        self._paint_picture(painter, result.frame)
        painter.setClipRect(QRectF(0, 0, width, height))
        pixel = 1.0 / max(painter.transform().m22(), 1e-6)
        context = replace(self._context, pixel=pixel, font=self.font())
        paint_hands(painter, result, context)
        if name:
            paint_name(painter, name, (width, height), context)
        painter.restore()

    def _paint_picture(self, painter: QPainter, frame: Frame) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(0, 0, *frame.camera.size), quick_to_scale(image_of(frame.rgb)))

    def snapshot(self) -> QImage | None:
        """The picture with its overlay as it is saved to a file, or None without a result."""
        return None if self._result is None else painted(self._result, replace(self._context, font=self.font()))


def whole_pixels(place: QRectF) -> QRect:
    """The largest rectangle of whole pixels in a place."""
    left, top = math.ceil(place.left()), math.ceil(place.top())
    return QRect(left, top, max(math.floor(place.right()) - left, 0), max(math.floor(place.bottom()) - top, 0))


def halves(place: QRectF, aspect: float) -> tuple[QRectF, QRectF]:
    """Cut a place in two, side by side or one above the other, whichever shows pictures of this aspect larger."""
    across = min(place.width() / 2, place.height() * aspect)
    down = min(place.width(), place.height() / 2 * aspect)
    if across >= down:
        middle = place.width() / 2
        return place.adjusted(0, 0, -middle, 0), place.adjusted(middle, 0, 0, 0)
    middle = place.height() / 2
    return place.adjusted(0, 0, 0, -middle), place.adjusted(0, middle, 0, 0)
