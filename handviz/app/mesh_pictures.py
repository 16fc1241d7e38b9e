"""Pictures of meshes to lay over the camera's, each rendered once, by whoever needs it first, in any thread.

While meshes are shown that is the analysis (``make_ready``), so that the display only has to blit them; otherwise it is the
painter, as for an iterate that is scrubbed to. Pictures are cached by mesh and camera, neither of which ever changes, so one
cannot belong to another frame or to a mesh before its refinement.
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
    """Render beforehand what these options will show of a result's meshes."""
    if not (options.mesh_overlay or options.mask):
        return
    for hand in (*result.hands, *(result.compared if options.side_by_side else ())):
        if hand.mesh is not None:
            picture_of(hand.mesh, result.frame.camera)
            if options.mask:
                outlines_of(hand.mesh, result.frame.camera)


@lru_cache(maxsize=KEPT)
def picture_of(mesh: HandMesh, camera: Camera) -> MeshPicture | None:
    """Return a mesh as the camera sees it; None if nothing of it is visible."""
    # Imported late: its compiled loops cost 100 MB and a second, which a session without meshes does not pay.
    from handviz.export.mesh_overlay import mesh_picture

    drawn = mesh_picture(mesh.vertices_camera_m, mesh.faces, camera)
    if drawn is None:
        return None
    picture, place = drawn
    # In the format that Qt blends fastest; this copy owns its memory.
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
