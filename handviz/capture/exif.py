"""How a WebP picture is to be turned, which OpenCV knows of other formats only."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from handviz.records import UInt8Array

_ORIENTATION = 0x0112
# Orientations of EXIF: how to turn, and whether to mirror left and right afterwards.
_TURNS: dict[int, tuple[int | None, bool]] = {
    2: (None, True),
    3: (cv2.ROTATE_180, False),
    4: (cv2.ROTATE_180, True),
    5: (cv2.ROTATE_90_CLOCKWISE, True),
    6: (cv2.ROTATE_90_CLOCKWISE, False),
    7: (cv2.ROTATE_90_COUNTERCLOCKWISE, True),
    8: (cv2.ROTATE_90_COUNTERCLOCKWISE, False),
}


def upright(picture: UInt8Array, data: bytes) -> UInt8Array:
    """Return a picture (H, W, 3), decoded of a file's ``data``, turned as its EXIF says; as it is where the file is no WebP."""
    turn, mirrored = _TURNS.get(_orientation_of_webp(data), (None, False))
    if turn is not None:
        picture = np.asarray(cv2.rotate(picture, turn), np.uint8)
    return np.asarray(cv2.flip(picture, 1), np.uint8) if mirrored else picture


def _orientation_of_webp(data: bytes) -> int:
    """Return the orientation of EXIF, 1 (as it is) where none is told."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return 1
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"EXIF":
            return _orientation(data[at + 8 : at + 8 + size].removeprefix(b"Exif\0\0"))
        at += 8 + size + size % 2
    return 1


def _orientation(tiff: bytes) -> int:
    order = ">" if tiff[:2] == b"MM" else "<"
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:  # cut short
        pass
    return 1
