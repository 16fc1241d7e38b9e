"""What else is in the picture: forearm and sleeve, objects, a head, as meshes in the posed model's frame, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import FINGERTIPS, MIDDLE_MCP, WRIST
from handviz.records import BoolArray, IntArray

_SIDES = 20
# A camera must be at least this many radii from the middle of an arm.
_CAMERA_CLEAR = 1.3
# The wrist's half thickness (palm to back) and half width of a hand whose palm is one metre long.
_WRIST_HALF = (0.205, 0.292)
# A forearm's middle line, in palm lengths behind the wrist: where it leaves the hand, the length over which it bends, its end.
_LINE_START, _BENDING, _LINE_END = -0.09, 0.6, 3.5
_LINE_STEPS = 144
# An ellipsoid's pole is its z, which is turned upright for a head; its picture's middle column faces -x, which is turned to the
# camera.
HEAD_UPRIGHT = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]) @ np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mesh:
    """Vertices (..., V, 3) of one mesh or of many of the same kind, faces (F, 3) wound outwards, uv (V, 2).

    ``first_V`` is the first vertex at each vertex's position: around such meshes, the last column coincides with the first.
    """

    vertices: FloatArray
    faces: IntArray
    uv: FloatArray
    first_V: IntArray


def tube(centres_N3: FloatArray, half_N2: FloatArray, across: FloatArray) -> Mesh:
    """Return a tube of elliptic rings: centres, half axes (along ``across`` turned into each ring's plane, and the other)."""
    rings = centres_N3.shape[-2]
    forward = np.gradient(centres_N3, axis=-2)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    first = across - (forward @ across)[..., None] * forward
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second = np.cross(forward, first)
    angle = np.linspace(0, 2 * np.pi, _SIDES + 1)
    ring = (
        np.cos(angle)[:, None] * (half_N2[..., :1] * first)[..., None, :]
        + np.sin(angle)[:, None] * (half_N2[..., 1:] * second)[..., None, :]
    )
    uv = np.stack(np.broadcast_arrays(angle[None] / (2 * np.pi), np.linspace(0, 1, rings)[:, None]), -1)
    points = centres_N3[..., None, :] + ring
    vertices = points.reshape(*points.shape[:-3], -1, 3)
    first = _first_of_grid(rings).ravel()
    return Mesh(vertices=vertices, faces=_grid_faces(rings, _SIDES + 1), uv=uv.reshape(-1, 2), first_V=first)


def rings_of(vertices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the centres (..., N, 3) and mean radii (..., N) of a tube's rings, given its vertices (..., V, 3)."""
    rings = vertices.reshape(*vertices.shape[:-2], -1, _SIDES + 1, 3)[..., :-1, :]
    centres = rings.mean(-2)
    return centres, np.linalg.norm(rings - centres[..., None, :], axis=-1).mean(-1)


def holds_camera(vertices: FloatArray) -> BoolArray:
    """Say (...) whether a camera at the origin is inside a tube (..., V, 3) or almost touches it."""
    centres, radii = rings_of(vertices)
    return np.asarray((np.linalg.norm(centres, axis=-1) < _CAMERA_CLEAR * radii).any(-1))


def _grid_faces(rows: int, columns: int) -> IntArray:
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]).ravel()
    b, c, d = a + 1, a + columns, a + columns + 1
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def _first_of_grid(rows: int) -> IntArray:
    first = np.arange(rows * (_SIDES + 1)).reshape(rows, -1)
    first[:, -1] = first[:, 0]
    return first


