"""Whether a video file is complete, judged by its container alone."""

from __future__ import annotations

from pathlib import Path

EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
PROGRAM_STREAM = b"\x00\x00\x01\xba"
# Where the first packet of a transport stream begins and how long each is: as broadcast, and as camcorders write them.
TS_PACKETS, TS_SYNC = ((0, 188), (4, 192)), b"\x47"
_HEAD_BYTES = 4096


def is_all_there(path: Path) -> bool | None:
    """Return whether a file is complete, with nothing cut off; None if its container does not say.

    Matroska (and WebM) gives its number of bytes, but no number of frames, only the total duration, which includes the sound.
    Transport and program streams announce nothing: their duration is worked out from what is there.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        size = path.stat().st_size
    except OSError:  # it is gone, which is reported elsewhere
        return None
    if head.startswith(EBML):
        return _is_all_of_matroska(head, size)
    return True if _is_transport_stream(head) or head.startswith(PROGRAM_STREAM) else None


def _is_transport_stream(head: bytes) -> bool:
    return any(head[first::packet][:3] == 3 * TS_SYNC for first, packet in TS_PACKETS)


def _is_all_of_matroska(head: bytes, size: int) -> bool | None:
    begun = _after_size(head, len(EBML))
    segment = None if begun is None else begun[0] + begun[1]
    if segment is None or head[segment : segment + len(SEGMENT)] != SEGMENT:
        return None
    inner = _after_size(head, segment + len(SEGMENT))
    return None if inner is None else inner[0] + inner[1] <= size


def _after_size(head: bytes, at: int) -> tuple[int, int] | None:
    """Return where an element's content begins and its length, which is stored at ``at``; None if it is unknown."""
    if at >= len(head) or head[at] == 0:
        return None
    used = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + used], "big") & ((1 << 7 * used) - 1)
    return None if value == (1 << 7 * used) - 1 else (at + used, value)
