"""Webcams, all of them simulated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from handviz.capture import device, webcam
from handviz.capture.base import CameraChoice, SourceSpec
from handviz.capture.calibration import calibration_path
from handviz.capture.exposure import set_exposure
from handviz.capture.webcam import WebcamSource, first_camera, list_cameras
from handviz.errors import SourceError


class FakeCapture:
    """A camera that gives ``good`` pictures and then none."""

    def __init__(self, good: int, opened: bool = True, refused: tuple[int, ...] = ()) -> None:
        self.good, self.opened, self.settings, self.refused = good, opened, dict[int, float](), refused

    def isOpened(self) -> bool:
        return self.opened

    def set(self, prop: int, value: float) -> bool:
        self.settings[prop] = value
        return prop not in self.refused

    def get(self, prop: int) -> float:
        return self.settings.get(prop, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.good -= 1
        return (True, np.zeros((48, 64, 3), np.uint8)) if self.good >= 0 else (False, None)

    def release(self) -> None:
        self.opened = False


def test_unplugged_camera_is_reported_and_picked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcam, "RETRY_S", 0.0)
    captures = iter([FakeCapture(2), FakeCapture(0, opened=False), FakeCapture(3)])
    source = WebcamSource(SourceSpec(kind="camera", width=320), CameraChoice(), lambda name: next(captures))
    assert source.read() is not None and source.read() is not None
    with pytest.raises(SourceError, match="Plug it in again"):
        source.read()
    with pytest.raises(SourceError, match="not found"):
        source.read()
    frame = source.read()
    assert frame is not None and frame.index == 2


def test_a_camera_that_stumbles_is_kept() -> None:
    class Stumbling(FakeCapture):
        turns = 0

        def read(self) -> tuple[bool, np.ndarray | None]:
            self.turns += 1
            return super().read() if self.turns % 2 == 0 else (False, None)

    opened = []
    source = WebcamSource(SourceSpec(kind="camera"), CameraChoice(), lambda name: opened.append(name) or Stumbling(3))
    assert [source.read().index for _ in range(3)] == [0, 1, 2]
    assert len(opened) == 1, "it was not opened anew"


def test_the_rate_is_asked_only_by_the_thread_that_reads() -> None:
    captures = iter([FakeCapture(1), FakeCapture(1)])
    source = WebcamSource(SourceSpec(kind="camera", fps=24), CameraChoice(), lambda name: next(captures))
    source.read()

    def asked(prop: int) -> float:
        raise AssertionError("the display asked the driver")

    source._capture.get = asked
    assert source.fps == 24 and source.fps_measured == 0
    with pytest.raises(SourceError):
        source.read()
    assert source.fps == 24


def test_a_freeze_is_not_taken_for_a_slow_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty pictures a second; between two of them nothing is read for a while."""
    clock = [0.0]
    monkeypatch.setattr("handviz.capture.webcam.time.perf_counter", lambda: clock[0])
    source = WebcamSource(SourceSpec(kind="camera"), CameraChoice(), lambda name: FakeCapture(90))
    read = FakeCapture.read

    def in_time(capture: FakeCapture) -> tuple[bool, np.ndarray | None]:
        clock[0] += 1 / 30
        return read(capture)

    monkeypatch.setattr(FakeCapture, "read", in_time)
    for turn in range(60):
        clock[0] += 3.0 if turn == 40 else 0.0
        source.read()
    assert source.fps_measured == pytest.approx(30)


def test_missing_camera_says_what_to_do() -> None:
    with pytest.raises(SourceError, match="another program is using it"):
        WebcamSource(SourceSpec(kind="camera", camera=3), CameraChoice(), lambda name: FakeCapture(0, opened=False))


def test_camera_settings_are_asked_for_and_rate_is_measured() -> None:
    capture = FakeCapture(5)
    source = WebcamSource(SourceSpec(kind="camera", width=320, height=240, fps=15), CameraChoice(), lambda name: capture)
    assert capture.settings[cv2.CAP_PROP_FRAME_WIDTH] == 320 and capture.settings[cv2.CAP_PROP_FPS] == 15
    for _ in range(4):
        source.read()
    assert source.fps_measured > 0
    with pytest.raises(SourceError, match="a camera cannot seek"):
        source.seek(0)


