"""What the bytes of a picture file tell besides the picture."""

from __future__ import annotations

from handviz.capture.exif import first_directory, is_tiff
from handviz.capture.segments import segments

# Those of a JPEG that begin a frame, and with it tell its size: C0 to CF but for the tables in between.
_FRAMES = frozenset(bytes([marker]) for marker in range(0xC0, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}
# Tags of a TIFF.
_WIDTH, _HEIGHT = 0x0100, 0x0101


def stored_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height that a JPEG, PNG or TIFF file says its picture has; None of another one.

    These can be small files of huge pictures.
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
    """Say whether a PNG or WebP file holds several pictures, shown one after the other."""
    shown = 0
    for name, at, _ in segments(data):
        if name == b"acTL":
            shown = int.from_bytes(data[at : at + 4], "big")
        shown += name == b"ANMF"
    return shown > 1
