"""Measuring a hand once, so that results are in true metres. No Qt.

One camera cannot see a hand's size: a hand twice as large and twice as far away gives the same picture. So the user says how
far away the hand is held. An estimate of any size differs from the true hand by one factor, the ratio of the distances.
So the length is as accurate as the given distance and the camera's field of view.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from handviz.app.measures import finger_bend_deg
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import FINGER_JOINTS, MIDDLE_MCP, WRIST, palm_length
from handviz.records import FrameResult

WINDOW_S, ENOUGH_S, ENOUGH_LOOKS = 2.0, 1.5, 10
GAP_S = 0.8
MOST_BEND_DEG = 60.0
LEAST_FACING = 0.87
MOST_SPREAD = 0.03
PALMS_M = (0.04, 0.15)


class HandMeasure:
    """Takes results until an open hand was held flat and still towards the camera for a while, at a known distance."""

    def __init__(self, distance_m: float) -> None:
        self.words = "Hold your open hand flat towards the camera"
        self.palm_m: float | None = None
        self._distance_m = distance_m
        self._looks: deque[tuple[float, float]] = deque()

    @property
    def progress(self) -> float:
        """The share of the needed time and measurements so far, 0 to 1."""
        if self.palm_m is not None:
            return 1.0
        return min(self._span / ENOUGH_S, len(self._looks) / ENOUGH_LOOKS, 1.0)

    @property
    def _span(self) -> float:
        return self._looks[-1][0] - self._looks[0][0] if self._looks else 0.0

    def add(self, result: FrameResult) -> None:
        """Take in a result; a frame seen already is not counted again."""
        now = result.frame.t_capture_s
        if self.palm_m is not None or (self._looks and self._looks[-1][0] == now):
            return
        if self._looks and not 0 < now - self._looks[-1][0] < GAP_S:
            self._looks.clear()
        problem = _problem(result)
        if problem is not None:
            self._looks.clear()
            self.words = problem
            return
        self._looks.append((now, palm_at(result.hands[0].joints.joints_camera_m, self._distance_m)))
        while self._span > WINDOW_S:
            self._looks.popleft()
        self._judge()

    def _judge(self) -> None:
        palms = np.array([palm for _, palm in self._looks])
        middle, spread = float(np.median(palms)), float(palms.std())
        self.words = "Good, keep it there"
        if self.progress < 1.0:
            return
        if spread > MOST_SPREAD * middle:
            self.words = "Hold it still"
        elif not PALMS_M[0] <= middle <= PALMS_M[1]:
            self.words = f"That would be a palm of {middle * 1e3:.0f} mm. Is the distance right?"
        else:
            self.palm_m = middle
            self.words = f"{middle * 1e3:.0f} mm (median of {len(palms)} measurements, spread {spread * 1e3:.1f} mm)"


def palm_at(joints_m: FloatArray, distance_m: float) -> float:
    """Return the palm's length in metres of a hand this far from the camera, from joints (21, 3) at any scale."""
    centre = (joints_m[WRIST] + joints_m[MIDDLE_MCP]) / 2
    return float(palm_length(joints_m)) * distance_m / float(np.linalg.norm(centre))


def _problem(result: FrameResult) -> str | None:
    """Return what the user should do so that the hand can be measured, None if it is held correctly."""
    if len(result.hands) != 1:
        return "Show one hand" if not result.hands else "Show one hand only"
    joints = result.hands[0].joints.joints_camera_m
    if not np.isfinite(joints).all():
        return "Show the whole hand"
    if float(finger_bend_deg(joints)[1:].max()) > MOST_BEND_DEG:
        return "Straighten your fingers"
    return None if facing(joints) >= LEAST_FACING else "Turn your palm or the back of your hand to the camera"


def facing(joints_m: FloatArray) -> float:
    """Return how much the palm of joints (21, 3) faces the camera: 1 face on, 0 edge on."""
    index, little = joints_m[FINGER_JOINTS["index"][0]], joints_m[FINGER_JOINTS["little"][0]]
    normal = np.cross(index - joints_m[WRIST], little - joints_m[WRIST])
    view = joints_m[[WRIST, FINGER_JOINTS["index"][0], FINGER_JOINTS["little"][0]]].mean(0)
    return float(abs(normal @ view) / max(float(np.linalg.norm(normal) * np.linalg.norm(view)), 1e-12))
