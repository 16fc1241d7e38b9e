"""The surface that follows a clip's joints: the hand model's mesh, or a figure of balls and bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handviz.export.clip import HandClip
from handviz.export.poses import LoadModel
from handviz.geometry.camera import FloatArray
from handviz.hand.palette import JOINT_COLOURS, RGB, SKIN
from handviz.hand.skeleton import BONES, JOINT_INDEX, MANO_JOINT_NAMES
from handviz.records import IntArray, UInt8Array

_MAX_WEIGHTS = 4  # glTF's portable number of joints per vertex
_BALL_M, _BONE_M = 0.0045, 0.0025
_SIDES = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skin:
    """A mesh bound to 21 joints at rest: vertices (V, 3) in metres, faces (F, 3), up to four joints per vertex with weights.

    It has ``uv_V2`` (v downwards) and ``texture`` (H, W, 3) if the hand has a texture, else ``colours_V3`` uint8.
    """

    vertices_V3: FloatArray
    faces_F3: IntArray
    joints_V4: IntArray
    weights_V4: FloatArray
    colours_V3: UInt8Array | None = None
    uv_V2: FloatArray | None = None
    texture: UInt8Array | None = None


def skin_of(clip: HandClip, load_model: LoadModel) -> Skin:
    """Return the clip's surface at rest, of the true side: a left hand is mirrored geometry with its winding reversed."""
    return _figure(clip.rest_J3) if clip.params is None else _model_skin(clip, load_model)


def _model_skin(clip: HandClip, load_model: LoadModel) -> Skin:
    from handviz.export.model_pose import rest_hand  # loads torch

    assert clip.params is not None
    model = load_model(clip.params[0].hand_model)
    rest, _ = rest_hand(model, clip.params, clip.side)
    joints, weights = _strongest(model.skin_weights_VJ.double().numpy())
    plain = model.texture is None
    return Skin(
        vertices_V3=rest.vertices_camera_m,
        faces_F3=rest.faces,
        joints_V4=joints,
        weights_V4=weights,
        colours_V3=np.full((len(joints), 3), SKIN, np.uint8) if plain else None,
        uv_V2=None if plain else model.uv_V2.double().numpy(),
        texture=model.texture,
    )


def _strongest(weights_VJ: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the four strongest joints of each vertex, as indices into the 21, and their weights, scaled to sum to one."""
    best = np.argsort(-weights_VJ, 1)[:, :_MAX_WEIGHTS]
    weights = np.take_along_axis(weights_VJ, best, 1)
    to_project = np.array([JOINT_INDEX[name] for name in MANO_JOINT_NAMES])
    return to_project[best], weights / weights.sum(1, keepdims=True)


def _figure(rest_J3: FloatArray) -> Skin:
    """A ball for each joint and a rod for each bone, coloured by finger; rods stretch with their bones."""
    balls = [_ball(rest_J3[joint], joint) for joint in range(len(rest_J3))]
    pieces = balls + [
        _rod(rest_J3, parent, joint) for parent, joint in BONES if not np.array_equal(rest_J3[parent], rest_J3[joint])
    ]
    starts = np.cumsum([0] + [len(piece[0]) for piece in pieces])
    joints = np.zeros((starts[-1], 4), np.int64)
    joints[:, 0] = np.concatenate([piece[2] for piece in pieces])
    return Skin(
        vertices_V3=np.concatenate([piece[0] for piece in pieces]),
        faces_F3=np.concatenate([piece[1] + start for piece, start in zip(pieces, starts, strict=False)]),
        joints_V4=joints,
        weights_V4=np.tile([1.0, 0.0, 0.0, 0.0], (len(joints), 1)),
        colours_V3=np.concatenate([np.tile(np.array(piece[3], np.uint8), (len(piece[0]), 1)) for piece in pieces]),
    )


Piece = tuple[FloatArray, IntArray, IntArray, RGB]


def _ball(centre: FloatArray, joint: int) -> Piece:
    rows = np.linspace(0, np.pi, 6)[1:-1]
    ring = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
    around = [[np.sin(a) * np.cos(b), np.cos(a), np.sin(a) * np.sin(b)] for a in rows for b in ring]
    vertices = np.array([*around, [0, 1, 0], [0, -1, 0]]) * _BALL_M + centre
    top, bottom, last = len(around), len(around) + 1, (len(rows) - 1) * _SIDES
    faces = [face for row in range(len(rows) - 1) for face in _band(row * _SIDES, (row + 1) * _SIDES)]
    faces += [[top, (i + 1) % _SIDES, i] for i in range(_SIDES)]
    faces += [[bottom, last + i, last + (i + 1) % _SIDES] for i in range(_SIDES)]
    return vertices, np.array(faces), np.full(len(vertices), joint), JOINT_COLOURS[joint]


def _rod(rest_J3: FloatArray, parent: int, joint: int) -> Piece:
    along = rest_J3[joint] - rest_J3[parent]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    across = np.cross(along, [0.0, 1.0, 0.0] if abs(along[1]) < 0.9 else [1.0, 0.0, 0.0])
    across = across / np.linalg.norm(across)
    angle = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)[:, None]
    ring = _BONE_M * (np.cos(angle) * across + np.sin(angle) * np.cross(along, across))
    vertices = np.concatenate([rest_J3[parent] + ring, rest_J3[joint] + ring])
    carrier = np.repeat([parent, joint], _SIDES)
    return vertices, np.array(_band(0, _SIDES)), carrier, JOINT_COLOURS[joint]


def _band(upper: int, lower: int) -> list[list[int]]:
    """Triangles between two rings of vertices."""
    pairs = [(i, (i + 1) % _SIDES) for i in range(_SIDES)]
    return [[upper + i, upper + j, lower + j] for i, j in pairs] + [[upper + i, lower + j, lower + i] for i, j in pairs]
