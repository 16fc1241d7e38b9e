"""Calibrating a camera: collects different views of a board and solves for the intrinsics (Zhang 2000, by OpenCV)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from handviz.capture.board import BoardSpec, BoardView, find_board
from handviz.capture.calibration import Intrinsics
from handviz.errors import SourceError
from handviz.geometry.camera import FloatArray
from handviz.records import UInt8Array

Advice = Literal["taken", "no board", "hold still", "move the board"]
MIN_VIEWS = 8
ENOUGH_VIEWS = 15
# How different a view must be from every view taken so far: place and size as fractions of the picture, slant as the logarithm
# of the ratio of opposite sides.
_NEW_VIEW = 0.12
# Movement of more than this between two pictures blurs the corners.
_STILL_PX = 3.0
# A view whose error is this many times the median was taken while the board moved, or its corners are wrong.
_OUTLIER = 2.5
# The fraction of the picture's width and height, and the range of sizes and slants, that views should span.
_WANTED_SPAN = (0.55, 0.45, 0.25, 0.35)
_CELLS = (6, 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offer:
    """The outcome for one picture: advice for the user, and the board's corners (N, 2) in pixels if seen."""

    advice: Advice
    corners_px: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationResult:
    """Intrinsics, how many views were used and rejected, and the standard deviation of the focal lengths in pixels."""

    intrinsics: Intrinsics
    views: int
    rejected: int
    focal_deviation_px: float


