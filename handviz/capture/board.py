"""Calibration boards: drawing them, printing them at true scale, and finding them in a picture."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from handviz.errors import OutputError
from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array

BoardKind = Literal["charuco", "checkerboard"]
PAGES_MM: dict[str, tuple[float, float]] = {"a4": (297.0, 210.0), "letter": (279.4, 215.9)}
# A square is 50 units wide and a marker 36, six for each of its modules, so that every edge lies on a whole unit.
_UNITS, _MARKER_UNITS = 50, 36
_MARGIN_MM = 6.0
_PNG_PIXELS_A_UNIT = 5
_MM_TO_POINTS = 72 / 25.4
_MIN_CORNERS = 8
_MAX_REFINEMENT_PX = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSpec:
    """A board of ``columns`` x ``rows`` squares. Part of a ChArUco board is enough; a checkerboard must be seen entirely."""

    kind: BoardKind = "charuco"
    columns: int = 10
    rows: int = 7
    square_mm: float = 25.0

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the printed pattern."""
        return self.columns * self.square_mm, self.rows * self.square_mm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoardView:
    """Corners found in one picture: on the board (N, 3) in metres, z zero, and in the picture (N, 2) in pixels."""

    points_board_m: FloatArray
    corners_px: FloatArray


def board_picture(spec: BoardSpec) -> UInt8Array:
    """Return the pattern (rows x 50, columns x 50) in black and white, 50 pixels a square."""
    if spec.kind == "charuco":
        size = (spec.columns * _UNITS, spec.rows * _UNITS)
        return np.asarray(_charuco(spec).generateImage(size, None, 0, 1), np.uint8)
    parity = np.indices((spec.rows, spec.columns)).sum(0) % 2
    return np.asarray(np.kron(parity * 255, np.ones((_UNITS, _UNITS))), np.uint8)


def find_board(spec: BoardSpec, rgb: UInt8Array) -> BoardView | None:
    """Return the board's corners in a picture (height, width, 3), or None where it is not seen well enough."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return _find_charuco(spec, grey) if spec.kind == "charuco" else _find_checkerboard(spec, grey)


def _charuco(spec: BoardSpec) -> cv2.aruco.CharucoBoard:
    square_m = spec.square_mm / 1000
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    return cv2.aruco.CharucoBoard((spec.columns, spec.rows), square_m, square_m * _MARKER_UNITS / _UNITS, dictionary)


def _find_charuco(spec: BoardSpec, grey: UInt8Array) -> BoardView | None:
    board = _charuco(spec)
    corners, ids, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
    if ids is None or len(ids) < _MIN_CORNERS:
        return None
    points = np.asarray(board.getChessboardCorners(), np.float64)[ids.reshape(-1)]
    if _in_one_row(points):
        return None
    # The detector's corners are half a pixel off (measured on drawn boards), and come from the markers around them.
    start = corners.reshape(-1, 2).astype(np.float64) - 0.5
    refined = _refined(grey, start, points, spec, (_UNITS - _MARKER_UNITS) / 2 / _UNITS)
    near = np.linalg.norm(refined - start, axis=1) < _MAX_REFINEMENT_PX
    if near.sum() < _MIN_CORNERS or _in_one_row(points[near]):
        return None
    return BoardView(points_board_m=points[near], corners_px=refined[near])


def _in_one_row(points_board_m: FloatArray) -> bool:
    """Say whether all corners lie in one row or column of the board, which does not determine its orientation."""
    return bool(np.ptp(points_board_m[:, :2], axis=0).min() < 1e-9)


def _refined(
    grey: UInt8Array, corners_px: FloatArray, points_board_m: FloatArray, spec: BoardSpec, clearance: float
) -> FloatArray:
    """Return corners moved to where their squares' edges cross; within ``clearance`` squares there are no other edges."""
    to_px, _ = cv2.findHomography(points_board_m[:, :2], corners_px)
    step = np.array([spec.square_mm / 1000, 0.0])
    sides = [cv2.perspectiveTransform((points_board_m[None, :, :2] + s), to_px)[0] - corners_px for s in (step, step[::-1])]
    square_px = min(float(np.median(np.linalg.norm(side, axis=1))) for side in sides)
    reach = int(np.clip(square_px * clearance, 2, 10))
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.01)
    moved = cv2.cornerSubPix(grey, corners_px.astype(np.float32)[:, None].copy(), (reach, reach), (-1, -1), until)
    return np.asarray(moved[:, 0], np.float64)


