"""The One Euro filter (Casiez et al. 2012): steady when the hand rests, quick when it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import WRIST, palm_length
from handviz.records import HandEstimate, HandJoints, HandMesh

DERIVATIVE_CUTOFF_HZ = 1.0
# A gap longer than this is a new beginning, not a movement.
MAX_GAP_S = 0.5
# So is a leap between two frames of more than this share of a palm: a cut, or a move too quick to need smoothing.
LEAP_PALMS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OneEuroConfig:
    """``min_cutoff_hz`` smooths at rest; ``beta`` (1/unit) opens the filter with speed, in the signal's unit a second."""

    min_cutoff_hz: float
    beta: float


class OneEuro:
    """One filter for an array of numbers of any fixed shape."""

    def __init__(self, config: OneEuroConfig) -> None:
        self._config = config
        self._value: FloatArray | None = None
        self._speed: FloatArray | None = None
        self._t_s = -math.inf

    def reset(self) -> None:
        """Forget the past; the next value passes through."""
        self._value = None

    def __call__(self, value: FloatArray, t_s: float) -> FloatArray:
        """Return the smoothed value at time ``t_s``. Non-finite input passes through and starts the filter anew."""
        dt = t_s - self._t_s
        fresh = self._value is None or self._speed is None or not 0 < dt <= MAX_GAP_S or self._value.shape != value.shape
        if fresh or not np.isfinite(value).all():
            self._value = value if np.isfinite(value).all() else None
            self._speed, self._t_s = np.zeros_like(value), t_s
            return value
        assert self._value is not None and self._speed is not None
        speed = (value - self._value) / dt
        self._speed = self._speed + _alpha(DERIVATIVE_CUTOFF_HZ, dt) * (speed - self._speed)
        cutoff = self._config.min_cutoff_hz + self._config.beta * np.abs(self._speed)
        self._value = self._value + _alpha(cutoff, dt) * (value - self._value)
        self._t_s = t_s
        return self._value


def _alpha(cutoff_hz: FloatArray | float, dt: float) -> FloatArray | float:
    r = 2 * math.pi * cutoff_hz * dt
    return r / (r + 1)


def config_for(strength: float, unit_per_palm: float) -> OneEuroConfig:
    """Return the filter for a strength in [0, 1] and a signal in which a palm length is ``unit_per_palm``.

    Strength 0 barely smooths (8 Hz at rest), 0.5 is the default (1.5 Hz), 1 is very steady (0.3 Hz). Beta is chosen so that a
    movement of one palm length a second adds 4 Hz at the default strength.
    """
    strength = min(max(strength, 0.0), 1.0)
    cutoff = 8.0 * (0.3 / 8.0) ** strength
    return OneEuroConfig(min_cutoff_hz=cutoff, beta=4.0 * 4.0 ** (1 - 2 * strength) / unit_per_palm)


class HandSmoother:
    """Smooths one track: pixels, the hand's place in space, and its shape around the wrist, each at its own scale."""

    def __init__(self, strength: float, palm_px: float) -> None:
        self._last_px: FloatArray | None = None
        self._pixels = OneEuro(config_for(strength, max(palm_px, 1.0)))
        # Depth from one picture is far noisier than what is seen across it, so the place is held harder.
        self._place = OneEuro(config_for(min(strength + 0.15, 1.0), 0.09))
        self._form = OneEuro(config_for(strength, 0.09))
        self._surface = OneEuro(config_for(strength, 0.09))

    def __call__(self, hand: HandEstimate, t_s: float) -> HandEstimate:
        """Return the hand with smoothed joints and mesh; parameters stay as they were estimated.

        After a leap of more than ``LEAP_PALMS`` between two frames the filters start anew.
        """
        joints = hand.joints
        if self._leaps(joints.joints_px):
            for one in (self._pixels, self._place, self._form, self._surface):
                one.reset()
        wrist = joints.joints_camera_m[WRIST]
        place = self._place(wrist, t_s)
        form = self._form(joints.joints_camera_m - wrist, t_s)
        pixels = self._pixels(joints.joints_px, t_s)
        smooth = HandJoints(
            joints_camera_m=form + place, joints_px=pixels, confidence=joints.confidence, scale_source=joints.scale_source
        )
        mesh = hand.mesh and self._smooth_mesh(hand.mesh, wrist, place, t_s)
        return replace(hand, joints=smooth, mesh=mesh, stage="smoothed")

    def _leaps(self, joints_px: FloatArray) -> bool:
        last, self._last_px = self._last_px, joints_px
        if last is None:
            return False
        return float(np.median(np.linalg.norm(joints_px - last, axis=-1))) > LEAP_PALMS * float(palm_length(last))

    def _smooth_mesh(self, mesh: HandMesh, wrist: FloatArray, place: FloatArray, t_s: float) -> HandMesh:
        surface = self._surface(mesh.vertices_camera_m - wrist, t_s)
        return replace(mesh, vertices_camera_m=surface + place)
