"""The skin picture, painted by position on the hand: tone, reddened joints and pads, creases, wrinkles, nails."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from hand_build.anatomy import FINGER_LIST, Array, unit
from hand_build.skinning import Ints
from hand_build.surface import finger_frame
from hand_build.topology import Mesh

SIZE = 1024
JPEG_QUALITY = 88

_BACK_TONE = np.array([203.0, 158.0, 129.0])
_PALM_TONE = np.array([222.0, 172.0, 148.0])
_REDDER = np.array([4.0, -22.0, -20.0])
_DARKER = np.array([-30.0, -33.0, -32.0])
_NAIL_TONE = np.array([226.0, 178.0, 164.0])
_NAIL_EDGE = np.array([238.0, 218.0, 205.0])

# The three lines of the palm as (x, z) in millimetres.
_PALM_LINES = (
    ((14.0, 41.0), (26.0, 26.0), (42.0, 16.0), (60.0, 11.0), (80.0, 12.0)),
    ((13.0, 39.0), (24.0, 20.0), (37.0, 2.0), (49.0, -17.0), (57.0, -31.0)),
    ((-6.0, 16.0), (5.0, 11.0), (16.0, -2.0), (26.0, -18.0), (35.0, -42.0)),
)
# Palm-side creases of a finger: station and strength; and the knots of wrinkles on the back of its joints.
_CREASES = ((0.50, 0.7), (0.54, 0.4), (0.97, 0.9), (1.04, 0.7), (2.0, 0.9))
_THUMB_CREASES = ((0.93, 0.6), (1.0, 0.7), (1.97, 0.9), (2.04, 0.5))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Texels:
    """What lies under each texel: point (N, 3), normal (N, 3), finger number of the tube or -1 (N,)."""

    point: Array
    normal: Array
    finger: Ints


def paint(mesh: Mesh, p: Array, faces: Ints, uv: Array) -> npt.NDArray[np.uint8]:
    """Return the picture (SIZE, SIZE, 3) uint8 RGB."""
    where, texels = _texels(mesh, p, faces, uv)
    colour = _tone(texels)
    colour += _knuckles(texels)[:, None] * _REDDER
    colour += _mottle(texels.point)[:, None] * np.array([5.0, 6.0, 6.0])
    for n, finger in enumerate(FINGER_LIST):
        mine = texels.finger == n
        station, side, height, _ = finger_frame(finger, texels.point[mine])
        across = np.arctan2(height, side)
        width = finger.extents(station)[:, 0]
        colour[mine] = _paint_finger(colour[mine], station, side / width, np.sin(across), finger.name == "thumb")
    colour += _palm_lines(texels)[:, None] * np.array([-20.0, -31.0, -29.0])
    picture = np.zeros((SIZE, SIZE, 3), np.float32)
    picture[where[0], where[1]] = colour
    return _fill_outside(picture, where)


def encode(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the picture as the bytes of a JPEG."""
    _, code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(code, np.uint8).reshape(-1)


def _texels(mesh: Mesh, p: Array, faces: Ints, uv: Array) -> tuple[tuple[Ints, Ints], Texels]:
    tube = np.full(len(p), -1)
    for n, finger in enumerate(FINGER_LIST):
        for ring in mesh.rings[finger.name]:
            tube[ring] = n
        tube[mesh.tips[finger.name]] = n
    face_id = np.full((SIZE, SIZE), -1, np.int32)
    for f, corners in enumerate(uv[faces] * SIZE - 0.5):
        cv2.fillConvexPoly(face_id, np.round(corners).astype(np.int32), f)
    row, col = np.nonzero(face_id >= 0)
    face = faces[face_id[row, col]]
    weights = _barycentric(np.stack([col, row], -1).astype(float), uv[face] * SIZE - 0.5)
    normals = _vertex_normals(p, faces)
    owner = np.where((tube[face] == tube[face][:, :1]).all(1), tube[face][:, 0], -1)
    blended = unit(np.einsum("nk,nkc->nc", weights, normals[face]))
    point = np.einsum("nk,nkc->nc", weights, p[face])
    return (row, col), Texels(point=point, normal=blended, finger=np.where(owner < 0, _finger_root(point), owner))


def _finger_root(point: Array) -> Ints:
    """Return which finger begins under palm texels (number or -1), so that its first crease can be drawn."""
    owner = np.full(len(point), -1)
    for n, finger in enumerate(FINGER_LIST[1:], start=1):
        station, side, _, _ = finger_frame(finger, point)
        owner[(station > 0.3) & (np.abs(side) < 1.15 * finger.extents(station)[:, 0])] = n
    return owner


def _barycentric(x: Array, corners: Array) -> Array:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    e1, e2, d = b - a, c - a, x - a
    area = e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    w1 = (d[:, 0] * e2[:, 1] - d[:, 1] * e2[:, 0]) / area
    w2 = (e1[:, 0] * d[:, 1] - e1[:, 1] * d[:, 0]) / area
    weights = np.clip(np.stack([1 - w1 - w2, w1, w2], -1), 0, 1)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _vertex_normals(p: Array, faces: Ints) -> Array:
    normals = np.zeros_like(p)
    face_normals = np.cross(p[faces[:, 1]] - p[faces[:, 0]], p[faces[:, 2]] - p[faces[:, 0]])
    for k in range(3):
        np.add.at(normals, faces[:, k], face_normals)
    return unit(normals)