def _find_checkerboard(spec: BoardSpec, grey: UInt8Array) -> BoardView | None:
    columns, rows = spec.columns - 1, spec.rows - 1
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_NORMALIZE_IMAGE + cv2.CALIB_CB_FAST_CHECK
    found, corners = cv2.findChessboardCorners(grey, (columns, rows), flags=flags)
    if not found:
        return None
    points = np.zeros((columns * rows, 3))
    points[:, :2] = (np.indices((rows, columns))[::-1].reshape(2, -1).T + 1) * spec.square_mm / 1000
    refined = _refined(grey, corners.reshape(-1, 2).astype(np.float64), points, spec, 0.35)
    return BoardView(points_board_m=points, corners_px=refined)


def print_board(spec: BoardSpec, path: Path, page: str = "a4") -> None:
    """Write the board for printing: a PDF page at true scale, or a PNG with its physical size.

    Raises OutputError for another suffix, a board larger than the page, or a file that cannot be written.
    """
    if path.suffix.lower() not in (".pdf", ".png"):
        raise OutputError(f"{path}: a board is saved as .pdf or .png. Give a name that ends so.")
    if any(side + 2 * _MARGIN_MM > room for side, room in zip(spec.size_mm, PAGES_MM[page], strict=True)):
        width, height = spec.size_mm
        raise OutputError(f"A board of {width:g} x {height:g} mm does not fit on {page}. Choose fewer or smaller squares.")
    try:
        path.write_bytes(_pdf(spec, page) if path.suffix.lower() == ".pdf" else _png(spec))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Choose another folder.") from error


def _png(spec: BoardSpec) -> bytes:
    """The pattern with a white border and its physical size in a pHYs chunk (PNG specification, 11.3.5.3)."""
    unit_mm = spec.square_mm / _UNITS
    border = round(_MARGIN_MM / unit_mm)
    large = np.kron(np.pad(board_picture(spec), border, constant_values=255), np.ones((_PNG_PIXELS_A_UNIT,) * 2, np.uint8))
    done, png = cv2.imencode(".png", large)
    assert done, "a uint8 picture always encodes"
    per_metre = round(1000 * _PNG_PIXELS_A_UNIT / unit_mm)
    body = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    header_end = 8 + 25  # signature and the header chunk
    content = png.tobytes()
    return content[:header_end] + chunk + content[header_end:]


def _pdf(spec: BoardSpec, page: str) -> bytes:
    """One landscape page: the pattern as a bitmap of one bit per unit, and a 100 mm line to check the print with."""
    page_width, page_height = (side * _MM_TO_POINTS for side in PAGES_MM[page])
    width, height = (side * _MM_TO_POINTS for side in spec.size_mm)
    left, bottom = (page_width - width) / 2, (page_height - height) / 2 + 4
    picture = board_picture(spec)
    bits = zlib.compress(np.packbits(picture > 0, axis=1).tobytes())
    line_y = bottom - 10
    text = f"handviz {spec.kind} {spec.columns} x {spec.rows}, squares {spec.square_mm:g} mm. Print at 100 %: the line is 100 mm."
    draw = (
        f"q {width:.4f} 0 0 {height:.4f} {left:.4f} {bottom:.4f} cm /Board Do Q "
        f"0.5 w {left:.4f} {line_y:.4f} m {left + 100 * _MM_TO_POINTS:.4f} {line_y:.4f} l S "
        f"BT /F 7 Tf {left + 104 * _MM_TO_POINTS:.4f} {line_y - 2:.4f} Td ({text}) Tj ET"
    ).encode()
    image = (
        f"<< /Type /XObject /Subtype /Image /Width {picture.shape[1]} /Height {picture.shape[0]} /ColorSpace /DeviceGray "
        f"/BitsPerComponent 1 /Filter /FlateDecode /Length {len(bits)} >>"
    ).encode()
    return _pdf_file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {page_width:.4f} {page_height:.4f}] /Contents 4 0 R "
            "/Resources << /XObject << /Board 5 0 R >> /Font << /F 6 0 R >> >> >>".encode(),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(draw), draw),
            b"%b\nstream\n%b\nendstream" % (image, bits),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
    )


def _pdf_file(objects: list[bytes]) -> bytes:
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(content))
    return content + head + table + tail
