"""Picture files that hold several pictures, shown one after the other."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import cv2
import numpy as np

from handviz.capture.segments import segments

DURATION_MS = 100


def moving(kind: str, pictures: Sequence[np.ndarray]) -> bytes:
    """A lossless PNG or WebP whose pictures have one size."""
    quality = [cv2.IMWRITE_WEBP_QUALITY, 101] if kind == "webp" else []
    files = [cv2.imencode(f".{kind}", picture, quality)[1].tobytes() for picture in pictures]
    height, width = pictures[0].shape[:2]
    return moving_png(files, width, height) if kind == "png" else moving_webp(files, width, height)


def moving_png(files: Sequence[bytes], width: int, height: int) -> bytes:
    """The first picture's data are also for readers that know no animations."""
    parts, numbers = [_chunk(b"acTL", struct.pack(">II", len(files), 0))], iter(range(2 * len(files)))
    for index, file in enumerate(files):
        shown = struct.pack(">IIIIIHHBB", next(numbers), width, height, 0, 0, DURATION_MS, 1000, 0, 0)
        parts.append(_chunk(b"fcTL", shown))
        for name, start, end in segments(file):
            if name == b"IDAT" and index == 0:
                parts.append(_chunk(name, file[start:end]))
            elif name == b"IDAT":
                parts.append(_chunk(b"fdAT", struct.pack(">I", next(numbers)) + file[start:end]))
    return files[0][:33] + b"".join(parts) + _chunk(b"IEND", b"")


def moving_webp(files: Sequence[bytes], width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = _riff(b"VP8X", bytes([2, 0, 0, 0]) + size) + _riff(b"ANIM", bytes(6))
    for file in files:
        body += _riff(b"ANMF", bytes(6) + size + DURATION_MS.to_bytes(3, "little") + b"\0" + file[12:])
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _riff(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
