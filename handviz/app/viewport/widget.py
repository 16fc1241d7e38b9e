"""The right half: the Open3D scene painted in a plain widget, with our own orbit, pan and zoom."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent, QShowEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from handviz.app.colours import DARK, Palette
from handviz.app.images import image_of, quick_to_scale
from handviz.app.overlay import NAME_COLOUR, OverlayContext, paint_label
from handviz.app.picture import compared_apart
from handviz.app.view_options import ViewOptions
from handviz.app.viewport.orbit import Orbit, ViewName, camera_lens, orbit_lens
from handviz.app.viewport.renderer import Renderer
from handviz.app.viewport.scene import BESIDE_M, Scene, framing
from handviz.geometry.camera import FloatArray, project
from handviz.records import FrameResult, UInt8Array

RESIZE_MS = 120
# Larger windows are scaled up from this. Without a graphics card drawing costs time per pixel, on the display's thread, and a
# picture of half as many pixels, scaled up smoothly, has edges no worse: nothing smooths them in the full one.
MOST_PIXELS = 960 * 720
SOFTWARE_SHARE = 0.5
# The time in which the view goes most of the way to hands that have moved.
FOLLOW_S = 0.35
FRAME_S = 1 / 30
# A longer gap between two results is a jump, after which the hands are framed again.
JUMP_S = 0.5
RADIANS_PER_PIXEL = 0.008
ZOOM_PER_NOTCH = 0.88
AXES_SIDE = 84
AXES = (("x", (238, 98, 92)), ("y", (92, 200, 130)), ("z", (78, 158, 255)))
NO_OPENGL = (
    "The 3D view needs OpenGL, which was not found.\nThe picture, the plots and the results work without it.\n"
    "`handviz doctor` says what to install."
)
BUSY = "The 3D view is in use by another window."


class Viewport(QWidget):
    """Shows hands in metres. Left drag orbits, right or middle drag pans, the wheel zooms, a double click frames the hands."""

    orbited = Signal()
    _owner: Viewport | None = None

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene(Renderer.shared())
        self.palette_ = DARK
        self.orbit = Orbit()
        self.through_camera = False
        self.options = ViewOptions()
        self.problem: str | None = None
        self._result: FrameResult | None = None
        self._picture: UInt8Array | None = None
        # The small axes, and the rotation and scale that they were painted for.
        self._axes: tuple[tuple[bytes, float], QPixmap] | None = None
        self._pressed: QPointF | None = None
        self._framed = False
        self._resize = QTimer(self)
        self._resize.setSingleShot(True)
        self._resize.setInterval(RESIZE_MS)
        self._resize.timeout.connect(self.refresh)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(280, 210)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.OpenHandCursor)

    def sizeHint(self) -> QSize:
        """Half of a usual window."""
        return QSize(640, 480)

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self.palette_ = self.scene.palette = palette
        self.refresh()

    def show_result(self, result: FrameResult | None, options: ViewOptions) -> None:
        """Show a result with these options, drifting after the hands when following."""
        if _room(result, options) != _room(self._result, self.options) or (options.follow and not self.options.follow):
            self._framed = False
        share = drift(self._result, result) if self._framed else 1.0
        self._result, self.options = result, options
        ball = framing(result, options)
        if options.follow and ball is not None:
            self.orbit = self.orbit.followed(*ball, share)
            self._framed = True
        self.refresh()

    def look(self, view: ViewName) -> None:
        """Turn to a named view."""
        self.through_camera = view == "camera"
        self.orbit = self.orbit.facing(view)
        self.refresh()

    def reset_view(self) -> None:
        """Frame the hands as at the start."""
        self._framed = False
        self.through_camera = False
        ball = framing(self._result, self.options)
        self.orbit = Orbit() if ball is None else Orbit().followed(*ball, 1.0)
        self.refresh()

    def refresh(self) -> None:
        """Redraw the scene: in the old size while the window is being resized, and not at all while it is minimized."""
        if not self.isVisible() or self.window().isMinimized():
            return
        if self._acquire():
            T, K = self._camera(*(self.scene.renderer.size or self._draw_size()))
            self.scene.update(self._result, self.options, T[:3, :3])
            self._picture = self.scene.draw(T, K)
        self.update()

    @property
    def resizing(self) -> bool:
        """Whether a picture in the new size is still to come."""
        return self._resize.isActive()

    def release(self) -> None:
        """Let another window use the renderer."""
        if Viewport._owner is self:
            Viewport._owner = None

    def _acquire(self) -> bool:
        if Viewport._owner is not None and Viewport._owner is not self:
            self.problem = BUSY
            return False
        Viewport._owner = self
        renderer = self.scene.renderer
        held = renderer.size if self._resize.isActive() else None
        # Twice, because whether the processor draws, which decides the size, is known only once the first window is open.
        opened = all(renderer.open(*(held or self._draw_size())) for _ in range(2))
        self.problem = None if opened else NO_OPENGL
        return self.problem is None

    def _draw_size(self) -> tuple[int, int]:
        sharp = self.devicePixelRatioF()
        width, height = max(self.width() * sharp, 16.0), max(self.height() * sharp, 16.0)
        most = min(width * height, MOST_PIXELS) * (SOFTWARE_SHARE if self.scene.renderer.software else 1.0)
        shrink = (most / (width * height)) ** 0.5
        return round(width * shrink), round(height * shrink)

    def _camera(self, width: int, height: int) -> tuple[FloatArray, FloatArray]:
        if self.through_camera and self._result is not None:
            return np.eye(4), camera_lens(self._result.frame.camera, width, height)
        return self.orbit.extrinsic(), orbit_lens(width, height)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the last picture, the axes and any message."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self.problem is not None or self._picture is None:
            painter.fillRect(self.rect(), QColor(*self.palette_.canvas))
            painter.setPen(QColor(*self.palette_.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.problem or "")
        else:
            painter.drawImage(QRectF(self.rect()), quick_to_scale(image_of(self._picture)))
            painter.drawPixmap(0, self.height() - AXES_SIDE, self._axes_picture())
            for name, corner in self.names():
                paint_label(painter, corner, name, NAME_COLOUR, (self.width(), self.height()), OverlayContext(ViewOptions()))
        painter.end()

    def names(self) -> list[tuple[str, QPointF]]:
        """Estimators whose hands are shown side by side, and the upper left corner of each one's first hand in the view."""
        result = self._result
        if result is None or not (self.options.side_by_side and result.compared):
            return []
        T, K = self._camera(self.width(), self.height())
        found = []
        for (shown, name), offset_m in zip(compared_apart(result), (np.zeros(3), BESIDE_M), strict=True):
            for hand in shown.hands[:1]:
                joints = (hand.joints.joints_camera_m + offset_m) @ T[:3, :3].T + T[:3, 3]
                if name and (joints[:, 2] > 0).all():
                    found.append((name, QPointF(*project(joints, K).min(0))))
        return found

    def _axes_picture(self) -> QPixmap:
        R = np.eye(3) if self.through_camera else self.orbit.rotation()
        now = (R.tobytes(), self.devicePixelRatioF())
        if self._axes is None or self._axes[0] != now:
            picture = QPixmap(round(AXES_SIDE * now[1]), round(AXES_SIDE * now[1]))
            picture.setDevicePixelRatio(now[1])
            picture.fill(Qt.GlobalColor.transparent)
            painter = QPainter(picture)
            painter.setFont(self.font())
            _paint_axes(painter, R)
            painter.end()
            self._axes = now, picture
        return self._axes[1]

    def showEvent(self, event: QShowEvent) -> None:
        """Draw the empty scene once the size has settled, in case no result comes."""
        self._resize.start()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw in the new size once it has settled; meanwhile the old picture is stretched."""
        if self._picture is None:
            return
        self._resize.start()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to drag."""
        self._pressed = event.position()
        self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag."""
        self._pressed = None
        self.setCursor(Qt.CursorShape.OpenHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Orbit with the left button, pan with another."""
        if self._pressed is None:
            return
        moved = event.position() - self._pressed
        self._pressed = event.position()
        if event.buttons() & Qt.MouseButton.LeftButton and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.orbit = self.orbit.turned(-moved.x() * RADIANS_PER_PIXEL, moved.y() * RADIANS_PER_PIXEL)
        else:
            self.orbit = self.orbit.panned(-moved.x() / self.height(), -moved.y() / self.height())
            self._stop_following()
        self._leave_camera()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom in or out."""
        self.orbit = self.orbit.zoomed(ZOOM_PER_NOTCH ** (event.angleDelta().y() / 120))
        self._stop_following()
        self._leave_camera()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Frame the hands again."""
        self.reset_view()

    def _stop_following(self) -> None:
        if self.options.follow:
            self.options = replace(self.options, follow=False)
            self.orbited.emit()

    def _leave_camera(self) -> None:
        self.through_camera = False
        self.refresh()


