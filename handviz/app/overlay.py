"""Paints hands over a picture. Everything is painted in the picture's pixels; the painter carries the scale to the screen.

Pixel centres lie on integers (see ``handviz.geometry.camera``), while Qt's lie on halves: ``paint_hands`` adds the half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPolygonF

from handviz.app.colours import GHOST
from handviz.app.heat_choice import chosen_joints
from handviz.app.heat_view import crop_corners, heat_picture
from handviz.app.images import image_of
from handviz.app.maps_view import features_picture, seen_mask_picture
from handviz.app.mesh_pictures import outlines_of, picture_of
from handviz.app.view_options import ViewOptions
from handviz.export.annotate import hand_label, roomy_box
from handviz.geometry.camera import Camera, FloatArray
from handviz.hand.palette import FINGER_COLOURS, RGB, SIDE_COLOURS, joint_colours
from handviz.hand.skeleton import BONES, NUM_JOINTS
from handviz.records import FrameResult, HandEstimate, HandMesh

BONE_WIDTH, JOINT_RADIUS = 3.2, 3.6
FAINTEST = 0.25
# Confidence is shown in this many steps, so that pens can be cached: making one costs as much as drawing with it.
LEVELS = 16
MASK_ALPHA, MESH_ALPHA = 0.38, 0.9
MASK_COLOUR: RGB = (80, 255, 200)
CROP_COLOUR: RGB = (235, 238, 245)
NAME_COLOUR: RGB = (235, 238, 245)
NAME_ROOM = 6


@dataclass(frozen=True, slots=True)
class OverlayContext:
    """What the painter needs besides the result: toggles, one screen pixel in picture pixels, paths of fingertips, a font."""

    options: ViewOptions
    pixel: float = 1.0
    trails: Mapping[int, Sequence[FloatArray]] = field(default_factory=dict)
    font: QFont | None = None


def paint_hands(painter: QPainter, result: FrameResult, context: OverlayContext) -> None:
    """Paint all that is switched on, for every hand of the result."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(0.5, 0.5)
    options = context.options
    for hand in result.hands:
        _paint_maps(painter, result, hand, options)
        if (options.mesh_overlay or options.mask) and hand.mesh is not None:
            _paint_mesh(painter, hand.mesh, result.frame.camera, context)
        if options.heatmaps and hand.heatmaps is not None and hand.crop is not None:
            _paint_heatmaps(painter, result, hand, context)
    for paths in context.trails.values() if options.trails else ():
        _paint_trails(painter, paths, context.pixel)
    for hand in result.compared:
        paint_skeleton(painter, hand, (GHOST,) * NUM_JOINTS, context.pixel)
    for hand in result.hands:
        if options.skeleton:
            colours = joint_colours(hand.groups if options.group_colours else None)
            paint_skeleton(painter, hand, colours, context.pixel)
        if options.boxes:
            _paint_box(painter, hand, result.frame.camera.size, context)
    painter.restore()


def paint_skeleton(painter: QPainter, hand: HandEstimate, colours: Sequence[RGB], pixel: float) -> None:
    """Paint bones and joints, more opaque where confidence is higher. Joints without a position are left out."""
    joints: list[list[float]] = hand.joints.joints_px.tolist()
    seen: list[bool] = np.isfinite(hand.joints.joints_px).all(-1).tolist()
    confidence = np.clip(np.nan_to_num(hand.joints.confidence), FAINTEST, 1.0)
    alpha: list[float] = (np.round(confidence * LEVELS) / LEVELS).tolist()
    for start, stop in BONES:
        if seen[start] and seen[stop]:
            strength = min(alpha[start], alpha[stop])
            line = QLineF(*joints[start], *joints[stop])
            painter.setPen(_bone_pen((0, 0, 0), 0.45 * strength, (BONE_WIDTH + 1.8) * pixel))
            painter.drawLine(line)
            painter.setPen(_bone_pen(colours[stop], strength, BONE_WIDTH * pixel))
            painter.drawLine(line)
    radius = JOINT_RADIUS * pixel
    for joint, place in enumerate(joints):
        if seen[joint]:
            painter.setPen(_pen((0, 0, 0), 0.6 * alpha[joint], 1.0 * pixel))
            painter.setBrush(_colour(colours[joint], alpha[joint]))
            painter.drawEllipse(QPointF(*place), radius, radius)


