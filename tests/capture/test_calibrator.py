from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.capture.board import BoardSpec, board_picture, find_board
from handviz.capture.calibration import Undistorter, load_intrinsics, save_intrinsics
from handviz.capture.calibrator import CalibrationResult, Calibrator
from handviz.errors import SourceError

WIDTH, HEIGHT = 640, 480
K = np.array([[560.0, 0, 330.0], [0, 566.0, 228.0], [0, 0, 1]])
BEND = np.array([-0.18, 0.05, 0.001, -0.001, 0.0])


def poses(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Board poses that span place, distance and slant, the board facing the camera."""
    rng = np.random.default_rng(4)
    found = []
    for i in range(count):
        R = Rotation.from_euler(
            "xyz", [rng.uniform(-40, 40), rng.uniform(-40, 40), rng.uniform(-20, 20)], degrees=True
        ).as_matrix()
        z = 0.3 + 0.35 * rng.random()
        centre = np.array([((i % 4) - 1.5) * 0.09, ((i // 4 % 3) - 1) * 0.07, z])
        found.append((R, centre - R @ np.array([0.125, 0.0875, 0.0])))
    return found


def render(spec: BoardSpec, R: np.ndarray, t: np.ndarray, distortion: np.ndarray | None = None) -> np.ndarray:
    """The board in front of a grey wall seen by a known camera, antialiased."""
    over, border = 2, 25
    pattern = np.pad(board_picture(spec), border, constant_values=255)
    unit = spec.square_mm / 1000 / 50
    board_from_pixel = np.array([[unit, 0, (0.5 - border) * unit], [0, unit, (0.5 - border) * unit], [0, 0, 1]])
    finer = np.array([[over, 0, 0.5 * over - 0.5], [0, over, 0.5 * over - 0.5], [0, 0, 1.0]])
    H = finer @ K @ np.stack([R[:, 0], R[:, 1], t], 1) @ board_from_pixel
    fine = cv2.warpPerspective(pattern, H, (WIDTH * over, HEIGHT * over), borderValue=(120,), flags=cv2.INTER_LINEAR)
    picture = cv2.resize(fine, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    if distortion is not None:
        grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).reshape(-1, 1, 2).astype(np.float32)
        straight = cv2.undistortPoints(grid, K, distortion, P=K).reshape(HEIGHT, WIDTH, 2)
        picture = cv2.remap(picture, straight, None, cv2.INTER_LINEAR, borderValue=(120,))
    return np.repeat(picture[..., None], 3, 2)


@lru_cache
def calibrated(kind: str, bent: bool) -> CalibrationResult:
    spec = BoardSpec(kind=kind)  # type: ignore[arg-type]
    calibrator = Calibrator(spec, "Test camera")
    for R, t in poses(14):
        picture = render(spec, R, t, BEND if bent else None)
        calibrator.offer(picture)
        calibrator.offer(picture)
    assert calibrator.views >= 8
    return calibrator.solve()


@pytest.mark.parametrize(("kind", "bent"), [("charuco", False), ("checkerboard", False), ("charuco", True)])
def test_the_camera_is_recovered(kind: str, bent: bool) -> None:
    result = calibrated(kind, bent)
    found = result.intrinsics
    assert found.error_px is not None and found.error_px < 0.4
    np.testing.assert_allclose(np.diag(found.K)[:2], np.diag(K)[:2], rtol=0.003)
    np.testing.assert_allclose(found.K[:2, 2], K[:2, 2], atol=1.5)
    assert found.size == (WIDTH, HEIGHT) and found.distortion is not None
    assert found.distortion[0] == pytest.approx(BEND[0] if bent else 0.0, abs=0.03)
    assert 0 < result.focal_deviation_px < 5


def test_a_straightened_picture_is_a_pinhole_cameras() -> None:
    spec, intrinsics = BoardSpec(), calibrated("charuco", True).intrinsics
    R, t = poses(6)[5]
    straight = Undistorter(intrinsics, WIDTH, HEIGHT).apply(render(spec, R, t, BEND))
    view = find_board(spec, straight)
    assert view is not None
    seen = view.points_board_m @ R.T + t
    expected = (seen / seen[:, 2:]) @ K.T
    error = np.linalg.norm(view.corners_px - expected[:, :2], axis=1)
    bent = cv2.projectPoints(view.points_board_m, cv2.Rodrigues(R)[0], t, K, BEND)[0].reshape(-1, 2)
    assert error.max() < 0.2 * np.linalg.norm(bent - expected[:, :2], axis=1).max()


def test_a_view_is_taken_once_and_only_when_still() -> None:
    spec = BoardSpec()
    calibrator = Calibrator(spec)
    (R, t), (R2, t2) = poses(2)
    first, moved = render(spec, R, t), render(spec, R2, t2)
    assert calibrator.offer(np.zeros_like(first)).advice == "no board"
    advice = [calibrator.offer(picture).advice for picture in (first, first, first, moved, moved)]
    assert advice == ["hold still", "taken", "move the board", "hold still", "taken"]
    assert calibrator.views == 2 and calibrator.cells_seen.sum() > 50
    assert 0 < max(calibrator.coverage.values()) <= 1 and not calibrator.ready


def test_too_few_views_and_another_size_are_told() -> None:
    calibrator = Calibrator(BoardSpec())
    assert set(calibrator.coverage.values()) == {0.0}
    calibrator.offer(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(SourceError, match="needs 8 views"):
        calibrator.solve()
    with pytest.raises(SourceError, match="Start again"):
        calibrator.offer(np.zeros((50, 64, 3), np.uint8))


def test_a_result_is_saved_and_read_again(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    intrinsics = calibrated("charuco", True).intrinsics
    save_intrinsics(intrinsics, tmp_path / "cameras" / "a.json")
    again = load_intrinsics(tmp_path / "cameras" / "a.json")
    np.testing.assert_array_equal(again.K, intrinsics.K)
    np.testing.assert_array_equal(again.distortion, intrinsics.distortion)  # type: ignore[arg-type]
    assert (again.size, again.error_px, again.camera_name) == (intrinsics.size, intrinsics.error_px, "Test camera")