def _bell(x: Array, width: float) -> Array:
    return np.asarray(np.exp(-((x / width) ** 2)))


def _step(x: Array, low: float, high: float) -> Array:
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def _tone(texels: Texels) -> Array:
    """Back and palm, each in its own tone, blending into each other at the flanks."""
    palm = _step(-texels.normal[:, 1], -0.35, 0.45)
    return np.asarray(_BACK_TONE + palm[:, None] * (_PALM_TONE - _BACK_TONE))


def _mottle(p: Array) -> Array:
    """Smooth noise in about [-1, 1] by position on the hand, from waves of several lengths."""
    rng = np.random.default_rng(7)
    total = np.zeros(len(p))
    for wavelength, strength in ((0.030, 0.5), (0.014, 0.35), (0.006, 0.25), (0.0022, 0.25), (0.0011, 0.2)):
        for _ in range(4):
            direction = unit(rng.normal(size=3))
            total += 0.5 * strength * np.sin(p @ direction * 2 * np.pi / wavelength + rng.uniform(0, 6.28))
    return total


def _paint_finger(colour: Array, station: Array, side: Array, up: Array, thumb: bool) -> Array:
    back, pad = _step(up, -0.1, 0.5), _step(-up, 0.05, 0.5)
    colour = colour.copy()
    for joint, amount in ((1.0, 0.35), (2.0, 0.4)) if thumb else ((1.0, 0.5), (2.0, 0.35)):
        colour += (amount * back * _bell(station - joint, 0.20))[:, None] * _REDDER
        # Wrinkles across the back of the joint.
        folds = np.sin((station - joint) * (62.0 if joint == 1.0 else 80.0) + 1.5 * np.sin(side * 3)) ** 2
        wrinkle = folds * _bell(station - joint, 0.13) * back * (1 - 0.5 * np.abs(side))
        colour += (1.0 * amount * wrinkle)[:, None] * _DARKER
    colour += (0.9 * _step(station, 2.3, 2.9) * np.maximum(pad, 0.3))[:, None] * _REDDER
    for at, strength in _THUMB_CREASES if thumb else _CREASES:
        line = _bell(station - at - 0.02 * side**2, 0.022) * pad
        colour += (0.8 * strength * line)[:, None] * np.array([-32.0, -44.0, -42.0])
    return _paint_nail(colour, station, side, back)


def _paint_nail(colour: Array, station: Array, side: Array, back: Array) -> Array:
    # In the plane of the nail: along from its root to its free edge, across from -1 to 1.
    along = (station - 2.36) / (2.93 - 2.36)
    across = side / 0.64
    outline = np.maximum(np.abs(across), np.hypot(across * 0.8, np.maximum(0.42 - along, 0.0) * 2.0))
    inside = _step(1.0 - outline, 0.0, 0.10) * _step(along, 0.0, 0.06) * (1 - _step(along, 0.97, 1.03)) * _step(back, 0.3, 0.7)
    rim = _bell(outline - 1.03, 0.09) * _step(along, -0.05, 0.1) * (1 - _step(along, 0.9, 1.0)) * _step(back, 0.3, 0.7)
    tone = _NAIL_TONE + (_bell(across, 0.5) * 6)[:, None] + _step(along, 0.84, 0.90)[:, None] * (_NAIL_EDGE - _NAIL_TONE)
    moon = _step(0.26 - np.hypot(along, across * 0.34), -0.06, 0.06)
    tone = tone + 0.3 * moon[:, None] * (_NAIL_EDGE - _NAIL_TONE)
    colour = colour + (0.8 * rim)[:, None] * _DARKER
    return np.asarray(colour + inside[:, None] * (tone - colour))


def _knuckles(texels: Texels) -> Array:
    """Redness over the heads of the palm's bones."""
    total = np.zeros(len(texels.point))
    for finger in FINGER_LIST[1:]:
        total += _bell(np.linalg.norm((texels.point - finger.joints[0])[:, [0, 2]], axis=1), 0.010)
    return np.asarray(0.25 * total * _step(texels.normal[:, 1], 0.2, 0.8))


def _palm_lines(texels: Texels) -> Array:
    """Strength of the palm's lines at each texel."""
    flat = texels.point[:, [0, 2]] * 1e3
    facing = _step(-texels.normal[:, 1], 0.15, 0.5) * (texels.finger < 0)
    total = np.zeros(len(flat))
    for line in _PALM_LINES:
        t = np.linspace(0, len(line) - 1, 90)
        curve = CubicSpline(np.arange(len(line)), np.array(line))(t)
        distance = cKDTree(curve).query(flat)[0]
        total += 0.75 * _bell(distance, 0.9) + 0.25 * _bell(distance, 2.4)
    return np.asarray(total * facing)


def _fill_outside(picture: npt.NDArray[np.float32], where: tuple[Ints, Ints]) -> npt.NDArray[np.uint8]:
    """Give texels off the hand the colour of the nearest one on it, so that filtering never bleeds black in."""
    empty = np.ones(picture.shape[:2], np.uint8)
    empty[where] = 0
    _, label = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    owner = np.zeros(label.max() + 1, np.int64)
    flat = np.flatnonzero(empty.reshape(-1) == 0)
    owner[label.reshape(-1)[flat]] = flat
    filled = picture.reshape(-1, 3)[owner[label.reshape(-1)]].reshape(picture.shape)
    return np.asarray(np.clip(np.round(filled), 0, 255), np.uint8)
