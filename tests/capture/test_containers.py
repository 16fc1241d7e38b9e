"""Files that are complete although they announce more frames than they hold, and files that are not."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.capture.base import parse_source
from handviz.capture.containers import is_all_there
from handviz.capture.open import open_source
from handviz.capture.video import square_pixels
from handviz.errors import SourceError

COUNT = 60


def written(path: Path, fourcc: str) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 30, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(COUNT):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    return path


@pytest.fixture
def matroska(tmp_path: Path) -> Path:
    return written(tmp_path / "hand.mkv", "MJPG")


def frames(path: Path) -> int:
    return sum(1 for _ in iter(open_source(parse_source(str(path))).read, None))


def test_a_file_whose_sound_is_longer_is_whole(matroska: Path) -> None:
    content = bytearray(matroska.read_bytes())
    place = content.index(b"\x44\x89\x88") + 3  # the duration, a double in milliseconds
    struct.pack_into(">d", content, place, 5 * struct.unpack_from(">d", content, place)[0])
    matroska.write_bytes(content)
    assert open_source(parse_source(str(matroska))).frame_count == pytest.approx(5 * COUNT, abs=5)
    assert frames(matroska) == COUNT
    source = open_source(parse_source(str(matroska)))
    source.seek(7)
    assert source.frame_count == COUNT and not source.warnings


def test_a_file_that_was_cut_is_told(matroska: Path) -> None:
    content = matroska.read_bytes()
    assert is_all_there(matroska) is True
    matroska.write_bytes(content[: len(content) // 2])
    assert is_all_there(matroska) is False
    with pytest.raises(SourceError, match="cut short"):
        frames(matroska)


def test_what_a_container_does_not_tell_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "any.bin"
    # An MP4, an empty file, Matroska of unknown length (written live), one whose header is cut off.
    for content in (b"\0\0\0\x18ftypmp42", b"", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + 7 * b"\xff", b"\x1a\x45\xdf\xa3"):
        path.write_bytes(content)
        assert is_all_there(path) is None
    for stream in ((b"\x47" + 187 * b"\0") * 3, (4 * b"\0" + b"\x47" + 187 * b"\0") * 3):
        path.write_bytes(stream)
        assert is_all_there(path) is True
    path.unlink()
    assert is_all_there(path) is None


def test_frames_that_can_not_be_decoded_are_told_with_their_codec(tmp_path: Path) -> None:
    path = written(tmp_path / "hand.mp4", "mp4v")
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"none of its {COUNT} frames \(codec (FMP4|mp4v)\) can be decoded"):
        frames(path)


@pytest.mark.parametrize(("stretch", "size"), [(1.0, (64, 48)), (4 / 3, (85, 48)), (0.75, (64, 64))])
def test_pixels_that_are_shown_wider_than_high_become_square(stretch: float, size: tuple[int, int]) -> None:
    picture = np.repeat(np.linspace(0, 252, 64).astype(np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    square = square_pixels(picture, stretch)
    assert (square.shape[1], square.shape[0]) == size
    assert square[size[1] // 2, size[0] // 2, 0] == pytest.approx(126, abs=3)


def test_a_file_with_square_pixels_is_as_it_is(tmp_path: Path) -> None:
    frame = open_source(parse_source(str(written(tmp_path / "hand.mp4", "mp4v")))).read()
    assert frame is not None and frame.rgb.shape == (48, 64, 3) and frame.camera.size == (64, 48)
