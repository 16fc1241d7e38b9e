"""Pictures of meshes that are laid over the camera's, each made once, by whoever needs it first; for any thread.

That is the analysis while they are shown (``make_ready``), so that the display only has to blit them, and whoever paints
where it is not, as of an iterate that is scrubbed to. They are known by mesh and camera, neither of which ever changes: one
can not be another frame's, or of a mesh as it was before its refinement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage, QPolygonF

from handviz.app.images import image_of
from handviz.app.view_options import ViewOptions
from handviz.geometry.camera import Camera
from handviz.records import FrameResult, HandMesh, UInt8Array

# The result shown, and the three that may wait for the display, with two hands each.
KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class MeshPicture:
    """How much of each pixel (h, w) the surface covers, the shaded picture, and the place (u, v) of its top left pixel."""

    coverage: UInt8Array
    image: QImage
    place: tuple[int, int]


def make_ready(result: FrameResult, options: ViewOptions) -> None:
    """Make what will be painted of a result's meshes under these options."""
    if not (options.mesh_overlay or options.mask):
        return
    for hand in (*result.hands, *(result.compared if options.side_by_side else ())):
        if hand.mesh is not None:
            picture_of(hand.mesh, result.frame.camera)
            if options.mask:
                outlines_of(hand.mesh, result.frame.camera)


@lru_cache(maxsize=KEPT)
def picture_of(mesh: HandMesh, camera: Camera) -> MeshPicture | None:
    """Return a mesh as the camera sees it; None where nothing is to be seen."""
    # Compiled loops: 100 MB and a second that a session without meshes does not pay.
    from handviz.export.mesh_overlay import mesh_picture

    drawn = mesh_picture(mesh.vertices_camera_m, mesh.faces, camera)
    if drawn is None:
        return None
    picture, place = drawn
    # In the format that Qt blends fastest; it holds memory of its own.
    image = image_of(picture).convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    return MeshPicture(np.ascontiguousarray(picture[..., 3]), image, place)


@lru_cache(maxsize=KEPT)
def outlines_of(mesh: HandMesh, camera: Camera) -> tuple[QPolygonF, ...]:
    """Return the outlines of what a mesh covers, in the camera's pixels."""
    drawn = picture_of(mesh, camera)
    if drawn is None:
        return ()
    covered = (drawn.coverage > 127).astype(np.uint8)
    outlines, _ = cv2.findContours(covered, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return tuple(QPolygonF([QPointF(u, v) for u, v in (outline[:, 0] + drawn.place).tolist()]) for outline in outlines)
