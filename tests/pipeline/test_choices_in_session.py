"""What a session shows and keeps when choices change or cannot be met."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from handviz.capture.calibration import Intrinsics, save_intrinsics
from handviz.geometry.camera import project
from handviz.pipeline import ahead
from handviz.pipeline.result_cache import ResultCache
from tests.conftest import write_video
from tests.pipeline.test_session import session_on, shown
from tests.pipeline.waiting import wait_for


@pytest.fixture
def lens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Intrinsics of 320x240 pictures with distortion."""
    path = tmp_path_factory.mktemp("lens") / "lens.json"
    K = np.array([[250.0, 0, 159.5], [0, 250, 119.5], [0, 0, 1]])
    save_intrinsics(Intrinsics(K=K, size=(320, 240), distortion=np.array([-0.3, 0.05, 0, 0, 0])), path)
    return path


def test_a_held_frame_is_straightened_where_a_lens_is_told(fakes: ModuleType, tmp_path: Path, lens: Path) -> None:
    video = write_video(tmp_path / "still.mp4", [fakes.disc_picture(280)] * 12)
    session = session_on(video, playing=False, smoothing=False)
    try:
        session.seek(5)
        bent = shown(session, 5)
        session.update(replace(session.config, intrinsics=lens))
        straight = wait_for(lambda: (r := session.latest()) and (r if r.frame.camera.source == "calibrated" else None))
        assert straight.frame.index == 5 and not np.array_equal(straight.frame.rgb, bent.frame.rgb)
        session.seek(6)
        shown(session, 6)
        session.seek(5)
        back = shown(session, 5)
        np.testing.assert_array_equal(back.frame.rgb, straight.frame.rgb)
        # Kept results refer to the undistorted picture.
        np.testing.assert_allclose(back.hands[0].joints.joints_px, straight.hands[0].joints.joints_px, atol=0.01)
    finally:
        session.stop()


def test_a_held_picture_follows_what_was_told_while_it_played(fakes: ModuleType, tmp_path: Path, lens: Path) -> None:
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"{index}.png"), fakes.disc_picture(280))
    session = session_on(tmp_path, smoothing=False)
    try:
        wait_for(session.latest)
        session.update(replace(session.config, intrinsics=lens))
        session.pause()
        wait_for(lambda: (r := session.latest()) is not None and r.frame.camera.source == "calibrated")
        session.update(replace(session.config, max_hands=1))
        assert wait_for(session.latest).frame.camera.source == "calibrated"
    finally:
        session.stop()


def test_the_last_of_cameras_told_in_quick_succession_counts(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, playing=False)
    try:
        session.seek(5)
        width = shown(session, 5).frame.rgb.shape[1]
        session.update(replace(session.config, fov_deg=50.0))
        session.update(replace(session.config, fov_deg=30.0))
        focal = width / 2 / np.tan(np.radians(15))
        wait_for(lambda: (r := session.latest()) is not None and r.frame.camera.K[0, 0] == pytest.approx(focal))
        session.seek(20)
        session.update(replace(session.config, fov_deg=90.0))
        told = (20, pytest.approx(width / 2))
        wait_for(lambda: (r := session.latest()) is not None and (r.frame.index, r.frame.camera.K[0, 0]) == told)
        assert session.state().position == 20
    finally:
        session.stop()


def test_intrinsics_that_are_told_and_taken_back_leave_nothing(fakes: ModuleType, tmp_path: Path, lens: Path) -> None:
    session = session_on(write_video(tmp_path / "still.mp4", [fakes.disc_picture(280)] * 12), playing=False)
    try:
        session.seek(5)
        shown(session, 5)
        session.update(replace(session.config, intrinsics=lens))
        session.update(replace(session.config, intrinsics=None))
        session.update(replace(session.config, fov_deg=90.0))
        seen = wait_for(lambda: (r := session.latest()) and (r if r.frame.camera.K[0, 0] == pytest.approx(160) else None))
        assert seen.frame.camera.source == "told"
    finally:
        session.stop()


