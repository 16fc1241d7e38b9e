"""The hand at rest with given shape values, drawn for the window. Loads the hand model when first asked. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from handviz.geometry.camera import Camera, FloatArray
from handviz.hand.hand_file import NUM_SHAPE, read_hand_file
from handviz.hand.library import hand_path
from handviz.records import HandParams, UInt8Array

# Model axes seen from the palm side, fingers up: right is towards the thumb, down to the wrist, ahead to the back of the hand.
R_VIEW_FROM_MODEL = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
# Far away, so that nothing is foreshortened.
DISTANCE_M = 4.0
# The picture's height as a multiple of the average hand's, and the least multiple of what a larger hand needs.
ROOM, LEAST_ROOM = 1.24, 1.06


@dataclass(frozen=True, slots=True, eq=False)
class RestPicture:
    """A picture RGBA (n, n, 4) of a shape at rest, and outlines, each (k, 2) pixels, of the average hand at the same scale."""

    picture: UInt8Array
    average: tuple[FloatArray, ...]


@lru_cache(maxsize=4)
def shape_names(hand_model: str) -> tuple[str, ...]:
    """What each of the ten values changes, in words if the hand model has them."""
    named = read_hand_file(hand_path(hand_model)).shape_names
    return named if len(named) == NUM_SHAPE else tuple(f"shape {place + 1}" for place in range(NUM_SHAPE))


def rest_picture(shape: FloatArray, hand_model: str, side: int) -> RestPicture:
    """Draw a shape (10,) at rest, from the palm side, ``side`` pixels high and wide. Raises ModelFileError."""
    vertices, (middle_2, height_m) = _seen(shape, hand_model), _frame(hand_model)
    height_m = max(height_m, LEAST_ROOM * 2 * float(np.abs(vertices[:, :2] - middle_2).max()))
    return RestPicture(_drawn(vertices, hand_model, height_m, side), _average_outline(hand_model, height_m, side))


@lru_cache(maxsize=4)
def _average_outline(hand_model: str, height_m: float, side: int) -> tuple[FloatArray, ...]:
    covered = _drawn(_seen(np.zeros(NUM_SHAPE), hand_model), hand_model, height_m, side)[..., 3] > 127
    outlines, _ = cv2.findContours(covered.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return tuple(np.asarray(outline[:, 0], float) for outline in outlines)


@lru_cache(maxsize=4)
def _frame(hand_model: str) -> tuple[FloatArray, float]:
    """Return the middle (2,) of the average hand, and the height of a picture that shows it; metres."""
    seen = _seen(np.zeros(NUM_SHAPE), hand_model)[:, :2]
    return (seen.min(0) + seen.max(0)) / 2, ROOM * float(np.ptp(seen, axis=0).max())


def _seen(shape: FloatArray, hand_model: str) -> FloatArray:
    """Return the hand's vertices (V, 3) about its wrist, in metres: right, down and ahead as the picture shows them."""
    # Imported late: compiled loops, which a session without meshes does not pay for.
    from handviz.fit.rig import rig_named

    rig = rig_named(hand_model)
    flat = HandParams(pose=np.zeros(45), shape=shape, root_rotation=np.zeros(3), translation_m=np.zeros(3))
    return np.asarray((rig.mesh(flat)[0] - rig.wrist(shape)) @ R_VIEW_FROM_MODEL.T)


def _drawn(vertices: FloatArray, hand_model: str, height_m: float, side: int) -> UInt8Array:
    from handviz.export.mesh_overlay import mesh_picture
    from handviz.fit.rig import rig_named

    focal = side / height_m * DISTANCE_M
    centre = (side - 1) / 2
    camera = Camera(width=side, height=side, K=np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]]))
    canvas = np.zeros((side, side, 4), np.uint8)
    drawn = mesh_picture(vertices - np.array([*_frame(hand_model)[0], -DISTANCE_M]), rig_named(hand_model).faces_F3, camera)
    if drawn is not None:
        picture, (u, v) = drawn
        canvas[v : v + picture.shape[0], u : u + picture.shape[1]] = picture
    return canvas
