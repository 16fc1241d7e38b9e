"""What a photograph's EXIF says: its orientation and its lens's field of view. Damaged EXIF counts as none."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handviz.capture.segments import segments
from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array

_ORIENTATION, _EXIF_DIRECTORY, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
# The segments that hold EXIF in a JPEG, a PNG and a WebP.
_EXIF_SEGMENTS = (b"\xe1", b"eXIf", b"EXIF")
# TIFF's types of integers: 16 and 32 bits.
_NUMBERS = {3: "H", 4: "I"}
# The diagonal of a picture on 35 mm film.
_DIAGONAL_MM = 43.27
_PLAUSIBLE_MM = (8, 600)
# For each orientation: the directions (right, down) in the upright picture of the stored picture's right and down.
_AXES: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """How a picture was taken.

    ``orientation`` is EXIF's, 1 to 8, where 1 means stored upright; ``focal_35mm`` is the 35 mm equivalent focal length in
    millimetres, None if there is no plausible one.
    """

    orientation: int = 1
    focal_35mm: float | None = None

    def fov_deg(self, width: int, height: int) -> float | None:
        """Return the field of view of the uncropped picture's longer side in degrees, None if it is unknown.

        A picture that was cropped from a larger one keeps its EXIF, and cannot be told from an uncropped one.
        """
        if self.focal_35mm is None:
            return None
        longer_mm = max(width, height) * _DIAGONAL_MM / math.hypot(width, height)
        return math.degrees(2 * math.atan(longer_mm / 2 / self.focal_35mm))


UNTOLD = Shot()


def shot_of(data: bytes) -> Shot:
    """Return what the EXIF in a JPEG, PNG, WebP or TIFF file's ``data`` says: nothing if it is damaged or another format."""
    tiff = data if is_tiff(data) else next(_exif_blocks(data), b"")
    tags = first_directory(tiff)
    focal = _tags(tiff, tags[_EXIF_DIRECTORY]).get(_FOCAL_35MM, 0) if _EXIF_DIRECTORY in tags else 0
    orientation = tags.get(_ORIENTATION, 1)
    return Shot(
        orientation=orientation if orientation in _AXES else 1,
        focal_35mm=float(focal) if _PLAUSIBLE_MM[0] <= focal <= _PLAUSIBLE_MM[1] else None,
    )


def shot_in(path: Path) -> Shot:
    """Return what a picture file's EXIF says: nothing if it cannot be read."""
    try:
        return shot_of(path.read_bytes())
    except OSError:
        return UNTOLD


def axes(orientation: int) -> FloatArray:
    """Return the matrix (2, 2) that takes directions (right, down) in the stored picture to those in the upright one."""
    return np.array(_AXES[orientation], np.float64)


def upright(picture: UInt8Array, orientation: int) -> UInt8Array:
    """Return a stored picture (H, W, 3) turned and mirrored as EXIF's orientation says."""
    (right_x, down_x), (right_y, down_y) = _AXES[orientation]
    if right_x == 0:
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: right_y + down_y, :: right_x + down_x])


def first_directory(tiff: bytes) -> dict[int, int]:
    """Return the integers in a TIFF's first directory by tag, as many as can be read."""
    return _tags(tiff, int.from_bytes(tiff[4:8], "big" if tiff[:1] == b"M" else "little"))


def is_tiff(data: bytes) -> bool:
    """Say whether a file's data, or a block of EXIF, is a TIFF."""
    return data[:4] in (b"II*\0", b"MM\0*")


def _exif_blocks(data: bytes) -> Iterator[bytes]:
    """Yield the TIFF blocks in which a JPEG, PNG or WebP file keeps its EXIF."""
    for name, start, end in segments(data):
        if name in _EXIF_SEGMENTS:
            tiff = data[start:end].removeprefix(b"Exif\0\0")
            if is_tiff(tiff):
                yield tiff


def _tags(tiff: bytes, start: int) -> dict[int, int]:
    """Return the integers in the directory that begins at ``start`` by tag, as many as can be read."""
    order = ">" if tiff[:1] == b"M" else "<"
    tags: dict[int, int] = {}
    with suppress(struct.error):  # cut short
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if kind in _NUMBERS:
                (tags[tag],) = struct.unpack_from(f"{order}{_NUMBERS[kind]}", tiff, entry + 8)
    return tags
