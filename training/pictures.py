"""Pictures that commands write: checked before the work that they show, one clear error where they can not be written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from handviz.errors import OutputError
from handviz.records import UInt8Array


def check_picture_path(path: Path) -> None:
    """Raise OutputError for a file whose ending names no kind of picture that can be written."""
    # OpenCV takes a name without any ending for an error of the program.
    if not path.suffix or not cv2.haveImageWriter(str(path)):
        raise _unwritable(path)


def write_picture(path: Path, rgb: UInt8Array, *, quality: int = 95) -> None:
    """Write an RGB picture (H, W, 3), and the folder it lies in. Raises OutputError."""
    check_picture_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    except OSError as error:
        raise _unwritable(path) from error
    if not written:
        raise _unwritable(path)


def _unwritable(path: Path) -> OutputError:
    return OutputError(f"{path}: the picture could not be written. Give a .png or .jpg in a folder you can write to.")
