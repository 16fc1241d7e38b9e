"""A single picture, or a folder of pictures that are independent of one another."""

from __future__ import annotations

import re
import time
from pathlib import Path

import cv2
import numpy as np

from handviz.capture.base import (
    IMAGE_SUFFIXES,
    MAX_PHOTO_SIDE_PX,
    VIDEO_SUFFIXES,
    CameraChoice,
    SourceSpec,
    check_readable,
    frames_of,
    opencv_name,
    refuse_larger,
    to_rgb,
)
from handviz.capture.exif import UNTOLD, Shot, is_tiff, shot_of, upright
from handviz.capture.picture_files import decoded, lacks_data, moves, stored_size
from handviz.errors import SourceError
from handviz.records import Frame, UInt8Array

# The app shows a folder like a slow film.
_PICTURE_S = 0.5
# Pictures that most builds of OpenCV cannot read: in a folder they are tried and reported, not skipped.
_OTHER_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".gif"})
# Raw photographs, which cameras store next to the pictures.
_RAW_SUFFIXES = frozenset({".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"})
_MOVES = "animated, and only its first picture was used. Convert it to a video (mp4) to use all of them"
# The most files or subfolders that a message lists.
MOST_NAMED = 5


class PicturesSource:
    """The pictures of a folder, ordered by name, or chosen pictures in the order given.

    One that cannot be read is reported in ``warnings``, and reading goes on with the rest.
    """

    live = False

    def __init__(self, spec: SourceSpec, camera: CameraChoice) -> None:
        self.name = spec.name
        self.fps = 0.0
        self.warnings: list[str] = []
        self.camera = camera
        self._single = spec.kind == "image"
        self._paths = pictures_of(spec)
        if not self._paths:
            assert spec.path is not None
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise SourceError(left_out(spec.path) or f"{spec.path}: holds no picture ({kinds}). Give another folder")
        self._next = 0

    @property
    def frame_count(self) -> int | None:
        """Number of picture files."""
        return len(self._paths)

    def read(self) -> Frame | None:
        """Return the next readable picture; None after the last. Raises SourceError when a single picture is unreadable."""
        while self._next < len(self._paths):
            index, self._next = self._next, self._next + 1
            frame = self._load(index)
            if frame is not None:
                return frame
        return None

    def _load(self, index: int) -> Frame | None:
        try:
            return self._frame(index)
        except SourceError as error:
            if self._single:
                raise
            self._warn(str(error))
            return None

    def _warn(self, told: str) -> None:
        if told not in self.warnings:
            self.warnings.append(told)

    def _frame(self, index: int) -> Frame:
        path = self._paths[index]
        told = _decode(path)
        if told is None:
            check_readable(path)
            raise SourceError(f"{path}: {_why_unreadable(path)}")
        bgr, shot, note = told
        if note is not None:
            self._warn(f"{path}: {note}")
        choice, rgb = self.camera, to_rgb(bgr, str(path), most_px=MAX_PHOTO_SIDE_PX)
        camera = choice.camera_for(rgb.shape[1], rgb.shape[0], shot, str(path))
        return Frame(
            index=index,
            t_capture_s=index * _PICTURE_S,
            t_arrival_s=time.perf_counter(),
            rgb=choice.straighten(rgb, shot.orientation),
            camera=camera,
            name=path.name,
            path=path,
        )

    def seek(self, index: int) -> None:
        """Make picture ``index`` the next one to be read."""
        self._next = min(max(index, 0), len(self._paths) - 1)

    def release(self) -> None:
        """Nothing is held open."""


def pictures_of(spec: SourceSpec) -> list[Path]:
    """Return the files of a picture, of several pictures or of a folder. Raises SourceError as ``pictures_in`` does."""
    assert spec.path is not None
    if spec.kind == "image":
        return [spec.path]
    return list(spec.pictures) or pictures_in(spec.path)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of a folder without hidden ones, sorted by name, with numbers in names compared as numbers.

    Raises SourceError if the folder cannot be read.
    """
    try:
        inside = sorted(folder.iterdir(), key=_with_numbers)
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}. Check its permissions, or give another folder") from error
    known = IMAGE_SUFFIXES | _OTHER_SUFFIXES
    return [p for p in inside if p.suffix.lower() in known and not p.name.startswith(".") and p.is_file()]


def _with_numbers(path: Path) -> tuple[list[str | int], str]:
    """Return a key that sorts frame2 before frame10, in which text and numbers alternate."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", path.name))], path.name


def left_out(folder: Path) -> str | None:
    """Return a note about a folder's videos, raw photographs and subfolders with pictures, which are not read with its
    pictures; None if it has none of them.
    """
    try:
        inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return None
    kinds = (
        ("subfolder with pictures is", "subfolders with pictures are", "Give each such folder separately", _holds_pictures),
        ("video is", "videos are", "Give each separately", lambda p: p.suffix.lower() in VIDEO_SUFFIXES),
        ("raw photograph is", "raw photographs are", "Save as JPEG", lambda p: p.suffix.lower() in _RAW_SUFFIXES),
    )
    notes = [_note(one, many, [p.name for p in inside if belongs(p)], advice) for one, many, advice, belongs in kinds]
    told = ". ".join(note for note in notes if note)
    return f"{folder}: {told}" if told else None


def _note(one: str, many: str, names: list[str], advice: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    subject = f"{len(names)} {one if len(names) == 1 else many}"
    return f"{subject} not included: {', '.join(names[:MOST_NAMED])}{more}. {advice}"


def _holds_pictures(folder: Path) -> bool:
    try:
        return folder.is_dir() and bool(pictures_in(folder))
    except (SourceError, OSError):  # no permission to read it
        return False


def _why_unreadable(path: Path) -> str:
    """Say what is wrong with a file that is not a picture, and what to do."""
    with path.open("rb") as file:
        start = file.read(12)
    if not start:
        return "the file is empty. Copy it again"
    if start.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        return "the picture is cut short or damaged. Copy it again"
    if frames_of(path) > 1:
        return "this is a video. Give it a video suffix, such as .mp4"
    return "not a readable picture. Save it (HEIC and AVIF, too) as JPEG or PNG"


def _decode(path: Path) -> tuple[UInt8Array, Shot, str | None] | None:
    """Return a picture (H, W, 3, BGR) the right way up, how it was taken, and a note for the user, if any.

    None if it cannot be read. Raises SourceError, before decoding, for one whose file says that it is too large.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if (size := stored_size(data)) is not None:
        refuse_larger(*size, str(path), MAX_PHOTO_SIDE_PX)
    stored = decoded(data)
    if stored is None:
        gif = _decode_gif(path) if path.suffix.lower() == ".gif" else None
        return None if gif is None else (gif, UNTOLD, _MOVES if frames_of(path) > 1 else None)
    shot = shot_of(data)
    # OpenCV turns a TIFF upright even so.
    picture = stored if is_tiff(data) else upright(stored, shot.orientation)
    return picture, shot, _to_tell(data, stored)


def _to_tell(data: bytes, stored: UInt8Array) -> str | None:
    if lacks_data(data, stored):
        return "damaged or cut short: the missing part is grey, and the rest was used. Copy it again"
    return _MOVES if moves(data) else None


def _decode_gif(path: Path) -> UInt8Array | None:
    capture = cv2.VideoCapture(opencv_name(path), cv2.CAP_FFMPEG)
    good, picture = capture.read()
    capture.release()
    return np.asarray(picture, np.uint8) if good else None
