from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handviz.capture.base import CameraChoice
from handviz.capture.mirrored import is_mirrored
from handviz.capture.video import VideoSource
from handviz.export.video import VideoWriter
from handviz.records import Frame, UInt8Array


@pytest.fixture
def selfie(tmp_path: Path) -> Path:
    """A recording whose four corners differ."""
    path = tmp_path / "selfie.mp4"
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24, :32, 0] = rgb[24:, :32, 1] = rgb[24:, 32:, 2] = 200
    with VideoWriter(path) as writer:
        for number in range(5):
            writer.write(rgb, number / 30)
    return path


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Let the file's track be shown with this matrix: x' = a x + c y, y' = b x + d y."""
    data = bytearray(path.read_bytes())
    fixed = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, data.rindex(b"tkhd") + 4 + 40, *fixed)
    path.write_bytes(data)


def first(path: Path) -> Frame:
    frame = VideoSource(path, CameraChoice()).read()
    assert frame is not None
    return frame


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda rgb: rgb),
        ((-1, 0, 0, -1), lambda rgb: rgb[::-1, ::-1]),
        ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
        ((1, 0, 0, -1), lambda rgb: rgb[::-1]),
        ((0, 1, 1, 0), lambda rgb: rgb.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2)),
    ],
)
def test_a_recording_is_shown_as_its_matrix_says(
    selfie: Path, matrix: tuple[int, int, int, int], shown: Callable[[UInt8Array], UInt8Array]
) -> None:
    plain = first(selfie).rgb
    with_matrix(selfie, *matrix)
    frame = first(selfie)
    np.testing.assert_array_equal(frame.rgb, shown(plain))
    assert frame.camera.size == frame.rgb.shape[1::-1]
    assert is_mirrored(selfie) == (np.linalg.det(np.reshape(matrix, (2, 2))) < 0)


def test_a_second_reading_is_mirrored_too(selfie: Path) -> None:
    with_matrix(selfie, -1, 0, 0, 1)
    source = VideoSource(selfie, CameraChoice())
    before = source.read()
    source.seek(0)
    again = source.read()
    assert before is not None and again is not None
    np.testing.assert_array_equal(again.rgb, before.rgb)


def test_no_file_stops_the_search(selfie: Path, tmp_path: Path) -> None:
    with_matrix(selfie, -1, 0, 0, 1)
    data = selfie.read_bytes()
    for name, content in {
        "empty": b"",
        "other": bytes(range(256)) * 8,
        "zeros": bytes(4096),
        **{f"cut{length}": data[:length] for length in range(0, len(data), 7)},
        **{f"cut{length}": data[: data.rindex(b"tkhd") + length] for length in range(90)},
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        is_mirrored(path)
    assert not is_mirrored(tmp_path / "missing")
