"""An MP4 file of JPEG pictures, each with its true time, that is playable at every moment of its recording.

While it grows the file is a fragmented MP4 (ISO/IEC 14496-12, 8.8): each half second of pictures is appended as a whole,
so a crash or a full disk costs no more than the fragment that was being collected. ``close`` appends the index of
an ordinary MP4 and turns what lies before it into one media-data box; the pictures stay where they are.
"""

from __future__ import annotations

import struct
from array import array
from itertools import groupby
from pathlib import Path

from handviz.errors import OutputError
from handviz.export.files import append_whole

_TIMESCALE = 90_000  # ticks a second
_FRAGMENT_TICKS = _TIMESCALE // 2
# How long the last picture is shown if nothing says so (a file of one picture).
_LONE_TICKS = _TIMESCALE // 30
# The file's headers have 32 bits for a picture's duration and for the total duration: 13 hours.
_MOST_TICKS = 2**32 - 1
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Mp4Writer:
    """Appends encoded JPEG pictures of one size, each with its time in seconds.

    ``frames`` counts the pictures given, ``length_s`` is the time from the first to the last, ``bytes_written`` the
    size of the file so far.

    Raises OutputError if the file cannot be opened or written; what was written before stays playable.
    """

    def __init__(self, path: Path | str, width: int, height: int) -> None:
        self._path, self._size = Path(path), (width, height)
        self._pending: list[tuple[int, bytes]] = []
        self._offsets, self._sizes, self._ticks = array("Q"), array("I"), array("I")
        self._start_s: float | None = None
        self._fragments = 0
        # Other threads read these while one writes.
        self.frames = 0
        self.length_s = 0.0
        self.bytes_written = 0
        self._file_type = _box(b"ftyp", b"qt  " if self._path.suffix.lower() == ".mov" else b"isom", bytes(4), b"isomiso6qt  ")
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror}. Choose a file in a folder that exists and is writable."
            ) from error
        # The empty box is where ``close`` puts the header of the one media-data box.
        self._append(self._file_type, _box(b"free", bytes(8)), self._movie(fragmented=True))

    def write(self, jpeg: bytes, t_s: float) -> None:
        """Append one picture shown from ``t_s`` on.

        A time that does not increase, or leaps by 13 hours, counts as one tick later, and the following ones count from there.
        """
        if self._start_s is None:
            self._start_s = t_s
        tick = round((t_s - self._start_s) * _TIMESCALE)
        if self._pending and not 0 < tick - self._pending[-1][0] <= _MOST_TICKS:
            tick = self._pending[-1][0] + 1
            self._start_s = t_s - tick / _TIMESCALE
        self._pending.append((tick, jpeg))
        self.frames += 1
        self.length_s = tick / _TIMESCALE
        if tick - self._pending[0][0] >= _FRAGMENT_TICKS:
            self._flush(keep=1)  # how long the newest is shown is known with the next one

    def close(self) -> None:
        """Finish the file; closing twice does nothing. Raises OutputError when the end could not be written."""
        if self._file.closed:
            return
        try:
            self._flush(keep=0)
            if self._sizes:
                self._make_ordinary()
        finally:
            self._file.close()

    def _flush(self, keep: int) -> None:
        ready = self._pending[: len(self._pending) - keep]
        if not ready:
            return
        ticks = [later[0] - now[0] for now, later in zip(self._pending, self._pending[1:], strict=False)]
        if not keep:
            ticks.append(ticks[-1] if ticks else (self._ticks[-1] if self._ticks else _LONE_TICKS))
        sizes = [len(jpeg) for _, jpeg in ready]
        head = self._fragment_head(ready[0][0], ticks, sizes)
        start = self.bytes_written + len(head) + 8
        self._append(head, _box(b"mdat", *(jpeg for _, jpeg in ready)))
        for tick, size in zip(ticks, sizes, strict=True):
            self._offsets.append(start)
            self._sizes.append(size)
            self._ticks.append(tick)
            start += size
        del self._pending[: len(ready)]

    def _fragment_head(self, tick: int, ticks: list[int], sizes: list[int]) -> bytes:
        self._fragments += 1
        rows = b"".join(struct.pack(">II", *row) for row in zip(ticks, sizes, strict=True))

        def head(data_offset: int) -> bytes:
            run = _full(b"trun", 0, 0x301, struct.pack(">Ii", len(sizes), data_offset), rows)
            time = _full(b"tfdt", 1, 0, struct.pack(">Q", tick))
            track = _box(b"traf", _full(b"tfhd", 0, 0x20000, struct.pack(">I", 1)), time, run)
            return _box(b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", self._fragments)), track)

        return head(len(head(0)) + 8)

    def _append(self, *parts: bytes) -> None:
        try:
            self.bytes_written = append_whole(self._file, b"".join(parts), self.bytes_written)
        except OSError as error:
            self._pending.clear()  # if it cannot be removed, a player ignores an incomplete box at the end
            raise OutputError(
                f"{self._path} could not be written any further: {error.strerror}. "
                f"The {len(self._sizes)} pictures before that are kept and playable; make room and record again."
            ) from error

    def _make_ordinary(self) -> None:
        movie_at = self.bytes_written
        self._append(self._movie(fragmented=False))
        try:
            self._file.seek(len(self._file_type))
            self._file.write(struct.pack(">I4sQ", 1, b"mdat", movie_at - len(self._file_type)))
        except OSError as error:
            raise OutputError(f"{self._path} could not be finished: {error.strerror}. It plays, but seeks slowly.") from error

    def _movie(self, *, fragmented: bool) -> bytes:
        ticks = 0 if fragmented else min(sum(self._ticks), _MOST_TICKS)  # the largest value means: unknown
        length = struct.pack(">II", _TIMESCALE, ticks)
        header = _full(
            b"mvhd", 0, 0, bytes(8), length, struct.pack(">IH10x", 0x10000, 0x100), _MATRIX, bytes(24), struct.pack(">I", 2)
        )
        size = struct.pack(">II", self._size[0] << 16, self._size[1] << 16)
        track_header = _full(b"tkhd", 0, 3, bytes(8), struct.pack(">IIII", 1, 0, ticks, 0), bytes(12), _MATRIX, size)
        media_header = _full(b"mdhd", 0, 0, bytes(8), length, struct.pack(">HH", 0x55C4, 0))
        handler = _full(b"hdlr", 0, 0, bytes(4), b"vide", bytes(12), b"video\0")
        here = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
        info = _box(b"minf", _full(b"vmhd", 0, 1, bytes(8)), here, self._sample_table())
        track = _box(b"trak", track_header, _box(b"mdia", media_header, handler, info))
        extends = _box(b"mvex", _full(b"trex", 0, 0, struct.pack(">5I", 1, 1, 0, 0, 0))) if fragmented else b""
        return _box(b"moov", header, track, extends)

    def _sample_table(self) -> bytes:
        """Index of the pictures written so far (empty while the file is fragmented); each is a separate chunk."""
        count = len(self._sizes)
        runs = [(len(list(same)), tick) for tick, same in groupby(self._ticks)]
        return _box(
            b"stbl",
            _full(b"stsd", 0, 0, struct.pack(">I", 1), self._sample_entry()),
            _full(b"stts", 0, 0, struct.pack(">I", len(runs)), *(struct.pack(">II", *run) for run in runs)),
            _full(b"stsc", 0, 0, struct.pack(">4I", 1, 1, 1, 1) if count else bytes(4)),
            _full(b"stsz", 0, 0, struct.pack(">II", 0, count), struct.pack(f">{count}I", *self._sizes)),
            _full(b"co64", 0, 0, struct.pack(">I", count), struct.pack(f">{count}Q", *self._offsets)),
        )

    def _sample_entry(self) -> bytes:
        width, height = self._size
        # Size, 72 dots per inch twice, reserved, one picture per sample, no compressor name, 24-bit colour, no palette.
        visual = struct.pack(">HHIIIH32sHh", width, height, 0x480000, 0x480000, 0, 1, b"", 24, -1)
        return _box(b"jpeg", bytes(6), struct.pack(">H", 1), bytes(16), visual)


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)
