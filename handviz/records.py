"""The records that are passed between packages. Frozen, typed, and without behaviour.

Arrays in a record that threads share are made read-only by whoever creates it (``freeze``).
Everything from ``CropResult`` on is un-mirrored and in the full camera's frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from handviz.geometry.camera import Camera, FloatArray
from handviz.hand.library import DEFAULT_HAND
from handviz.hand.mirror import Side, needs_mirror

UInt8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

Stage = Literal["raw", "smoothed", "refined"]
# Where the scale in metres comes from: the estimator's own metric output, a hand size given by the user, or an adult's.
ScaleSource = Literal["model", "user", "default"]


def freeze(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Make an array read-only in place and return it."""
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One picture from a source.

    ``index`` counts from 0 in the source; ``t_capture_s`` is the source's own time in seconds (media time of
    a recording, ``time.perf_counter`` of a camera: on Windows the monotonic clock may stand still for 16 ms);
    ``t_arrival_s`` is the time by ``time.perf_counter`` when it came into the program; ``rgb`` (height, width, 3) uint8; ``name``
    the file name of a picture; ``path`` the file that it was read from, None for a camera.
    """

    index: int
    t_capture_s: float
    t_arrival_s: float
    rgb: UInt8Array
    camera: Camera
    name: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandDetection:
    """A hand found in the full picture: side, score in [0, 1], and joints (21, 2) in pixels.

    ``in_part``: only a part of the picture was looked at, in which other things are taken for hands more often.
    """

    side: Side
    score: float
    joints_px: FloatArray
    in_part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandCrop:
    """A square crop, which is itself a camera that looks at the hand.

    ``rgb`` (S, S, 3) uint8 always shows a right hand. ``Q_crop_from_camera`` (3, 3) is orthogonal: the rotation
    from the full camera to the crop's camera, including a reflection for a left hand (determinant -1).
    ``K_crop`` (3, 3) in crop pixels, principal point at the crop's centre. The homography
    ``H_crop_from_image = K_crop Q inv(K)`` takes full-picture pixels to crop pixels.
    """

    side: Side
    rgb: UInt8Array
    K_crop: FloatArray
    Q_crop_from_camera: FloatArray
    H_crop_from_image: FloatArray
    camera: Camera

    @property
    def mirrored(self) -> bool:
        """Whether the picture was mirrored to show a right hand."""
        return needs_mirror(self.side)

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return int(self.rgb.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandJoints:
    """21 joints: metres in the full camera's frame (21, 3), pixels (21, 2), confidence (21,) in [0, 1]."""

    joints_camera_m: FloatArray
    joints_px: FloatArray
    confidence: FloatArray
    scale_source: ScaleSource = "model"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandParams:
    """Parameters of a hand model, always of the right hand (a left hand's are those of its mirror image).

    ``pose`` (45,) axis-angle of 15 joints in MANO order, radians, flat hand zero; ``shape`` (10,);
    ``root_rotation`` (3,) axis-angle; ``scale`` (dimensionless); ``translation_m`` (3,) of the model's origin.
    """

    pose: FloatArray
    shape: FloatArray
    root_rotation: FloatArray
    translation_m: FloatArray
    scale: float = 1.0
    hand_model: str = DEFAULT_HAND


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandMesh:
    """A surface in the full camera's frame: vertices (V, 3) metres, faces (F, 3) wound outwards, parameters.

    ``silhouette_iou`` in [0, 1] compares it with a mask, if there was one.
    """

    vertices_camera_m: FloatArray
    faces: IntArray
    params: HandParams
    silhouette_iou: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropResult:
    """An estimator's answer for one crop. ``score`` in [0, 1] is its confidence that there is a hand, ``side_chance`` that it is
    of the side that the crop was cut for (None: unknown). ``scale_m`` is the hand scale in metres with which a 2.5D network's
    relative depths were turned into joints (None: the joints were estimated in metres, and their scale bone gives it).

    ``groups`` (21,) is the learned group of each joint; ``heatmaps`` (21, h, w) float32 over the crop are
    filled only on request. So are the network's views of the crop: ``mask`` (h, w) in [0, 1], the confidence that a
    pixel is hand, and ``features`` (h, w, 3) uint8, its feature map in false colours.
    """

    score: float
    joints: HandJoints
    side_chance: float | None = None
    scale_m: float | None = None
    mesh: HandMesh | None = None
    groups: IntArray | None = None
    heatmaps: FloatArray | None = None
    mask: FloatArray | None = None
    features: UInt8Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandEstimate:
    """One tracked hand in one frame. ``track_id`` stays the same while the hand is followed."""

    track_id: int
    side: Side
    score: float
    box_xyxy_px: FloatArray
    joints: HandJoints
    crop: HandCrop | None = None
    mesh: HandMesh | None = None
    groups: IntArray | None = None
    heatmaps: FloatArray | None = None
    mask: FloatArray | None = None
    features: UInt8Array | None = None
    stage: Stage = "raw"

    @property
    def name(self) -> str:
        """The hand's name for the user."""
        return f"{self.side} #{self.track_id}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """All hands of one frame, with milliseconds per stage and the number of frames dropped before it.

    ``compared`` holds a second estimator's answers for the same tracks, if a comparison was requested, and ``compared_by`` its
    name.
    """

    frame: Frame
    hands: tuple[HandEstimate, ...]
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    dropped: int = 0
    estimator: str = ""
    compared: tuple[HandEstimate, ...] = ()
    compared_by: str = ""