@pytest.mark.parametrize("folder", [True, False])
def test_intrinsics_of_another_shape_that_are_taken_back_leave_no_banner(
    fakes: ModuleType, tmp_path: Path, lens: Path, folder: bool
) -> None:
    tall = np.zeros((320, 240, 3), np.uint8)
    path = tmp_path / "pictures"
    path.mkdir()
    for name in ("a.png", "b.png") if folder else ("a.png",):
        cv2.imwrite(str(path / name), tall)
    session = session_on(path if folder else path / "a.png", intrinsics=lens)
    try:
        wait_for(lambda: session.state().warning if folder else session.state().error)
        wait_for(lambda: session.state().ended)
        session.update(replace(session.config, intrinsics=None))
        assert wait_for(session.latest).frame.index == 0
        assert session.state().warning is None and session.state().error is None
    finally:
        session.stop()


def test_intrinsics_that_were_written_anew_are_those_of_every_frame(fakes: ModuleType, tmp_path: Path) -> None:
    path, K = tmp_path / "K.json", np.array([[250.0, 0, 159.5], [0, 250, 119.5], [0, 0, 1]])
    save_intrinsics(Intrinsics(K=K, size=(320, 240)), path)
    video = write_video(tmp_path / "still.mp4", [fakes.disc_picture(280)] * 12)
    session = session_on(video, playing=False, smoothing=False, intrinsics=path)

    def off_px(index: int) -> float:
        session.seek(index)
        seen = shown(session, index)
        joints = seen.hands[0].joints
        return float(np.abs(project(joints.joints_camera_m, seen.frame.camera.K) - joints.joints_px).max())

    try:
        before = off_px(5)
        save_intrinsics(Intrinsics(K=K * [[2], [2], [1]], size=(320, 240)), path)
        session.update(replace(session.config, intrinsics=None))
        session.update(replace(session.config, intrinsics=path))
        off_px(6)
        assert off_px(5) == pytest.approx(before, abs=0.1)
    finally:
        session.stop()


def test_a_recording_waits_for_a_choice_that_can_be_met(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, estimator="unknown")
    try:
        wait_for(lambda: session.state().error)
        time.sleep(0.3)
        assert session.state().position == -1 and not session.state().ended
        session.update(replace(session.config, estimator="fake"))
        assert wait_for(session.latest).frame.index <= 2
    finally:
        session.stop()


def test_analysing_ahead_judges_pictures_as_the_view_does(
    fakes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    plain = ahead.analyse
    monkeypatch.setattr(ahead, "analyse", lambda *a, collection: told.append(collection) or plain(*a, collection=collection))
    for index in range(2):
        cv2.imwrite(str(tmp_path / f"{index}.png"), fakes.disc_picture(100))
    session = session_on(tmp_path, playing=False)
    try:
        shown(session, 0)
        session.analyse_all()
        wait_for(lambda: (progress := session.analysis()) is not None and not progress.running)
        assert told == [False]
    finally:
        session.stop()


def test_what_was_read_by_another_camera_is_not_kept(
    fakes: ModuleType, numbered_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[float | None, float]] = []
    put = ResultCache.put
    monkeypatch.setattr(
        ResultCache,
        "put",
        lambda cache, result, config, **rest: (
            kept.append((config.fov_deg, result.frame.camera.K[0, 0])) or put(cache, result, config, **rest)
        ),
    )
    session = session_on(numbered_video)
    try:
        wait_for(lambda: session.state().position > 5)
        session.set_loop(True)
        for fov_deg in (30.0, 90.0, 40.0, 100.0):
            session.update(replace(session.config, fov_deg=fov_deg))
            time.sleep(0.15)
        width = wait_for(session.latest).frame.rgb.shape[1]
    finally:
        session.stop()
    told = [(fov_deg, focal) for fov_deg, focal in kept if fov_deg is not None]
    assert {fov_deg for fov_deg, _ in told} >= {30.0, 100.0}
    for fov_deg, focal in told:
        assert focal == pytest.approx(width / 2 / np.tan(np.radians(fov_deg) / 2), rel=0.01)
