"""Reading and writing the commands' pictures, with a check of the path to make before the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from handviz.errors import OutputError
from handviz.records import UInt8Array


def check_picture_path(path: Path) -> None:
    """Raise OutputError for a file whose suffix is not that of a picture format that can be written."""
    # OpenCV treats a name without a suffix as an error of the program, and crashes where its bytes are not valid text.
    if not path.suffix or not cv2.haveImageWriter(f"picture{path.suffix}"):
        raise _unwritable(path)


def decode_file(path: Path, flags: int = cv2.IMREAD_COLOR) -> npt.NDArray[Any] | None:
    """Return a picture as OpenCV decodes it, blue first; None where it cannot be read.

    This does not use ``cv2.imread``, which on Windows finds no file whose path is not ASCII.
    """
    try:
        data = np.fromfile(path, np.uint8)
        return cv2.imdecode(data, flags) if data.size else None
    except (OSError, cv2.error):
        return None


def write_picture(path: Path, rgb: UInt8Array, *, quality: int = 95) -> None:
    """Write an RGB picture (H, W, 3), and make its folder. Raises OutputError."""
    check_picture_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded, code = cv2.imencode(path.suffix, np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not encoded:
            raise _unwritable(path)
        path.write_bytes(code.tobytes())
    except OSError as error:
        raise _unwritable(path) from error


def _unwritable(path: Path) -> OutputError:
    return OutputError(f"{path}: the picture could not be written. Give a .png or .jpg in a folder you can write to.")
