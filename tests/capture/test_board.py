from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.capture.board import BoardSpec, board_picture, find_board, print_board
from handviz.errors import OutputError

KINDS = ("charuco", "checkerboard")


@pytest.mark.parametrize("kind", KINDS)
def test_the_printed_pattern_is_found_with_corners_in_their_places(kind: str) -> None:
    spec = BoardSpec(kind=kind)  # type: ignore[arg-type]
    picture = np.pad(board_picture(spec), 40, constant_values=255)
    view = find_board(spec, np.repeat(picture[..., None], 3, 2))
    assert view is not None and len(view.corners_px) == (spec.columns - 1) * (spec.rows - 1)
    # 50 pixels per square of 25 mm; a corner lies between pixels.
    expected = view.points_board_m[:, :2] / 0.025 * 50 + 40 - 0.5
    flipped = (np.array(spec.size_mm) / 1000 - view.points_board_m[:, :2]) / 0.025 * 50 + 40 - 0.5
    error = min(np.abs(view.corners_px - points).max() for points in (expected, flipped))
    assert error < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_no_board_is_none(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    assert find_board(BoardSpec(kind=kind), noise) is None  # type: ignore[arg-type]


def test_a_charuco_board_is_found_in_part() -> None:
    spec = BoardSpec()
    picture = np.pad(board_picture(spec), 40, constant_values=255)[:, :300]
    view = find_board(spec, np.repeat(picture[..., None], 3, 2))
    assert view is not None and 8 <= len(view.corners_px) < (spec.columns - 1) * (spec.rows - 1)


@pytest.mark.parametrize("page", ["a4", "letter"])
def test_the_pdf_shows_the_pattern_at_true_scale(tmp_path: Path, page: str) -> None:
    spec = BoardSpec()
    print_board(spec, tmp_path / "board.pdf", page)
    content = (tmp_path / "board.pdf").read_bytes()
    place = re.search(rb"q ([\d.]+) 0 0 ([\d.]+) ([\d.]+) ([\d.]+) cm /Board", content)
    assert place is not None
    width, height, left, bottom = (float(number) / 72 * 25.4 for number in place.groups())
    assert (width, height) == pytest.approx((250, 175), abs=0.01)
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert box is not None
    page_width, page_height = (float(number) / 72 * 25.4 for number in box.groups())
    assert left > 6 and left + width < page_width - 6 and bottom > 6 and bottom + height < page_height - 6
    image = re.search(rb"/Width 500 /Height 350 .*?/Length (\d+) >>\nstream\n", content)
    assert image is not None
    bits = np.frombuffer(zlib.decompress(content[image.end() : image.end() + int(image[1])]), np.uint8)
    pattern = np.unpackbits(bits.reshape(350, -1), axis=1)[:, :500]
    np.testing.assert_array_equal(pattern * 255, board_picture(spec))


def test_every_object_of_the_pdf_is_where_its_table_says(tmp_path: Path) -> None:
    print_board(BoardSpec(), tmp_path / "board.pdf")
    content = (tmp_path / "board.pdf").read_bytes()
    start = int(content.split(b"startxref\n")[1].split()[0])
    assert content[start:].startswith(b"xref\n0 7\n")
    for number, row in enumerate(content[start:].split(b"\n")[3:9], 1):
        assert content[int(row[:10]) :].startswith(b"%d 0 obj" % number)


def test_the_png_knows_its_size(tmp_path: Path) -> None:
    print_board(BoardSpec(), tmp_path / "board.png")
    content = (tmp_path / "board.png").read_bytes()
    at = content.index(b"pHYs")
    per_metre, _, unit = struct.unpack_from(">IIB", content, at + 4)
    assert unit == 1 and struct.unpack_from(">I", content, at + 13)[0] == zlib.crc32(content[at : at + 13])
    picture = cv2.imread(str(tmp_path / "board.png"), cv2.IMREAD_GRAYSCALE)
    assert (picture.shape[1] - 2 * 12 * 5) / per_metre == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("board.jpg", BoardSpec(), ".pdf or .png"),
        ("board.pdf", BoardSpec(square_mm=40), "does not fit"),
        ("missing/board.pdf", BoardSpec(), "cannot be written"),
    ],
)
def test_what_can_not_be_printed(tmp_path: Path, name: str, spec: BoardSpec, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        print_board(spec, tmp_path / name)


@pytest.mark.parametrize("rows", [1.9, 2.2, 2.5, 2.9])
def test_one_row_of_corners_is_no_view(rows: float) -> None:
    spec = BoardSpec()
    square_px = board_picture(spec).shape[1] / spec.columns
    picture = np.pad(board_picture(spec), 60, constant_values=255)[: 60 + round(square_px * rows)]
    assert find_board(spec, np.repeat(picture[..., None], 3, 2)) is None