def paint_name(painter: QPainter, name: str, size: tuple[int, int], context: OverlayContext) -> None:
    """Write an estimator's name into the upper left corner of a picture of this size."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if context.options.mirror:
        painter.translate(size[0], 0)
        painter.scale(-1, 1)
    upright = replace(context, options=replace(context.options, mirror=False))
    room = NAME_ROOM * context.pixel
    paint_label(painter, QPointF(room, room), name, NAME_COLOUR, size, upright)
    painter.restore()


def _paint_box(painter: QPainter, hand: HandEstimate, size: tuple[int, int], context: OverlayContext) -> None:
    box = roomy_box(hand)
    if box is None:
        return
    x0, y0, x1, y1 = (float(x) for x in box)
    colour = SIDE_COLOURS[hand.side]
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(_pen(colour, 0.95, 1.6 * context.pixel))
    painter.drawRoundedRect(QRectF(x0, y0, x1 - x0, y1 - y0), 5 * context.pixel, 5 * context.pixel)
    paint_label(painter, QPointF(x0, y0), hand_label(hand), colour, size, context)


def paint_label(
    painter: QPainter, corner: QPointF, text: str, colour: RGB, size: tuple[int, int], context: OverlayContext
) -> None:
    """Write a label above a place, or below it if there is no room, on a plate that stays inside the picture."""
    painter.save()
    if context.font is not None:
        painter.setFont(context.font)
    metrics, pixel, mirror = painter.fontMetrics(), context.pixel, context.options.mirror
    width, height = metrics.horizontalAdvance(text) + 12, metrics.height() + 4
    above = -height - 3 if corner.y() > (height + 6) * pixel else 4
    left = max(min(corner.x(), size[0] - width * pixel), 0.0)
    top = max(min(corner.y() + above * pixel, size[1] - height * pixel), 0.0)
    painter.translate(left + (width * pixel if mirror else 0.0), top)
    painter.scale(-pixel if mirror else pixel, pixel)
    box = QRectF(0, 0, width, height)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_colour(colour, 0.92))
    painter.drawRoundedRect(box, 4, 4)
    painter.setPen(QColor(12, 16, 22))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def _paint_trails(painter: QPainter, paths: Sequence[FloatArray], pixel: float) -> None:
    for path, colour in zip(paths, FINGER_COLOURS.values(), strict=True):
        for i in range(1, len(path)):
            if np.isfinite(path[i - 1 : i + 1]).all():
                painter.setPen(_pen(colour, 0.85 * i / len(path), 2.6 * pixel))
                painter.drawLine(QPointF(*path[i - 1]), QPointF(*path[i]))


def _paint_maps(painter: QPainter, result: FrameResult, hand: HandEstimate, options: ViewOptions) -> None:
    size, corner = result.frame.camera.size, QPointF(-0.5, -0.5)
    if options.features and hand.features is not None and hand.crop is not None:
        painter.drawImage(corner, image_of(features_picture(hand, size)))
    if options.seen_mask and hand.mask is not None and hand.crop is not None:
        painter.drawImage(corner, image_of(seen_mask_picture(hand, size)))


def _paint_mesh(painter: QPainter, mesh: HandMesh, camera: Camera, context: OverlayContext) -> None:
    drawn, options = picture_of(mesh, camera), context.options
    if drawn is None:
        return
    if options.mesh_overlay:
        painter.setOpacity(MESH_ALPHA)
        painter.drawImage(QPointF(drawn.place[0] - 0.5, drawn.place[1] - 0.5), drawn.image)
        painter.setOpacity(1.0)
    if options.mask:
        painter.setPen(_pen(MASK_COLOUR, 0.95, 1.6 * context.pixel))
        painter.setBrush(_colour(MASK_COLOUR, 0.0 if options.mesh_overlay else MASK_ALPHA))
        for outline in outlines_of(mesh, camera):
            painter.drawPolygon(outline)


def _paint_heatmaps(painter: QPainter, result: FrameResult, hand: HandEstimate, context: OverlayContext) -> None:
    assert hand.crop is not None
    joints = chosen_joints(context.options.heatmap_of, hand.groups)
    colours = joint_colours(hand.groups if context.options.group_colours else None)
    painter.drawImage(QPointF(-0.5, -0.5), image_of(heat_picture(hand, result.frame.camera.size, joints, colours)))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(_pen(CROP_COLOUR, 0.55, 1.0 * context.pixel))
    painter.drawPolygon(QPolygonF([QPointF(u, v) for u, v in crop_corners(hand.crop)]))


@lru_cache(maxsize=1024)
def _colour(colour: RGB, alpha: float) -> QColor:
    return QColor(*colour, round(255 * alpha))


@lru_cache(maxsize=1024)
def _bone_pen(colour: RGB, alpha: float, width: float) -> QPen:
    # The joints cover its ends, and round caps would make Qt draw the line the slow way.
    return QPen(_colour(colour, alpha), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)


@lru_cache(maxsize=1024)
def _pen(colour: RGB, alpha: float, width: float) -> QPen:
    return QPen(_colour(colour, alpha), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