@pytest.mark.parametrize(
    ("width", "packed", "platform"), [(None, False, "linux"), (640, False, "linux"), (1280, True, "linux"), (1280, True, "win32")]
)
def test_large_pictures_are_asked_for_as_jpeg(
    width: int | None, packed: bool, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    capture = FakeCapture(1)
    WebcamSource(SourceSpec(kind="camera", width=width), CameraChoice(), lambda name: capture)
    asked = list(capture.settings)
    assert (cv2.CAP_PROP_FOURCC in asked) == packed
    if packed:
        # DirectShow forgets it when it is told a size, V4L2 chooses among sizes by it.
        assert (asked.index(cv2.CAP_PROP_FOURCC) < asked.index(cv2.CAP_PROP_FRAME_WIDTH)) == (platform == "linux")
        assert capture.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert capture.settings[cv2.CAP_PROP_BUFFERSIZE] >= 2


@pytest.mark.parametrize(
    ("platform", "exposure", "automatic", "value"),
    [("linux", 8.0, 1, 80), ("linux", 0.01, 1, 1), ("linux", "auto", 3, None), ("win32", 8.0, 0, -7), ("win32", "auto", 1, None)],
)
def test_exposure_is_set_in_the_drivers_units(platform: str, exposure: Any, automatic: float, value: float | None) -> None:
    capture = FakeCapture(1)
    assert set_exposure(capture, exposure, platform) is None
    assert capture.settings[cv2.CAP_PROP_AUTO_EXPOSURE] == automatic
    assert capture.settings.get(cv2.CAP_PROP_EXPOSURE) == value


def test_a_driver_that_refuses_is_told_and_the_camera_goes_on() -> None:
    assert "does not let programs" in (set_exposure(FakeCapture(1), "auto", "darwin") or "")
    assert "refuses an exposure of 9 ms" in (set_exposure(FakeCapture(1, refused=(cv2.CAP_PROP_EXPOSURE,)), 9.0, "linux") or "")
    capture = FakeCapture(2, refused=(cv2.CAP_PROP_AUTO_EXPOSURE,))
    source = WebcamSource(SourceSpec(kind="camera", exposure=10.0), CameraChoice(), lambda name: capture)
    assert source.read() is not None
    assert len(source.warnings) == 1 and "camera 0" in source.warnings[0] and ": its driver does not let" in source.warnings[0]


def test_exposure_is_left_alone_unless_asked_for() -> None:
    capture = FakeCapture(1)
    WebcamSource(SourceSpec(kind="camera"), CameraChoice(), lambda name: capture)
    assert cv2.CAP_PROP_AUTO_EXPOSURE not in capture.settings


def test_a_camera_is_called_as_its_device_where_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "DEVICES", tmp_path)
    for number, name in ((0, "Integrated Webcam: Int\n"), (2, "\n")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(name)
    names = [SourceSpec(kind="camera", camera=camera).name for camera in (0, "/dev/video0", 2, 3, "/dev/video../video0")]
    assert names[:2] == ["camera 0 (Integrated Webcam: Int)", "camera /dev/video0 (Integrated Webcam: Int)"]
    assert names[2:] == ["camera 2", "camera 3", "camera /dev/video../video0"]
    assert calibration_path(names[0], 640, 480).name == "camera-0-integrated-webcam-int_640x480.json"


def test_cameras_are_listed() -> None:
    assert list_cameras(lambda name: FakeCapture(0, opened=name in (0, 2))) == [0, 2]


def test_a_camera_in_use_is_not_opened_again_to_find_it() -> None:
    tried = []

    def open_camera(name: int | str) -> FakeCapture:
        tried.append(name)
        return FakeCapture(0)

    assert list_cameras(open_camera, but=1) == [0, 2, 3]
    assert tried == [0, 2, 3]


def test_the_first_camera_is_found_without_touching_others() -> None:
    tried = []

    def opened(name: int | str) -> FakeCapture:
        tried.append(name)
        return FakeCapture(0, opened=name == 1)

    assert first_camera(opened) == 1 and tried == [0, 1]
    assert first_camera(lambda name: FakeCapture(0, opened=False)) is None
