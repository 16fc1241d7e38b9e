"""Whether a video is to be shown mirrored, as phones store what a front camera sees. OpenCV only turns pictures."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Where a track header's matrix begins, by its version (ISO/IEC 14496-12, 8.3.2): a, b, u, c, d, v, x, y, w.
_MATRIX_AT = {0: 40, 1: 52}
_HANDLER_AT = 8


def is_mirrored(path: Path) -> bool:
    """Return whether a QuickTime or MP4 file says so about its first track of pictures; False for any other file."""
    try:
        with path.open("rb") as file:
            tracks = (part for movie in _inside(file, b"moov", 0, path.stat().st_size) for part in _inside(file, b"trak", *movie))
            return next((_determinant(file, *track) < 0 for track in tracks if _is_of_pictures(file, *track)), False)
    except (OSError, struct.error):  # it is gone or cut short, which is reported elsewhere
        return False


def _inside(file: BinaryIO, wanted: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the content of each box of a kind begins and ends, among the boxes from ``at`` to ``end``."""
    while at + 8 <= end:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        begin = at + 8
        if length == 1:
            length, begin = struct.unpack(">Q", file.read(8))[0], at + 16
        stop = end if length == 0 else at + length
        if stop < begin:
            return
        if kind == wanted:
            yield begin, min(stop, end)
        at = stop


def _is_of_pictures(file: BinaryIO, at: int, end: int) -> bool:
    for media in _inside(file, b"mdia", at, end):
        for begin, _ in _inside(file, b"hdlr", *media):
            file.seek(begin + _HANDLER_AT)
            return file.read(4) == b"vide"
    return False


def _determinant(file: BinaryIO, at: int, end: int) -> int:
    """Return the determinant of a track's matrix; 0 if it has none."""
    for begin, _ in _inside(file, b"tkhd", at, end):
        file.seek(begin)
        version = file.read(1)[0]
        file.seek(begin + _MATRIX_AT.get(version, _MATRIX_AT[0]))
        a, b, _, c, d = struct.unpack(">5i", file.read(20))
        return a * d - b * c
    return 0
