from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from scipy.spatial.transform import Rotation

from handviz.app.calibration_dialog import CalibrationDialog
from handviz.capture.board import BoardSpec, board_picture
from handviz.capture.calibration import load_intrinsics
from handviz.geometry.camera import camera_from_fov
from handviz.records import Frame

pytestmark = pytest.mark.gui
CAMERA = camera_from_fov(640, 480)


def view(number: int) -> np.ndarray:
    """The default board before the camera in one of many poses."""
    rng = np.random.default_rng(number)
    R = Rotation.from_euler("xyz", rng.uniform(-35, 35, 3) * [1, 1, 0.4], degrees=True).as_matrix()
    centre = np.array([((number % 4) - 1.5) * 0.08, ((number // 4 % 3) - 1) * 0.06, 0.32 + 0.3 * rng.random()])
    t = centre - R @ [0.125, 0.0875, 0.0]
    pixel_m = np.array([[0.0005, 0, -0.0125], [0, 0.0005, -0.0125], [0, 0, 1]])
    pattern = np.pad(board_picture(BoardSpec()), 25, constant_values=255)
    H = CAMERA.K @ np.stack([R[:, 0], R[:, 1], t], 1) @ pixel_m
    grey = cv2.warpPerspective(pattern, H, (640, 480), borderValue=(120,), flags=cv2.INTER_AREA)
    return np.repeat(grey[..., None], 3, 2)


@pytest.fixture(autouse=True)
def no_pause_between_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handviz.app.calibration_dialog.LOOK_EVERY_MS", 1)


class Camera:
    """Shows each view for two pictures, like a board that is held still."""

    def __init__(self) -> None:
        self.asked = 0

    def newest(self) -> Frame:
        self.asked += 1
        rgb = view(self.asked // 2 % 30)
        return Frame(index=self.asked, t_capture_s=0.0, t_arrival_s=0.0, rgb=rgb, camera=CAMERA)


def test_a_camera_is_calibrated_and_kept(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))
    dialog = CalibrationDialog(None, Camera().newest, "Camera 0")
    qtbot.addWidget(dialog)
    dialog.show()
    assert not dialog.solve_button.isEnabled() and not dialog.save_button.isEnabled()
    qtbot.waitUntil(dialog.solve_button.isEnabled, timeout=60_000)
    assert not dialog.picture.pixmap().isNull()
    dialog.solve()
    qtbot.waitUntil(dialog.save_button.isEnabled, timeout=60_000)
    assert "Reprojection error 0." in dialog.words.text()
    with qtbot.waitSignal(dialog.saved) as saved:
        dialog.keep()
    (path,) = saved.args
    assert path == tmp_path / "cameras" / "camera-0_640x480.json"
    assert load_intrinsics(path).K[0, 0] == pytest.approx(CAMERA.K[0, 0], rel=0.02)


def test_the_board_is_printed_and_errors_are_told(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = CalibrationDialog(None, lambda: None, "Camera 0")
    qtbot.addWidget(dialog)
    dialog.kind.setCurrentText("Checkerboard")
    dialog.print_to(tmp_path / "board.pdf")
    assert (tmp_path / "board.pdf").read_bytes().startswith(b"%PDF") and "100 %" in dialog.words.text()
    dialog.print_to(tmp_path / "none" / "board.pdf")
    assert "cannot be written" in dialog.words.text()
    dialog.solve()
    qtbot.waitUntil(lambda: "needs 8 views" in dialog.words.text(), timeout=10_000)
    dialog.close()


def test_words_stay_while_pictures_come(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = CalibrationDialog(None, Camera().newest, "Camera 0")
    qtbot.addWidget(dialog)
    dialog.print_to(tmp_path / "board.pdf")
    qtbot.waitUntil(lambda: dialog.count.text().startswith("2 of"), timeout=60_000)
    assert "100 %" in dialog.words.text()
    dialog.close()


def test_beginning_again_drops_what_is_being_calculated(qtbot: QtBot) -> None:
    dialog = CalibrationDialog(None, lambda: None, "Camera 0")
    qtbot.addWidget(dialog)
    dialog.solve()
    assert dialog._solving is not None
    calculated = dialog._solving
    dialog.restart()
    qtbot.waitUntil(calculated.done, timeout=60_000)
    dialog.look()
    assert dialog.words.text() == "" and not dialog.save_button.isEnabled()
    dialog.close()
