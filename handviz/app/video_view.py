"""The left half: the picture with hands painted over it."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QTransform
from PySide6.QtWidgets import QSizePolicy, QWidget

from handviz.app.colours import DARK, Palette
from handviz.app.overlay import OverlayContext, image_of, paint_hands
from handviz.app.view_options import ViewOptions
from handviz.records import FrameResult

EMPTY_TEXT = "No picture yet.\nOpen a camera, a video, a picture or a folder, or drop a file here."


class VideoView(QWidget):
    """Shows a result's picture, whole and undistorted, and paints its hands at the screen's resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.palette_ = DARK
        self.options = ViewOptions()
        self._result: FrameResult | None = None
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

    def show_message(self, text: str) -> None:
        """Say why there is no picture."""
        self._message = text
        self._result = None
        self.update()

    def show_result(self, result: FrameResult | None, context: OverlayContext) -> None:
        """Show a result."""
        self._result, self._context = result, context
        self.update()

    def picture_transform(self) -> QTransform:
        """From the picture's pixels to the widget's."""
        if self._result is None:
            return QTransform()
        width, height = self._result.frame.camera.size
        scale = min(self.width() / width, self.height() / height)
        transform = QTransform()
        transform.translate((self.width() - width * scale) / 2, (self.height() - height * scale) / 2)
        transform.scale(scale, scale)
        if self._context.options.mirror:
            transform.translate(width, 0)
            transform.scale(-1, 1)
        return transform

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint picture and hands, or the message."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(*self.palette_.canvas))
        if self._result is None:
            painter.setPen(QColor(*self.palette_.muted))
            painter.drawText(
                self.rect().adjusted(20, 20, -20, -20), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message
            )
        else:
            painter.setTransform(self.picture_transform(), True)
            self._paint_scene(painter, self._result)
        painter.end()

    def _paint_scene(self, painter: QPainter, result: FrameResult) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        width, height = result.frame.camera.size
        painter.drawImage(QRectF(0, 0, width, height), image_of(result.frame.rgb))
        painter.setClipRect(QRectF(0, 0, width, height))
        pixel = 1.0 / max(painter.transform().m22(), 1e-6)
        context = OverlayContext(self._context.options, pixel, self._context.trails, self.font())
        paint_hands(painter, result, context)

    def snapshot(self) -> QImage | None:
        """The picture with its overlay in the picture's own resolution, or None without one."""
        if self._result is None:
            return None
        width, height = self._result.frame.camera.size
        image = QImage(width, height, QImage.Format.Format_RGB888)
        painter = QPainter(image)
        painter.drawImage(QPointF(0, 0), image_of(self._result.frame.rgb))
        pixel = max(1.0, width / 900)
        paint_hands(painter, self._result, OverlayContext(self._context.options, pixel, self._context.trails, self.font()))
        painter.end()
        return image