class Calibrator:
    """Takes pictures of a board one by one, keeps the views that add something, and solves on demand."""

    def __init__(self, spec: BoardSpec, camera_name: str | None = None) -> None:
        self.spec = spec
        self._camera_name = camera_name
        self._size: tuple[int, int] | None = None
        self._views: list[BoardView] = []
        self._descriptions: list[FloatArray] = []
        self._last: BoardView | None = None

    @property
    def views(self) -> int:
        """Number of views taken."""
        return len(self._views)

    @property
    def coverage(self) -> dict[str, float]:
        """How well the views differ, each 0 to 1: across, down, in distance and in slant."""
        if not self._descriptions:
            return {"across": 0.0, "down": 0.0, "distance": 0.0, "slant": 0.0}
        spans = np.ptp(np.array(self._descriptions), axis=0)
        spans[3] = max(spans[3], spans[4])
        return {
            name: float(min(1.0, span / wanted))
            for name, span, wanted in zip(("across", "down", "distance", "slant"), spans, _WANTED_SPAN, strict=False)
        }

    @property
    def cells_seen(self) -> FloatArray:
        """Corners seen in each part of the picture (4, 6), for showing where the board has not been."""
        counts = np.zeros(_CELLS[::-1])
        if self._size is not None:
            for view in self._views:
                u, v = (np.clip(view.corners_px / self._size * _CELLS, 0, np.array(_CELLS) - 1)).astype(int).T
                np.add.at(counts, (v, u), 1)
        return counts

    @property
    def ready(self) -> bool:
        """Whether the views suffice for a good result."""
        return self.views >= ENOUGH_VIEWS and min(self.coverage.values()) >= 0.8

    def offer(self, rgb: UInt8Array) -> Offer:
        """Find the board in a picture (height, width, 3) and keep the view if it is sharp and new.

        Raises SourceError if the camera's picture size has changed since the first one.
        """
        size = (rgb.shape[1], rgb.shape[0])
        if self._size not in (None, size):
            raise SourceError(f"The camera's picture size changed from {self._size} to {size} during calibration. Start again.")
        self._size = size
        view, last = find_board(self.spec, rgb), self._last
        self._last = view
        if view is None:
            return Offer(advice="no board")
        if last is None or not _still(last, view):
            return Offer(advice="hold still", corners_px=view.corners_px)
        description = self._describe(view)
        if any(np.abs(description - other).max() < _NEW_VIEW for other in self._descriptions):
            return Offer(advice="move the board", corners_px=view.corners_px)
        self._views.append(view)
        self._descriptions.append(description)
        return Offer(advice="taken", corners_px=view.corners_px)

    def solve(self) -> CalibrationResult:
        """Return the intrinsics. Raises SourceError if there are too few views or they do not determine the camera."""
        if len(self._views) < MIN_VIEWS or self._size is None:
            raise SourceError(f"Calibration needs {MIN_VIEWS} views of the board, {len(self._views)} were taken. Show it again.")
        errors, solved = _solve(self._views, self._size)
        good = [view for view, error in zip(self._views, errors, strict=True) if error <= max(_OUTLIER * np.median(errors), 0.3)]
        if MIN_VIEWS <= len(good) < len(self._views):
            errors, solved = _solve(good, self._size)
        else:
            good = self._views
        self._check(solved.K)
        intrinsics = Intrinsics(
            K=solved.K, size=self._size, distortion=solved.distortion, error_px=solved.error_px, camera_name=self._camera_name
        )
        return CalibrationResult(
            intrinsics=intrinsics,
            views=len(good),
            rejected=len(self._views) - len(good),
            focal_deviation_px=solved.focal_deviation_px,
        )

    def _check(self, K: FloatArray) -> None:
        assert self._size is not None
        longer = max(self._size)
        inside = 0 < K[0, 2] < self._size[0] and 0 < K[1, 2] < self._size[1]
        if not np.isfinite(K).all() or not 0.2 * longer < K[0, 0] < 20 * longer or not inside:
            raise SourceError("The views do not determine the camera. Tilt the board more, and show it near and far.")

    def _describe(self, view: BoardView) -> FloatArray:
        """Return centre across and down, size, and the two slants, each about 0 to 1."""
        assert self._size is not None
        to_px, _ = cv2.findHomography(view.points_board_m[:, :2], view.corners_px)
        board = np.array(self.spec.size_mm) / 1000
        outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * board
        seen = cv2.perspectiveTransform(outline[None], to_px)[0]
        sides = np.linalg.norm(seen - np.roll(seen, -1, axis=0), axis=1)
        centre = seen.mean(0) / self._size
        size = float(np.sqrt(sides.mean() ** 2 / (self._size[0] * self._size[1])))
        # A slanted board shows opposite sides with different lengths.
        slant_x, slant_y = (np.log(sides[a] / sides[b]) for a, b in ((1, 3), (0, 2)))
        return np.array([centre[0], centre[1], size, slant_x, slant_y])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Solved:
    K: FloatArray
    distortion: FloatArray
    error_px: float
    focal_deviation_px: float


def _still(last: BoardView, view: BoardView) -> bool:
    """Say whether corners seen in both pictures stayed where they were."""
    before = {tuple(point): corner for point, corner in zip(np.round(last.points_board_m, 6), last.corners_px, strict=True)}
    points = [tuple(point) for point in np.round(view.points_board_m, 6)]
    moved = [np.linalg.norm(corner - before[p]) for p, corner in zip(points, view.corners_px, strict=True) if p in before]
    return bool(moved) and float(np.median(moved)) <= _STILL_PX


def _solve(views: list[BoardView], size: tuple[int, int]) -> tuple[FloatArray, _Solved]:
    """Return each view's error in pixels and the solution (two radial and two tangential terms)."""
    points = [view.points_board_m.astype(np.float32) for view in views]
    corners = [view.corners_px.astype(np.float32)[:, None] for view in views]
    try:
        error, K, distortion, _, _, deviations, _, errors = cv2.calibrateCameraExtended(
            points, corners, size, None, None, flags=cv2.CALIB_FIX_K3
        )
    except cv2.error as wrong:
        raise SourceError("The views do not determine the camera. Tilt the board more, and show it near and far.") from wrong
    deviation = float(np.max(deviations[:2]))
    return errors.reshape(-1), _Solved(
        K=K, distortion=distortion.reshape(-1)[:5], error_px=float(error), focal_deviation_px=deviation
    )
