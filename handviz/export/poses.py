"""The input of every exporter: one frame's poses without its picture, from a live result or from a JSON-lines file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from handviz.errors import ModelFileError
from handviz.geometry.camera import FloatArray
from handviz.hand.hand_file import hand_digest
from handviz.hand.library import hand_path
from handviz.hand.mirror import Side
from handviz.records import FrameResult, HandEstimate, HandJoints, HandParams, IntArray

if TYPE_CHECKING:
    from handviz.hand.model import HandModel

LoadModel = Callable[[str], "HandModel"]


def load_model(name: str) -> HandModel:
    """Return a hand model by name; torch is loaded at the first call, not on import."""
    from handviz.hand.model import load_hand_model

    return load_hand_model(name)


@lru_cache(maxsize=8)
def known_digest(name: str) -> str | None:
    """Return the digest of a hand model's file, read once per process; None if there is no readable file."""
    try:
        return hand_digest(hand_path(name))
    except ModelFileError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A hand's triangles: vertices (V, 3) in metres in the full camera's frame, faces (F, 3) wound outwards."""

    vertices_camera_m: FloatArray
    faces: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseHand:
    """One hand as it is exported.

    ``params`` are those of a hand model (``HandParams``: for a left hand, of its mirror image); ``hand_digest`` tells the model's
    file from another of the same name (None: unknown). ``surface`` is the mesh that was shown; it is None for a hand that was
    read from a file, for which it is rebuilt from ``params``.
    """

    track_id: int
    side: Side
    score: float
    box_xyxy_px: FloatArray
    joints: HandJoints
    groups: IntArray | None = None
    params: HandParams | None = None
    hand_digest: str | None = None
    silhouette_iou: float | None = None
    surface: Surface | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseFrame:
    """All hands of one frame. ``source`` is the file name of a picture in a folder, else None; ``t_s`` seconds.

    ``K`` (3, 3) are the intrinsics of the camera that saw its joints, None if the file does not give them.
    """

    index: int
    source: str | None
    t_s: float
    width: int
    height: int
    hands: tuple[PoseHand, ...]
    K: FloatArray | None = None


def pose_frame(result: FrameResult) -> PoseFrame:
    """Return the part of a result that is exported."""
    frame = result.frame
    return PoseFrame(
        index=frame.index,
        source=frame.name,
        t_s=frame.t_capture_s,
        width=frame.camera.width,
        height=frame.camera.height,
        hands=tuple(_pose_hand(hand) for hand in result.hands),
        K=frame.camera.K,
    )


def _pose_hand(hand: HandEstimate) -> PoseHand:
    mesh = hand.mesh
    return PoseHand(
        track_id=hand.track_id,
        side=hand.side,
        score=hand.score,
        box_xyxy_px=hand.box_xyxy_px,
        joints=hand.joints,
        groups=hand.groups,
        params=None if mesh is None else mesh.params,
        hand_digest=None if mesh is None else known_digest(mesh.params.hand_model),
        silhouette_iou=None if mesh is None else mesh.silhouette_iou,
        surface=None if mesh is None else Surface(vertices_camera_m=mesh.vertices_camera_m, faces=mesh.faces),
    )


def without_surfaces(frame: PoseFrame) -> PoseFrame:
    """Return the frame with its meshes' parameters only, to save memory on long recordings."""
    return replace(frame, hands=tuple(replace(hand, surface=None) for hand in frame.hands))