def _room(result: FrameResult | None, options: ViewOptions) -> tuple[bool, bool]:
    """Whether things are shown that take far more room than hands: others next to them, and the camera's frustum."""
    return options.side_by_side and result is not None and bool(result.compared), options.frustum


def drift(before: FrameResult | None, now: FrameResult | None) -> float:
    """Return the share of its way to the hands that the view goes from one result to the next.

    It grows with the time that has passed. It is 1 if the new result is not the next moment of the same recording, or shows
    none of the hands that were there. The same moment, analysed again, counts as a frame.
    """
    if before is None or now is None or not np.array_equal(now.frame.camera.K, before.frame.camera.K):
        return 1.0
    passed_s = now.frame.t_capture_s - before.frame.t_capture_s
    if passed_s == 0:
        passed_s = FRAME_S
    if not 0 <= passed_s < JUMP_S or not {hand.track_id for hand in before.hands} & {hand.track_id for hand in now.hands}:
        return 1.0
    return 1.0 - math.exp(-passed_s / FOLLOW_S)


def _paint_axes(painter: QPainter, R_view_from_world: FloatArray) -> None:
    """Paint the world's axes as the view sees them, the nearest one last."""
    R, centre = R_view_from_world, QPointF(AXES_SIDE / 2, AXES_SIDE / 2)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for axis in np.argsort(-R[2]):
        name, colour = AXES[axis]
        end = centre + QPointF(R[0, axis] * 24, R[1, axis] * 24)
        painter.setPen(QPen(QColor(*colour), 2.2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(centre, end)
        label = centre + QPointF(R[0, axis] * 33, R[1, axis] * 33)
        painter.drawText(QRectF(label.x() - 8, label.y() - 8, 16, 16), Qt.AlignmentFlag.AlignCenter, name)
