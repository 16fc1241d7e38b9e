"""Webcams: the newest picture, the rate at which pictures really arrive, and reconnecting after being unplugged."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from handviz.capture.base import CameraChoice, SourceSpec, to_rgb
from handviz.capture.exposure import set_exposure
from handviz.errors import SourceError
from handviz.records import Frame

RETRY_S = 1.0
# A reader that takes every picture returns sooner than this, however slow the camera is.
HELD_S = 0.7
# A camera that gives no picture, as many do once after being opened, is asked again for this long before it counts as gone.
PATIENCE_S = 0.5
ASKED_AGAIN_S = 0.02
MAX_PROBED = 4
MOST_RAW_WIDTH = 640
# With only one a driver has nowhere to put the next picture while this one is read, and the camera may run at half its rate.
BUFFERS = 2

OpenCapture = Callable[[int | str], Any]


class WebcamSource:
    """A camera. ``read`` blocks for the next picture.

    While the camera is gone, ``read`` looks for it every second and raises SourceError each time, so that the caller can
    tell the user and stop in between.
    """

    live = True
    frame_count = None

    def __init__(self, spec: SourceSpec, camera: CameraChoice, open_capture: OpenCapture | None = None) -> None:
        self.name = spec.name
        self.warnings: list[str] = []
        # The camera's nominal rate, 0 if it gives none. Only the reading thread may ask the driver.
        self.fps = 0.0
        self._spec = spec
        self.camera = camera
        self._open_capture = open_capture or _open_capture
        self._arrivals: deque[float] = deque(maxlen=60)
        self._next = 0
        self._capture: Any = None
        self._connect()

    @property
    def fps_measured(self) -> float:
        """Pictures per second that really arrived lately; 0 until two have come."""
        arrivals = list(self._arrivals)  # another thread may add to it or clear it meanwhile
        if len(arrivals) < 2:
            return 0.0
        return (len(arrivals) - 1) / max(arrivals[-1] - arrivals[0], 1e-6)

    def _connect(self) -> None:
        capture = self._open_capture(self._spec.camera)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{self.name}: not found, or another program is using it. Plug it in, close the other program, "
                "or give another number; `handviz doctor` lists the cameras"
            )
        # Larger pictures come as JPEG where the camera can: uncompressed they do not fit through USB 2 thirty times a second.
        packed = cv2.VideoWriter.fourcc(*"MJPG") if (self._spec.width or 0) > MOST_RAW_WIDTH else None
        packing = (cv2.CAP_PROP_FOURCC, packed)
        form = (
            (cv2.CAP_PROP_FRAME_WIDTH, self._spec.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, self._spec.height),
            (cv2.CAP_PROP_FPS, self._spec.fps),
        )
        # DirectShow forgets the packing when the size is set; the others choose the size by it.
        asked = (*form, packing) if sys.platform == "win32" else (packing, *form)
        for prop, value in (*asked, (cv2.CAP_PROP_BUFFERSIZE, BUFFERS)):
            if value is not None:
                capture.set(prop, value)
        if self._spec.exposure is not None:
            refused = set_exposure(capture, self._spec.exposure)
            if refused is not None and not self.warnings:
                self.warnings.append(f"{self.name}: {refused}.")
        self.fps = float(capture.get(cv2.CAP_PROP_FPS))
        self._capture = capture

    def read(self) -> Frame | None:
        """Return the next picture. Raises SourceError while the camera is gone; calling again looks for it again."""
        if self._capture is None:
            time.sleep(RETRY_S)
            self._connect()
        if self._arrivals and time.perf_counter() - self._arrivals[-1] > HELD_S:
            # Nobody read in the meantime, so the time that passed says nothing about the camera.
            self._arrivals.clear()
        bgr = self._picture()
        now = time.perf_counter()
        if bgr is None:
            self._lose()
            raise SourceError(f"{self.name}: no picture arrives. Plug it in again; it is picked up when it returns")
        self._arrivals.append(now)
        index, self._next = self._next, self._next + 1
        choice, rgb = self.camera, to_rgb(np.asarray(bgr, np.uint8), self.name)
        camera = choice.camera_for(rgb.shape[1], rgb.shape[0], picture=self.name)
        rgb = choice.straighten(rgb)
        return Frame(index=index, t_capture_s=now, t_arrival_s=now, rgb=rgb, camera=camera)

    def _picture(self) -> Any:
        until = time.perf_counter() + PATIENCE_S
        while True:
            good, bgr = self._capture.read()
            if good and bgr is not None:
                return bgr
            if time.perf_counter() > until:
                return None
            time.sleep(ASKED_AGAIN_S)

    def _lose(self) -> None:
        self._arrivals.clear()
        self._capture.release()
        self._capture = None

    def seek(self, index: int) -> None:
        """A camera has no past."""
        raise SourceError(f"{self.name}: a camera cannot seek")

    def release(self) -> None:
        """Give the camera back."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _backend() -> int:
    return {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}.get(sys.platform, cv2.CAP_ANY)


def _open_capture(camera: int | str) -> Any:
    with quiet_opencv():
        return cv2.VideoCapture(camera, _backend())


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence OpenCV's own complaints about a missing camera; we report it ourselves."""
    level = cv2.getLogLevel()
    cv2.setLogLevel(0)
    try:
        yield
    finally:
        cv2.setLogLevel(level)


def list_cameras(open_capture: OpenCapture | None = None, *, but: int | str | None = None) -> list[int]:
    """Return the numbers, from 0 to 3, of cameras that open.

    ``but`` is in use here and not touched: on Windows it would open a second time, and closing it would stop its reader.
    """
    return list(_cameras(open_capture or _open_capture, but))


def first_camera(open_capture: OpenCapture | None = None) -> int | None:
    """Return the number of the first camera that opens, None if there is none; those after it are not touched."""
    return next(_cameras(open_capture or _open_capture), None)


def _cameras(open_capture: OpenCapture, but: int | str | None = None) -> Iterator[int]:
    for number in range(MAX_PROBED):
        if number == but:
            continue
        capture = open_capture(number)
        opened = capture.isOpened()
        capture.release()
        if opened:
            yield number
