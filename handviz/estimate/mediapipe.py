"""Estimator ``mediapipe``: MediaPipe's own landmark network on our crops; the baseline the others are compared with.

The network comes from the same bundle as the detector's and is run with LiteRT, because the Tasks API always runs its
palm detector as well, which a tracked hand does not need (4 ms instead of 20 ms on two cores).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from handviz.crop import CropSpec, joints_from_crop
from handviz.errors import ModelFileError
from handviz.estimate.base import EstimatorOptions
from handviz.geometry.alignment import solve_translation
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import palm_length
from handviz.models.mediapipe_bundle import landmarks_network
from handviz.records import CropResult, HandCrop, HandJoints

INPUT_SIZE = 224
# Ratio of the window to the joints' extent at which the network agrees best with the complete Tasks graph.
EXPAND = 1.5


class MediaPipeEstimator:
    """MediaPipe's 21 landmarks; metres from its world landmarks or the user's palm, placed by the crop's intrinsics."""

    name = "mediapipe"
    device = "cpu"
    crop_spec = CropSpec(size=INPUT_SIZE, expand=EXPAND)

    def __init__(self, options: EstimatorOptions | None = None, *, threads: int = 2) -> None:
        self._palm_m = (options or EstimatorOptions()).hand_scale_m
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._net = Interpreter(model_content=landmarks_network(), num_threads=threads)
            self._net.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelFileError(f"the landmark network of the hand landmarker bundle does not load: {error}") from error
        self._input = self._net.get_input_details()[0]["index"]
        self._outputs = _outputs_by_role(self._net.get_output_details())

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate each crop; see ``handviz.estimate.base``."""
        return [self._one(crop) for crop in crops]

    def forget(self, track_id: int) -> None:
        """Nothing is kept between frames."""

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over another hand size; see ``handviz.estimate.base.Adjustable``. No other option concerns this network."""
        self._palm_m = options.hand_scale_m
        return True

    def _one(self, crop: HandCrop) -> CropResult:
        picture = crop.rgb if crop.size == INPUT_SIZE else cv2.resize(crop.rgb, (INPUT_SIZE, INPUT_SIZE))
        self._net.set_tensor(self._input, picture[None].astype(np.float32) / 255.0)
        self._net.invoke()
        screen, presence, world = (self._net.get_tensor(index)[0] for index in self._outputs)
        # The network's pixels are measured from the picture's edge.
        joints_crop_px = screen.reshape(21, 3)[:, :2].astype(float) * (crop.size / INPUT_SIZE) - 0.5
        score = float(np.clip(presence[0], 0.0, 1.0))
        joints = _place(crop, joints_crop_px, world.reshape(21, 3).astype(float), score)
        return CropResult(score=score, joints=joints if self._palm_m is None else sized(joints, self._palm_m))


def _place(crop: HandCrop, joints_crop_px: FloatArray, world_m: FloatArray, score: float) -> HandJoints:
    t = solve_translation(world_m, joints_crop_px, crop.K_crop)
    return joints_from_crop(crop, world_m + t, joints_crop_px, np.full(21, score))


def sized(joints: HandJoints, palm_m: float) -> HandJoints:
    """Return the hand with a palm of this length, further away by the same factor, so that its picture stays the same."""
    factor = palm_m / float(palm_length(joints.joints_camera_m))
    return replace(joints, joints_camera_m=joints.joints_camera_m * factor, scale_source="user")


def _outputs_by_role(details: Sequence[dict[str, object]]) -> tuple[int, int, int]:
    """Return tensor indices of (screen landmarks, presence, world landmarks), which the file keeps in this order."""
    ordered = sorted(details, key=lambda d: str(d["name"]))
    vectors = [d for d in ordered if list(d["shape"])[-1] == 63]  # type: ignore[call-overload]
    scalars = [d for d in ordered if list(d["shape"])[-1] == 1]  # type: ignore[call-overload]
    if len(vectors) != 2 or len(scalars) != 2:
        raise ModelFileError("the landmark network's outputs are not 21 landmarks, 21 world landmarks and two scores")
    return int(vectors[0]["index"]), int(scalars[0]["index"]), int(vectors[1]["index"])  # type: ignore[call-overload]
