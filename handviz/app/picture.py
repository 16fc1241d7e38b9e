"""Results as pictures for files: in the camera's own resolution, un-mirrored, with all that is shown over the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage, QPainter

from handviz.app.images import image_of
from handviz.app.overlay import OverlayContext, paint_hands, paint_name
from handviz.records import FrameResult, UInt8Array

# A line is one pixel wide in pictures up to this width, and grows with larger ones.
USUAL_WIDTH = 900


def compared_apart(result: FrameResult) -> tuple[tuple[FrameResult, str], tuple[FrameResult, str]]:
    """Return each estimator's hands as a result of its own, with the estimator's name."""
    own, other = replace(result, compared=()), replace(result, hands=result.compared, compared=())
    return (own, result.estimator), (other, result.compared_by)


def painted(result: FrameResult, context: OverlayContext) -> QImage:
    """Return the picture with its overlay; compared estimators side by side if shown that way. Any thread may call it."""
    # Numbers and files stay as the camera saw them: a mirrored picture would not match the poses next to it.
    context = replace(context, options=replace(context.options, mirror=False))
    width, height = result.frame.camera.size
    apart = context.options.side_by_side and bool(result.compared)
    image = QImage(width * (2 if apart else 1), height, QImage.Format.Format_RGB888)
    painter = QPainter(image)
    if apart:
        for shown, name in compared_apart(result):
            _paint(painter, shown, context, name)
            painter.translate(width, 0)
    else:
        _paint(painter, result, context, "")
    painter.end()
    return image


def drawing(context: OverlayContext) -> Callable[[FrameResult], UInt8Array]:
    """Return a function that paints results in this context, as arrays (height, width, 3); any thread may call it."""
    return partial(_as_array, context=context)


def _as_array(result: FrameResult, context: OverlayContext) -> UInt8Array:
    image = painted(result, context)
    width, height = image.width(), image.height()
    # Qt pads rows to four bytes.
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine())
    return rows[:, : 3 * width].copy().reshape(height, width, 3)


def _paint(painter: QPainter, result: FrameResult, context: OverlayContext, name: str) -> None:
    width, height = result.frame.camera.size
    painter.save()
    painter.setClipRect(QRectF(0, 0, width, height))
    painter.drawImage(QPointF(0, 0), image_of(result.frame.rgb))
    context = replace(context, pixel=max(1.0, width / USUAL_WIDTH))
    paint_hands(painter, result, context)
    if name:
        paint_name(painter, name, (width, height), context)
    painter.restore()
