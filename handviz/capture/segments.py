"""The named parts that JPEG, PNG and WebP files consist of."""

from __future__ import annotations

from collections.abc import Iterator

# Its name (a marker's second byte, or four letters), and where its content begins and ends in the file.
Segment = tuple[bytes, int, int]
START_OF_SCAN = b"\xda"


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG up to its first scan, or the chunks of a PNG or WebP; nothing for another file.

    A segment that is cut short still has the length that it gives, and so ends beyond the file.
    """
    if data[:2] == b"\xff\xd8":
        return _of_jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _of_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _of_webp(data)
    return iter(())


def _of_jpeg(data: bytes) -> Iterator[Segment]:
    at, name = 2, b""
    while at + 4 <= len(data) and data[at] == 0xFF and name != START_OF_SCAN:
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        size, name = int.from_bytes(data[at + 2 : at + 4], "big"), data[at + 1 : at + 2]
        yield name, at + 4, at + 2 + size
        at += 2 + size


def _of_png(data: bytes) -> Iterator[Segment]:
    at = 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at + 8, at + 8 + size
        at += 12 + size


def _of_webp(data: bytes) -> Iterator[Segment]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, at + 8 + size
        at += 8 + size + size % 2