def forearm(
    wrist: FloatArray,
    palm_m: FloatArray | float,
    bend: FloatArray,
    *,
    start: FloatArray | float = _LINE_START,
    end: float = 2.6,
    width: FloatArray | float = 1.0,
) -> Mesh:
    """Return a forearm that leaves the hand at the wrist, from ``start`` to ``end`` palm lengths behind it.

    ``bend`` (3,) is the wrist's axis-angle; see ``_middle_line``. ``width`` widens it (a sleeve, which lies on the same line).
    Many at once: every argument but ``end`` may have leading axes.
    """
    palm, wide = np.asarray(palm_m)[..., None, None], np.asarray(width)[..., None, None]
    along = np.linspace(start, end, 12, axis=-1)
    centres = wrist[..., None, :] + palm * _middle_line(along, bend)
    swell = 1.0 + 0.55 * np.clip((along - 0.25) / 2.0, 0, 1) - 0.06 * np.exp(-(((along - 0.15) / 0.25) ** 2))
    rounder = np.clip(along / 1.5, 0, 1)
    thick = _WRIST_HALF[0] + rounder * 0.25 * (_WRIST_HALF[1] - _WRIST_HALF[0])
    half = np.stack([thick * swell, _WRIST_HALF[1] * swell], -1) * palm * wide
    return tube(centres, half, np.array([0.0, 1.0, 0.0]))


def _middle_line(along: FloatArray, bend: FloatArray) -> FloatArray:
    """Return a forearm's middle line (..., N, 3), wrist at zero, at distances ``along`` (..., N), all in palm lengths.

    It bends evenly over its first 0.6, whichever part of it is requested.
    """
    fine = np.linspace(_LINE_START, _LINE_END, _LINE_STEPS + 1)
    bent = np.clip((fine - _LINE_START) / _BENDING, 0, 1)[:, None] * bend[..., None, :]
    ahead = Rotation.from_rotvec(bent.reshape(-1, 3)).apply([1.0, 0.0, 0.0]).reshape(bent.shape)
    step = (_LINE_END - _LINE_START) / _LINE_STEPS
    line = np.cumsum(step * ahead, -2) - step * ahead[..., :1, :] + np.array([_LINE_START, 0.0, 0.0])
    at = (np.broadcast_to(along, (*bend.shape[:-1], along.shape[-1])) - _LINE_START) / step
    low = np.clip(np.floor(at).astype(int), 0, _LINE_STEPS - 1)
    first, second = (np.take_along_axis(line, low[..., None] + k, -2) for k in (0, 1))
    return np.asarray(first + (at - low)[..., None] * (second - first))


def grip(joints_J3: FloatArray) -> FloatArray:
    """Return where a hand (..., 21, 3) holds an object (..., 3), in the posed model's frame: between palm and fingertips."""
    tips = joints_J3[..., list(FINGERTIPS), :].mean(-2)
    palm = 0.5 * (joints_J3[..., WRIST, :] + joints_J3[..., MIDDLE_MCP, :])
    return np.asarray(0.6 * tips + 0.4 * palm + np.array([0.0, -0.012, 0.0]))


def ellipsoid(centre: FloatArray, half: FloatArray, R: FloatArray, *, squareness: FloatArray | float = 1.0) -> Mesh:
    """Return an ellipsoid; with ``squareness`` below one its sides flatten towards a box (a superquadric).

    Many at once: every argument may have leading axes.
    """
    latitude, turn = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, 14), np.linspace(0, 2 * np.pi, _SIDES + 1), indexing="ij")
    exponent = np.asarray(squareness)[..., None, None]

    def power(x: FloatArray) -> FloatArray:
        return np.asarray(np.sign(x) * np.abs(x) ** exponent)

    unit = np.stack(
        [power(np.cos(latitude)) * power(np.cos(turn)), power(np.cos(latitude)) * power(np.sin(turn)), power(np.sin(latitude))],
        -1,
    )
    uv = np.stack([turn / (2 * np.pi), 0.5 - latitude / np.pi], -1).reshape(-1, 2)
    points = unit.reshape(*unit.shape[:-3], -1, 3) * half[..., None, :]
    vertices = points @ np.swapaxes(R, -1, -2) + centre[..., None, :]
    first = _first_of_grid(14)
    first[[0, -1]] = first[[0, -1], :1]  # the poles
    return Mesh(vertices=vertices, faces=_grid_faces(14, _SIDES + 1), uv=uv, first_V=first.ravel())
