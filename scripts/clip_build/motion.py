"""What the hand of the bundled clip does: gestures, rotations and positions at given times, and smooth motion between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from handviz.geometry.camera import FloatArray
from handviz.hand.gestures import GESTURE_BY_NAME
from handviz.hand.limits import from_anatomical, to_anatomical

# Fingers up, palm to the camera: model -x becomes the camera's -y, model -y its -z.
_PALM_TO_CAMERA = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
# Small involuntary motion: frequencies in hertz, and sizes in degrees and metres.
_TREMOR_HZ, _TREMOR_DEG, _TREMOR_M = (0.7, 1.3, 2.9), 0.8, 0.0012


@dataclass(frozen=True, slots=True)
class Key:
    """A gesture at a time: yaw turns the hand about the vertical, pitch tips the fingers to the camera, roll turns it in the
    picture, all in degrees; the palm's middle in metres."""

    t_s: float
    gesture: str
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    at: tuple[float, float, float] = (0.0, 0.0, 0.5)


KEYS: tuple[Key, ...] = (
    Key(0.0, "relaxed", 10, 12, -4, (0.02, 0.04, 0.52)),
    Key(0.6, "spread", 0, 0, 0, (0.0, 0.0, 0.50)),
    Key(1.0, "spread", 4, 0, 17, (0.03, 0.0, 0.50)),
    Key(1.4, "spread", -4, 0, -15, (-0.04, 0.0, 0.49)),
    Key(1.8, "spread", 4, 0, 14, (0.03, -0.01, 0.49)),
    Key(2.3, "flat", 0, 5, 0, (0.0, 0.0, 0.47)),
    Key(2.8, "fist", -12, 8, 4, (0.0, 0.03, 0.46)),
    Key(3.2, "fist", -16, 8, 4, (0.0, 0.03, 0.46)),
    Key(3.7, "point", -20, 4, 6, (-0.01, 0.02, 0.48)),
    Key(4.2, "two", -8, 2, 0, (-0.02, 0.02, 0.49)),
    Key(4.7, "three", 4, 0, -4, (-0.02, 0.02, 0.48)),
    Key(5.2, "four", 0, 0, 0, (0.0, 0.01, 0.46)),
    Key(5.6, "spread", 8, 4, 3, (0.02, 0.0, 0.44)),
    Key(6.2, "ok", 24, 6, 6, (0.03, 0.02, 0.47)),
    Key(6.8, "ok", 38, 4, 4, (0.03, 0.02, 0.49)),
    Key(7.3, "wave of fingers", 30, 8, 0, (0.02, 0.01, 0.50)),
    Key(7.6, "wave back", 26, 8, -2, (0.01, 0.01, 0.50)),
    Key(7.9, "wave of fingers", 16, 8, -2, (0.0, 0.01, 0.50)),
    Key(8.5, "love", -6, 2, -6, (-0.02, 0.02, 0.49)),
    Key(9.1, "pinch", -28, 10, -2, (-0.01, 0.03, 0.50)),
    Key(9.5, "half open", -16, 12, 0, (0.0, 0.03, 0.51)),
    Key(10.0, "relaxed", 8, 12, -4, (0.02, 0.04, 0.52)),
)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Poses (T, 45), root rotations (T, 3, 3) in the camera's frame, and places (T, 3) of the palm's middle."""

    pose_TP: FloatArray
    R_T33: FloatArray
    place_T3: FloatArray


def motion(times_s: FloatArray) -> Motion:
    """Return the hand's motion at these times."""
    at = np.array([key.t_s for key in KEYS])
    angles = to_anatomical(np.stack([GESTURE_BY_NAME[key.gesture].pose() for key in KEYS]))
    turns = Rotation.from_euler("yxz", [(key.yaw, key.pitch, key.roll) for key in KEYS], degrees=True)
    places = np.array([key.at for key in KEYS])
    # Monotone between keys: no joint swings past the gesture it goes to.
    pose = PchipInterpolator(at, angles)(times_s) + np.radians(_TREMOR_DEG) * _tremor(times_s, angles.shape[1], 0)
    place = PchipInterpolator(at, places)(times_s) + _TREMOR_M * _tremor(times_s, 3, 1)
    turn = RotationSpline(at, turns)(times_s) * Rotation.from_rotvec(np.radians(_TREMOR_DEG) * _tremor(times_s, 3, 2))
    return Motion(from_anatomical(pose), turn.as_matrix() @ _PALM_TO_CAMERA, place)


def _tremor(times_s: FloatArray, columns: int, seed: int) -> FloatArray:
    """Return smooth wandering (T, columns) of about unit size, the same at every build."""
    rng = np.random.default_rng(seed)
    phase, share = rng.uniform(0, 2 * np.pi, (len(_TREMOR_HZ), columns)), rng.normal(0, 0.6, (len(_TREMOR_HZ), columns))
    waves = np.array(_TREMOR_HZ)[:, None, None] * 2 * np.pi * times_s[None, :, None] + phase[:, None]
    return np.asarray((share[:, None] * np.sin(waves)).sum(0))
