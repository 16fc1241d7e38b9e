"""Picture files with arbitrary EXIF data."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from handviz.capture.exif import shot_of


def entry(order: str, tag: int, value: int, kind: int = 3) -> bytes:
    """An entry of a TIFF directory: a whole number of 16 (3) or 32 bits (4)."""
    return struct.pack(f"{order}HHI", tag, kind, 1) + struct.pack(order + ("Hxx" if kind == 3 else "I"), value)


def exif(orientation: int = 1, focal: int | None = None, order: str = "<", kind: int = 3) -> bytes:
    """A TIFF block with an orientation, and a separate directory for the focal length."""
    mark = b"II" if order == "<" else b"MM"
    entries = [entry(order, 0x0112, orientation)]
    if focal is not None:
        entries.append(entry(order, 0x8769, 38, 4))
    block = mark + struct.pack(f"{order}HIH", 42, 8, len(entries)) + b"".join(entries) + bytes(4)
    return block if focal is None else block + struct.pack(f"{order}H", 1) + entry(order, 0xA405, focal, kind) + bytes(4)


def segment(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def encoded(kind: str, picture: np.ndarray, block: bytes) -> bytes:
    """A picture as a file with this EXIF; a TIFF takes only its orientation."""
    if kind == "tif":
        return tiff_file(picture, block)
    quality = [cv2.IMWRITE_WEBP_QUALITY, 101] if kind == "webp" else []
    plain = cv2.imencode(f".{kind}", picture, quality)[1].tobytes()
    if kind == "jpg":
        other = segment(b"http://ns.adobe.com/xap/1.0/\0<x/>")
        return plain[:2] + other + segment(b"Exif\0\0" + block) + plain[2:]
    if kind == "png":
        body = b"eXIf" + block
        return plain[:33] + struct.pack(">I", len(block)) + body + struct.pack(">I", zlib.crc32(body)) + plain[33:]
    height, width = (side - 1 for side in picture.shape[:2])
    head = bytes([8, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    padded = block + bytes(len(block) % 2)
    chunks = b"VP8X" + struct.pack("<I", 10) + head + plain[12:] + b"EXIF" + struct.pack("<I", len(block)) + padded
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def tiff_file(picture: np.ndarray, block: bytes) -> bytes:
    """A TIFF whose directory is rewritten at its end, with the block's orientation."""
    plain = cv2.imencode(".tif", picture)[1].tobytes()
    order = ">" if plain[:2] == b"MM" else "<"
    (start,) = struct.unpack_from(f"{order}I", plain, 4)
    (count,) = struct.unpack_from(f"{order}H", plain, start)
    entries = [plain[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)]
    told = entry(order, 0x0112, shot_of(encoded("jpg", picture, block)).orientation)
    entries = sorted([*(e for e in entries if e[:2] != told[:2]), told], key=lambda e: struct.unpack(f"{order}H", e[:2]))
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    return plain[:4] + struct.pack(f"{order}I", len(plain)) + plain[8:] + directory
