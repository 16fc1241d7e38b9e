"""Commands that ask for names and files, with the asking replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QLocale, QTimer
from PySide6.QtGui import QImage, QShortcut
from PySide6.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QMessageBox

from handviz.app.application import App, make_application
from handviz.app.calibration_dialog import CalibrationDialog
from handviz.app.camera_dialog import CameraDialog
from handviz.app.settings import RANGES, load, preset_names, preset_path
from handviz.app.source_menu import SourceMenu
from handviz.app.state import Wish
from handviz.app.viewport.widget import BUSY
from handviz.capture import device
from handviz.capture.base import SourceSpec
from handviz.capture.calibration import Intrinsics, calibration_path, save_intrinsics
from handviz.pipeline.loader import PROBING

pytestmark = pytest.mark.gui
CAMERA = SourceSpec(kind="camera", camera=0)
SaveAs = Callable[[Path], None]


@pytest.fixture
def app(open_app: Callable[..., App]) -> App:
    return open_app(Wish(source=CAMERA))


def test_presets_are_saved_listed_loaded(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.controller.configure(max_hands=1)
    app.controller.toggle("grid")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("Desk", True))
    app.commands.save_preset()
    assert preset_names() == ("Desk",) and load(preset_path("Desk")).wish.config.max_hands == 1
    app.commands.reset_all()
    assert app.controller.wish.config.max_hands == 2 and app.controller.wish.view.grid
    app.menus.fill_presets()
    app.commands.load_preset("Desk")
    assert app.controller.wish.config.max_hands == 1 and not app.controller.wish.view.grid
    assert app.controller.wish.source == CAMERA


def test_wrong_presets_are_told(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("../up", True))
    app.commands.save_preset()
    assert "not a valid preset name" in app.window.banner.words.text()
    preset_path("bad").parent.mkdir(parents=True, exist_ok=True)
    preset_path("bad").write_text('{"format": "handviz settings", "version": 7}')
    app.commands.load_preset("bad")
    assert "version 7" in app.window.banner.words.text()


def test_snapshot_is_written_with_a_suffix(app: App, save_as: SaveAs, tmp_path: Path) -> None:
    save_as(tmp_path / "shot")
    app.commands.run("snapshot")
    assert QImage(str(tmp_path / "shot.png")).width() == 320
    save_as(tmp_path / "none" / "shot.png")
    app.commands.run("snapshot")
    assert "could not be written" in app.window.banner.words.text()


def test_record_key_starts_and_stops(app: App, qtbot: Any, save_as: SaveAs, tmp_path: Path) -> None:
    save_as(tmp_path / "live.mp4")
    app.commands.run("record")
    qtbot.waitUntil(lambda: any("REC" in text for text in app.window.status.shown_texts()), timeout=60_000)
    qtbot.wait(200)
    app.commands.run("record")
    assert (tmp_path / "live.mp4").stat().st_size > 1000 and (tmp_path / "live.jsonl").exists()


def test_poses_beside_a_video_are_not_replaced_unasked(
    app: App, save_as: SaveAs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qtbot: Any
) -> None:
    poses = tmp_path / "hand.jsonl"
    poses.write_text("precious")
    save_as(tmp_path / "hand")
    asked: list[str] = []

    def answers(button: QMessageBox.StandardButton) -> None:
        monkeypatch.setattr(QMessageBox, "question", lambda parent, title, words: asked.append(words) or button)

    answers(QMessageBox.StandardButton.No)
    app.commands.run("record")
    assert not app.controller.works.recording and poses.read_text() == "precious"
    assert "hand.jsonl" in asked[0] and len(asked) == 1
    answers(QMessageBox.StandardButton.Yes)
    app.commands.run("record")
    assert app.controller.works.recording
    qtbot.waitUntil(lambda: poses.read_text() != "precious", timeout=60_000)
    app.commands.run("record")
    assert len(asked) == 2


def test_a_video_is_not_replaced_unasked_where_its_suffix_was_left_out(
    app: App, qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hand.mp4").write_bytes(b"precious")
    asked: list[str] = []

    def refuse() -> None:
        box = app.window.findChild(QMessageBox)
        asked.append(box.text())
        box.button(QMessageBox.StandardButton.No).click()

    def typed(dialog: QFileDialog) -> bool:
        dialog.findChild(QLineEdit).setText(str(tmp_path / "hand"))
        QTimer.singleShot(0, refuse)
        dialog.accept()
        return dialog.result() == QFileDialog.DialogCode.Accepted

    monkeypatch.setattr(QFileDialog, "exec", typed)
    app.commands.run("record")
    assert "hand.mp4" in asked[0] and not app.controller.works.recording
    assert (tmp_path / "hand.mp4").read_bytes() == b"precious"


def test_intrinsics_file_that_is_wrong(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("wrong.json", ""))
    app.commands.run("load_calibration")
    assert "no intrinsics here" in app.window.banner.words.text()


@pytest.mark.parametrize("kept", [False, True])
def test_a_camera_is_calibrated_by_untouched_pictures(app: App, tmp_path: Path, kept: bool) -> None:
    before, made = tmp_path / "before.json", tmp_path / "made.json"
    for path in (before, made):
        path.touch()
    app.controller.configure(intrinsics=before)
    app.commands.run("calibrate")
    assert app.controller.wish.config.intrinsics is None
    (dialog,) = app.window.findChildren(CalibrationDialog)
    if kept:
        dialog.saved.emit(made)
        dialog.accept()
    else:
        dialog.close()
    assert app.controller.wish.config.intrinsics == (made if kept else before)


def test_camera_dialog_gives_size_and_rate(app: App) -> None:
    dialog = CameraDialog(app.window, CAMERA)
    dialog.sizes.setCurrentIndex(3)
    dialog.rates.setCurrentIndex(2)
    assert (dialog.spec.width, dialog.spec.height, dialog.spec.fps) == (1280, 720, 30.0)
    again = CameraDialog(app.window, dialog.spec)
    assert again.spec == dialog.spec
    for made in (dialog, again):
        made.deleteLater()


@pytest.mark.parametrize(("place", "exposure"), [(0, None), (1, "auto"), (2, 40.0)])
def test_camera_dialog_gives_the_exposure_and_what_it_leaves(app: App, place: int, exposure: float | str | None) -> None:
    dialog = CameraDialog(app.window, CAMERA)
    dialog.exposures.setCurrentIndex(place)
    dialog.exposure_ms.setValue(40.0)
    assert dialog.spec.exposure == exposure and dialog.exposure_ms.isEnabled() == (place == 2)
    assert dialog.limit.isHidden() == (place != 2) and (place != 2 or "At most 25 frames" in dialog.limit.text())
    again = CameraDialog(app.window, dialog.spec)
    assert again.spec == dialog.spec
    for made in (dialog, again):
        made.deleteLater()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(CAMERA, width=1024, height=576, fps=29.97, exposure=0.01), ("1024 × 576", "29.97 frames per second", "0.01 ms")),
        (replace(CAMERA, width=320, fps=1000.0, exposure=10_000.0), ("320 × any", "1000 frames per second", "10000 ms")),
        (replace(CAMERA, exposure=8.333), ("camera default", "camera default", "8.333 ms")),
    ],
)
def test_camera_dialog_shows_unusual_values_and_leaves_them(app: App, spec: SourceSpec, words: tuple[str, ...]) -> None:
    dialog = CameraDialog(app.window, spec)
    assert (dialog.sizes.currentText(), dialog.rates.currentText(), dialog.exposure_ms.text()) == words
    assert dialog.spec == spec
    dialog.sizes.setCurrentIndex(0)
    dialog.rates.setCurrentIndex(0)
    assert (dialog.spec.width, dialog.spec.height, dialog.spec.fps) == (None, None, None)
    dialog.deleteLater()


def test_camera_dialog_takes_the_exposures_that_settings_may_have(app: App) -> None:
    dialog = CameraDialog(app.window, CAMERA)
    assert (dialog.exposure_ms.minimum(), dialog.exposure_ms.maximum()) == RANGES["exposure"]
    dialog.exposures.setCurrentIndex(2)
    dialog.exposure_ms.setValue(dialog.exposure_ms.maximum())
    assert dialog.limit.text() == "At most 0.1 frames per second with this exposure."
    dialog.deleteLater()


@pytest.mark.parametrize("typed", ["12.5", "12,5"])
def test_an_exposure_is_typed_with_point_or_comma_in_every_country(app: App, qtbot: Any, typed: str) -> None:
    QLocale.setDefault(QLocale("de_DE"))
    make_application()
    dialog = CameraDialog(app.window, CAMERA)
    dialog.exposures.setCurrentIndex(2)
    dialog.exposure_ms.selectAll()
    qtbot.keyClicks(dialog.exposure_ms, typed)
    assert dialog.spec.exposure == 12.5 and dialog.exposure_ms.text() == "12.5 ms"
    dialog.deleteLater()


def test_camera_dialog_shows_the_rate_and_warns(app: App, factory: Any) -> None:
    session = factory.made[-1]
    dialog = CameraDialog(app.window, CAMERA, session.state)
    session.change(position=500)
    dialog._show_rate()
    assert "12.0 of 25 frames per second" in dialog.measured.text() and "exposes too long" in dialog.measured.text()
    session.change(fps_measured=24.6)
    dialog._show_rate()
    assert dialog.measured.text() == "24.6 of 25 frames per second."
    session.change(fps_measured=None)
    dialog._show_rate()
    assert "no picture" in dialog.measured.text()
    dialog.deleteLater()


def test_the_words_of_the_camera_dialog_have_room_when_they_come_later(app: App, factory: Any, qtbot: Any) -> None:
    session, seen = factory.made[-1], []
    dialog = CameraDialog(app.window, CAMERA, lambda: seen[-1] if seen else None)
    dialog.show()
    dialog.exposures.setCurrentIndex(2)
    dialog.exposure_ms.setValue(100.0)
    session.change(position=500)
    seen.append(session.state())
    dialog._show_rate()
    assert dialog.limit.isVisible() and "exposes too long" in dialog.measured.text()
    for label in (dialog.limit, dialog.measured):
        qtbot.waitUntil(lambda label=label: label.height() >= label.heightForWidth(label.width()), timeout=10_000)
    dialog.close()
    dialog.deleteLater()


def test_a_refused_exposure_is_told_while_the_camera_runs(app: App, factory: Any, qtbot: Any) -> None:
    factory.made[-1].change(warning="camera 0: its driver does not let programs set the exposure.", fps_measured=25.0)
    qtbot.waitUntil(lambda: "does not let programs" in app.window.banner.words.text(), timeout=60_000)
    app.window.banner.closed.emit()
    assert not app.window.banner.isVisible()


def test_camera_commands_need_a_camera(app: App) -> None:
    app.controller.close_source()
    app.commands.run("calibrate")
    assert "needs a camera" in app.window.banner.words.text()


def test_source_menu_lists_found_and_open_cameras(app: App, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "DEVICES", tmp_path)
    (tmp_path / "video0").mkdir()
    (tmp_path / "video0" / "name").write_text("Black & White\n")
    chosen: list[SourceSpec] = []
    left_alone: list[object] = []

    def find(but: object) -> list[int]:
        left_alone.append(but)
        assert threading.current_thread().name == PROBING
        return [2]

    menu = SourceMenu(app.window, CAMERA, chosen.append, find)
    assert CAMERA.camera == 0
    menu.popup(app.window.pos())
    qtbot.waitUntil(lambda: "Camera 2" in [action.text() for action in menu.actions()], timeout=60_000)
    assert left_alone == [CAMERA.camera]
    texts = [action.text() for action in menu.actions() if action.isVisible() and action.text()]
    assert texts == ["Camera 0: Black && White", "Camera 2"]
    next(action for action in menu.actions() if action.text() == "Camera 2").trigger()
    assert chosen == [SourceSpec(kind="camera", camera=2)]
    menu.close()
    menu.deleteLater()


def test_second_window_says_why_it_has_no_scene(app: App, qtbot: Any, factory: Any) -> None:
    second = App(Wish(source=CAMERA), factory)
    second.start()
    qtbot.waitUntil(lambda: second.controller.result is not None, timeout=60_000)
    assert second.window.viewport.problem == BUSY and app.window.viewport.problem is None
    app.window.close()
    qtbot.waitUntil(lambda: second.window.viewport.problem is None, timeout=60_000)
    second.window.close()
    second.window.deleteLater()


def test_a_frozen_camera_goes_on_where_it_is_calibrated(app: App, factory: Any) -> None:
    app.controller.playback.play_pause()
    assert not factory.made[-1].state().playing
    app.commands.run("calibrate")
    assert factory.made[-1].state().playing


def test_a_calibration_is_no_other_source_s(app: App, tmp_path: Path, qtbot: Any) -> None:
    app.commands.run("calibrate")
    (dialog,) = app.window.findChildren(CalibrationDialog)
    assert dialog.isModal()
    app.controller.open(SourceSpec(kind="video", path=Path("hand.mp4")))
    qtbot.waitUntil(lambda: app.controller.wish.source != CAMERA, timeout=60_000)
    assert dialog._newest() is None
    made = tmp_path / "made.json"
    made.touch()
    dialog.saved.emit(made)
    dialog.accept()
    assert app.controller.wish.config.intrinsics is None


def test_intrinsics_are_read_again_where_their_file_is_chosen_again(
    app: App, factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lens.json").touch()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "lens.json"), ""))
    for _ in range(2):
        app.commands.run("load_calibration")
    told = [config.intrinsics for what, config in factory.made[-1].asked if what == "update"]
    assert told[-3:] == [tmp_path / "lens.json", None, tmp_path / "lens.json"]


def test_intrinsics_that_were_forgotten_in_the_menu_do_not_come_back(
    app: App, tmp_path: Path, qtbot: Any, factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))
    path = calibration_path(CAMERA.name, 320, 240)
    save_intrinsics(Intrinsics(K=np.diag([300.0, 300, 1]), size=(320, 240), camera_name=CAMERA.name), path)

    def reopened() -> Path | None:
        app.controller.open(CAMERA)
        qtbot.waitUntil(lambda: app.controller.result is not None, timeout=60_000)
        return app.controller.wish.config.intrinsics

    assert reopened() == path
    app.commands.run("forget_calibration")
    assert reopened() is None
    app.commands.reset_all()
    assert app.controller.wish.config.intrinsics is None


def test_nothing_is_asked_for_where_nothing_can_be_recorded(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "exec", lambda dialog: pytest.fail("asked for a file"))
    app.commands.export("jsonl")
    assert "Record the camera first" in app.window.banner.words.text()
    app.controller.close_source()
    app.commands.run("record")
    assert "nothing to record" in app.window.banner.words.text()


def test_a_maximized_window_is_so_again_after_full_screen(app: App) -> None:
    app.window.showMaximized()
    for name in ("full_screen", "leave_full_screen"):
        app.commands.run("full_screen")
        assert app.window.isFullScreen()
        app.commands.run(name)
        assert app.window.isMaximized() and not app.window.isFullScreen()


def test_only_keys_that_move_on_repeat_while_held(app: App) -> None:
    repeats = {key.key().toString() for key in app.window.findChildren(QShortcut) if key.autoRepeat()}
    assert repeats == {"Left", "Right", "Shift+Left", "Shift+Right", ",", "."}
