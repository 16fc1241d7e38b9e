"""Arrays as Qt's images."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QImage

from handviz.records import UInt8Array


def quick_to_scale(image: QImage) -> QImage:
    """Return a copy of an opaque image in the format that Qt scales quickly: 24 bits per pixel take more than twice as long."""
    return image.convertToFormat(QImage.Format.Format_RGB32)


def image_of(picture: UInt8Array) -> QImage:
    """A QImage of RGB (H, W, 3) or RGBA (H, W, 4) uint8; it refers to the array's memory, so use it at once."""
    height, width, channels = picture.shape
    form = QImage.Format.Format_RGB888 if channels == 3 else QImage.Format.Format_RGBA8888
    return QImage(np.ascontiguousarray(picture).data, width, height, width * channels, form)
