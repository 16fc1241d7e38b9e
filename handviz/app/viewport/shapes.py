"""Vertices of what the 3D view draws: skeletons of balls and cones, the floor grid, the camera's frustum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from handviz.geometry.camera import Camera, FloatArray, unproject
from handviz.hand.skeleton import BONES, NUM_JOINTS, WRIST, palm_length
from handviz.records import IntArray

PALM_M = 0.09
BALL_RADIUS_M = 0.0062
WRIST_RADIUS_M = 0.0085
BONE_SHARE = 0.62
# Enough for balls of some twenty pixels: each triangle is sent again with every frame.
RINGS, SECTORS = 7, 12
CELL_M = 0.05
GRID_CELLS = 16


@dataclass(frozen=True, slots=True)
class Solid:
    """Triangles: vertices (V, 3), unit normals (V, 3), faces (F, 3), and the joint (V,) that colours each vertex."""

    vertices: FloatArray
    normals: FloatArray
    faces: IntArray
    joint: IntArray


def _ball() -> tuple[FloatArray, IntArray]:
    theta = np.linspace(0, np.pi, RINGS)[:, None]
    phi = np.arange(SECTORS) / SECTORS * 2 * np.pi
    points = np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), -1)
    return points.reshape(-1, 3), _strip_faces(RINGS)


def _strip_faces(rings: int) -> IntArray:
    ring, sector = np.meshgrid(np.arange(rings - 1), np.arange(SECTORS), indexing="ij")
    a = ring * SECTORS + sector
    b = ring * SECTORS + (sector + 1) % SECTORS
    upper = np.stack([a, a + SECTORS, b], -1)
    lower = np.stack([b, a + SECTORS, b + SECTORS], -1)
    return np.concatenate([upper.reshape(-1, 3), lower.reshape(-1, 3)])


BALL_VERTICES, BALL_FACES = _ball()
TUBE_FACES = _strip_faces(2)[:, ::-1]
CIRCLE = np.stack([np.cos(np.arange(SECTORS) / SECTORS * 2 * np.pi), np.sin(np.arange(SECTORS) / SECTORS * 2 * np.pi)], -1)


def _skeleton_faces() -> IntArray:
    balls = np.arange(NUM_JOINTS)[:, None, None] * len(BALL_VERTICES) + BALL_FACES
    start = NUM_JOINTS * len(BALL_VERTICES)
    tubes = start + np.arange(len(BONES))[:, None, None] * 2 * SECTORS + TUBE_FACES
    return np.concatenate([balls.reshape(-1, 3), tubes.reshape(-1, 3)]).astype(np.int32)


def _skeleton_joints() -> IntArray:
    balls = np.repeat(np.arange(NUM_JOINTS), len(BALL_VERTICES))
    tubes = np.repeat([child for _, child in BONES], 2 * SECTORS)
    return np.concatenate([balls, tubes])


SKELETON_FACES = _skeleton_faces()
SKELETON_JOINT = _skeleton_joints()


def _frames(direction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors (N, 3) perpendicular to each unit direction (N, 3)."""
    helper = np.where(np.abs(direction[:, :1]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]])
    first = np.cross(direction, helper)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    return first, np.cross(direction, first)


def skeleton_solid(joints_m: FloatArray, thickness: float = 1.0) -> Solid:
    """Balls and cones of one hand, joints (21, 3) in metres; sizes follow the palm, times ``thickness``."""
    grown = thickness * float(np.clip(palm_length(joints_m) / PALM_M, 0.3, 3.0))
    radius = np.full(NUM_JOINTS, BALL_RADIUS_M * grown)
    radius[WRIST] = WRIST_RADIUS_M * grown
    balls = joints_m[:, None] + BALL_VERTICES * radius[:, None, None]
    ends = np.array(BONES)
    start, stop = joints_m[ends[:, 0]], joints_m[ends[:, 1]]
    along = stop - start
    across, up = _frames(along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9))
    around = across[:, None] * CIRCLE[:, :1] + up[:, None] * CIRCLE[:, 1:]
    thin = radius[ends] * BONE_SHARE
    tubes = np.stack([start[:, None] + around * thin[:, :1, None], stop[:, None] + around * thin[:, 1:, None]], 1)
    normals = np.concatenate([np.tile(BALL_VERTICES, (NUM_JOINTS, 1)), np.stack([around, around], 1).reshape(-1, 3)])
    return Solid(np.concatenate([balls.reshape(-1, 3), tubes.reshape(-1, 3)]), normals, SKELETON_FACES, SKELETON_JOINT)


def vertex_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Area-weighted unit normals (V, 3) of a surface with faces (F, 3)."""
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for axis in range(3):
        weights = np.repeat(across[:, axis], 3)
        normals[:, axis] = np.bincount(faces.reshape(-1), weights, minlength=len(vertices))
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def edges_of(faces: IntArray) -> IntArray:
    """Each edge (E, 2) of faces (F, 3) once."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0).astype(np.int32)


@cache
def floor_grid() -> tuple[FloatArray, IntArray, FloatArray]:
    """Points (N, 3), lines (L, 2) and strength (L,) in [0, 1] of a floor that fades at its rim; centred, y = 0."""
    n, half = GRID_CELLS, GRID_CELLS / 2
    i, j = (a.reshape(-1) for a in np.meshgrid(np.arange(n + 1), np.arange(n), indexing="ij"))
    fixed, low, high = (i - half) * CELL_M, (j - half) * CELL_M, (j + 1 - half) * CELL_M
    zero = np.zeros(len(i))
    ends = np.stack([np.stack([fixed, zero, low], -1), np.stack([fixed, zero, high], -1)], 1)
    turned = ends[..., [2, 1, 0]]
    points = np.concatenate([ends, turned]).reshape(-1, 3)
    lines = np.arange(len(points)).reshape(-1, 2).astype(np.int32)
    middle = points.reshape(-1, 2, 3).mean(1)
    strength = np.clip(1.0 - np.hypot(middle[:, 0], middle[:, 2]) / (half * CELL_M), 0, 1)
    for part in (points, lines, strength):
        part.flags.writeable = False
    return points, lines, strength


def frustum_corners(camera: Camera, depth_m: float) -> FloatArray:
    """The picture's four corners (4, 3) at this depth: top left, top right, bottom right, bottom left."""
    w, h = camera.width - 0.5, camera.height - 0.5
    corners = np.array([[-0.5, -0.5], [w, -0.5], [w, h], [-0.5, h]])
    return unproject(corners, np.full(4, depth_m), camera.K)
