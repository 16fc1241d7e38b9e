"""Draws results into the picture: pure functions, the same look at every resolution."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from handviz.geometry.camera import Camera, FloatArray
from handviz.hand.palette import BONE_COLOURS, RGB, SIDE_COLOURS, WRIST_COLOUR, joint_colours
from handviz.hand.skeleton import BONES
from handviz.records import FrameResult, HandEstimate, HandMesh, UInt8Array

_SHIFT = 4  # OpenCV draws at 1/16 of a pixel
_INK: RGB = (18, 20, 24)
_BOX_ROOM = 0.07
_FONT = cv2.FONT_HERSHEY_DUPLEX


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateStyle:
    """What is drawn. ``groups`` colours joints by learned group where there is one; ``mesh_alpha`` 0 to 1."""

    skeleton: bool = True
    boxes: bool = True
    labels: bool = True
    groups: bool = False
    mesh: bool = True
    mesh_alpha: float = 0.75


def annotate(rgb: UInt8Array, result: FrameResult, style: AnnotateStyle = AnnotateStyle()) -> UInt8Array:
    """Return a copy of the picture (height, width, 3) with all hands drawn; far hands first."""
    canvas = rgb.copy()
    hands = sorted(result.hands, key=_depth, reverse=True)
    for hand in hands:
        if style.mesh and hand.mesh is not None:
            draw_mesh(canvas, hand.mesh, result.frame.camera, style.mesh_alpha)
    for hand in hands:
        width = line_width(hand)
        if style.boxes:
            draw_box(canvas, hand, max(1, round(width * 0.5)))
        if style.skeleton:
            draw_skeleton(canvas, hand, width, by_group=style.groups)
        if style.labels:
            draw_label(canvas, hand)
    return canvas


def line_width(hand: HandEstimate) -> float:
    """Return a bone's width in pixels, in proportion to the hand's size in the picture."""
    x0, y0, x1, y1 = (float(x) for x in hand.box_xyxy_px)
    extent = float(np.hypot(x1 - x0, y1 - y0))
    return float(np.clip(extent * 0.012, 1.0, 40.0)) if np.isfinite(extent) else 2.0


def draw_skeleton(canvas: UInt8Array, hand: HandEstimate, width: float, *, by_group: bool = False) -> None:
    """Draw bones and joints in place, coloured by finger or by group; joints that are not finite are left out."""
    points, depth = hand.joints.joints_px, np.nan_to_num(hand.joints.joints_camera_m[:, 2])
    known = _drawable(points)
    colours = joint_colours(hand.groups if by_group else None)
    bones = [(bone, colour) for bone, colour in zip(BONES, BONE_COLOURS, strict=True) if known[bone[0]] and known[bone[1]]]
    bones.sort(key=lambda item: -float(depth[list(item[0])].sum()))
    for (a, b), colour in bones:
        _line(canvas, points[a], points[b], _INK, width * 1.7)
        _line(canvas, points[a], points[b], WRIST_COLOUR if by_group else colour, width)
    for joint in sorted(np.flatnonzero(known), key=lambda j: -float(depth[j])):
        _dot(canvas, points[joint], _INK, width * 1.75)
        _dot(canvas, points[joint], colours[joint], width * 1.3)


def draw_box(canvas: UInt8Array, hand: HandEstimate, width: int) -> None:
    """Draw a hand's box in place, coloured by its side; one that is not finite is left out."""
    box = roomy_box(hand)
    if box is None:
        return
    x0, y0, x1, y1 = (int(x) for x in np.clip(np.round(box), -30000, 30000))
    cv2.rectangle(canvas, (x0, y0), (x1, y1), _INK, width + 2, cv2.LINE_AA)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), SIDE_COLOURS[hand.side], width, cv2.LINE_AA)


def draw_label(canvas: UInt8Array, hand: HandEstimate) -> None:
    """Write side, track and score at the box's upper left corner, inside the picture."""
    box = roomy_box(hand)
    if box is None:
        return
    height, width = canvas.shape[:2]
    scale = max(0.4, min(height, width) / 1100)
    text = hand_label(hand)
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, 1)
    pad = round(text_height * 0.5)
    tall, wide = text_height + below + 2 * pad, text_width + 2 * pad
    x, y = (int(np.clip(v, 0, max(0, room))) for v, room in ((box[0], width - wide), (box[1] - tall, height - tall)))
    cv2.rectangle(canvas, (x, y), (x + wide, y + tall), SIDE_COLOURS[hand.side], -1)
    cv2.putText(canvas, text, (x + pad, y + pad + text_height), _FONT, scale, _INK, max(1, round(scale)), cv2.LINE_AA)


def hand_label(hand: HandEstimate) -> str:
    """Return the label above a hand's box."""
    return f"{hand.name}  {hand.score:.0%}" if np.isfinite(hand.score) else hand.name


def roomy_box(hand: HandEstimate) -> FloatArray | None:
    """Return the box (x0, y0, x1, y1) to draw, in pixels, None for one that is not finite.

    The record's box encloses only the joints; the hand itself reaches beyond them.
    """
    box = hand.box_xyxy_px
    if not np.isfinite(box).all():
        return None
    room = _BOX_ROOM * float(max(box[2] - box[0], box[3] - box[1]))
    return box + np.array([-room, -room, room, room])


def draw_mesh(canvas: UInt8Array, mesh: HandMesh, camera: Camera, alpha: float) -> None:
    """Blend the shaded surface into the picture in place; one that cannot be drawn is left out."""
    # Only a picture with a mesh pays for loading the renderer.
    from handviz.export.mesh_overlay import lay_over, mesh_picture

    found = mesh_picture(mesh.vertices_camera_m, mesh.faces, camera)
    if found is not None:
        lay_over(canvas, *found, alpha)


def _depth(hand: HandEstimate) -> float:
    depth = hand.joints.joints_camera_m[:, 2]
    finite = depth[np.isfinite(depth)]
    return float(finite.mean()) if finite.size else 0.0


def _drawable(points: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    # OpenCV's fixed-point coordinates overflow far outside the picture.
    return np.asarray((np.abs(np.nan_to_num(points, nan=np.inf)) < 30000).all(-1))


def _fixed(point: FloatArray) -> tuple[int, int]:
    u, v = np.round(point * (1 << _SHIFT)).astype(int)
    return int(u), int(v)


def _line(canvas: UInt8Array, a: FloatArray, b: FloatArray, colour: RGB, width: float) -> None:
    cv2.line(canvas, _fixed(a), _fixed(b), colour, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _dot(canvas: UInt8Array, point: FloatArray, colour: RGB, radius: float) -> None:
    cv2.circle(canvas, _fixed(point), max(1, round(radius * (1 << _SHIFT))), colour, -1, cv2.LINE_AA, _SHIFT)
