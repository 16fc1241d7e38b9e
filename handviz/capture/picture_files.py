"""What the bytes of a picture file say beyond the picture itself."""

from __future__ import annotations

import re

import cv2
import numpy as np

from handviz.capture.exif import first_directory, is_tiff
from handviz.capture.segments import START_OF_SCAN, segments
from handviz.records import UInt8Array

# The JPEG markers that begin a frame and give its size: C0 to CF except for the tables among them.
_FRAMES = frozenset(bytes([marker]) for marker in range(0xC0, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}
# TIFF tags.
_WIDTH, _HEIGHT = 0x0100, 0x0101
# What a JPEG decoder leaves from where data are missing to the end.
_UNTOLD_GREY, _CORNER_PX = 128, 4
# The marker after a scan: not an escaped byte (FF 00), a restart (FF D0 to D7) or padding.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END_OF_PICTURE = b"\xff\xd9"
_MORE_DATA = bytes(range(64))


def decoded(data: bytes) -> UInt8Array | None:
    """Return the picture (H, W, 3, BGR) in a file's ``data`` as it is stored; None if OpenCV cannot read it."""
    try:
        # OpenCV ignores the orientation of WebP, and of JPEG if other metadata come before it.
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        return None
    return None if stored is None else np.asarray(stored, np.uint8)


def stored_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height that a JPEG, PNG or TIFF file gives for its picture; None for another file.

    Small files of these formats can hold huge pictures.
    """
    if is_tiff(data):
        tags = first_directory(data)
        return (tags[_WIDTH], tags[_HEIGHT]) if _WIDTH in tags and _HEIGHT in tags else None
    for name, at, _ in segments(data):
        if name == b"IHDR":
            return int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
        if name in _FRAMES:
            return int.from_bytes(data[at + 3 : at + 5], "big"), int.from_bytes(data[at + 1 : at + 3], "big")
    return None


def moves(data: bytes) -> bool:
    """Say whether a PNG or WebP file is animated."""
    shown = 0
    for name, at, _ in segments(data):
        if name == b"acTL":
            shown = int.from_bytes(data[at : at + 4], "big")
        shown += name == b"ANMF"
    return shown > 1


def lacks_data(data: bytes, picture: UInt8Array) -> bool:
    """Say whether a JPEG's data end before its ``picture`` (H, W, 3) does, which is grey from there on.

    A complete picture may end in the same grey; then appended data do not change it. Damage that leaves the amount of data
    unchanged is not noticed, nor is damage to a progressive picture's later scans.
    """
    scan = next((end for name, _, end in segments(data) if name == START_OF_SCAN), None)
    if scan is None:
        return False
    after = _AFTER_SCAN.search(data, scan)
    if after is None:  # parts that were never copied may be zeros in the file
        ended = data.rstrip(b"\0") + _END_OF_PICTURE
        shown = decoded(ended)
        return shown is None or lacks_data(ended, shown)
    if not _ends_grey(picture):
        return False
    longer = decoded(data[: after.start()] + _MORE_DATA + data[after.start() :])
    return longer is None or not np.array_equal(longer, picture)


def _ends_grey(picture: UInt8Array) -> bool:
    return bool((picture[-_CORNER_PX:, -_CORNER_PX:] == _UNTOLD_GREY).all())
