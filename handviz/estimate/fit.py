"""Estimator ``fit``: a hand mesh fitted to MediaPipe's landmarks, warm-started from the last frame of the same track.

``handviz.estimate.groups_fit`` does the same with our own network's joints.

Its joints are those of the mesh, so that bones keep their lengths and fingers bend as fingers can. The person's shape is
a running average over the track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from handviz.crop import image_to_crop, params_from_crop, params_to_crop, resized
from handviz.estimate.base import Estimator, EstimatorOptions, held_shape
from handviz.estimate.mediapipe import MediaPipeEstimator, sized
from handviz.fit.fit import fit_hand
from handviz.fit.problem import FitResult, FitSettings, HandState, Observations
from handviz.fit.rig import rig_named
from handviz.geometry.camera import FloatArray, project
from handviz.hand.skeleton import ROOT, palm_length
from handviz.records import CropResult, HandCrop, HandJoints, HandMesh, HandParams

# A warm start that ends with an error above this fraction of the palm is repeated as a cold start.
LOST_PALM = 0.06
SHAPE_FRAMES = 90
# How far a given shape may still vary.
HELD_SIGMA = 0.01
_COLD = FitSettings(pose_prior=0.25, shape_sigma=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Standard deviations of landmarks, in fractions of the palm and in metres, divided by confidence to the power ``doubt``."""

    palm: float
    metres: float
    doubt: float = 0.0


# MediaPipe gives all its landmarks one confidence; metres were measured on photographs with ground truth.
_MEDIAPIPE = Trust(palm=0.030, metres=0.010)
_LEAST_CONFIDENCE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """What is kept for a track: the last parameters in the full camera's frame, the mean shape, and its number of frames."""

    params: HandParams
    shape: FloatArray
    frames: int


class FitEstimator:
    """A hand model fitted to another estimator's joints."""

    name = "fit"

    def __init__(
        self,
        options: EstimatorOptions | None = None,
        *,
        landmarks: Estimator | None = None,
        trust: Trust = _MEDIAPIPE,
        settings: FitSettings = _COLD,
    ) -> None:
        wanted = options or EstimatorOptions()
        self._landmarks, self._trust, self._settings = landmarks or MediaPipeEstimator(), trust, settings
        self.crop_spec = self._landmarks.crop_spec
        self.device = self._landmarks.device
        self._rig = rig_named(wanted.hand_model)
        self._memory: dict[int, _Memory] = {}
        self._take(wanted)
        self._warm_up()

    def estimate(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        """Estimate joints and mesh in each crop; see ``handviz.estimate.base``."""
        found = self._found(crops, track_ids)
        return [self._one(crop, result, track) for crop, result, track in zip(crops, found, track_ids, strict=True)]

    def glance(self, crops: Sequence[HandCrop]) -> list[CropResult]:
        """Return the landmarks alone; see ``handviz.estimate.base.Glancing``."""
        return self._landmarks.estimate(crops, [None] * len(crops))

    def _found(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> list[CropResult]:
        return self._landmarks.estimate(crops, track_ids)

    def adjust(self, options: EstimatorOptions) -> bool:
        """Take over other options from the next crop on; see ``handviz.estimate.base.Adjustable``."""
        if options.hand_model != self._options.hand_model:
            return False
        if options.hand_shape != self._options.hand_shape:
            self._memory.clear()
        self._take(options)
        return True

    def _take(self, options: EstimatorOptions) -> None:
        shape = held_shape(options)
        self._options, self._palm_m = options, options.hand_scale_m
        self._held = shape is not None
        self._cold = _holding(self._settings, shape)
        self._warm = replace(self._cold, hold_shape=0.25, iterations=12, tolerance=1e-3)

    def forget(self, track_id: int) -> None:
        """Drop what was kept for a lost track."""
        self._memory.pop(track_id, None)
        self._landmarks.forget(track_id)

    def _one(self, crop: HandCrop, result: CropResult, track: int | None) -> CropResult:
        memory = None if track is None else self._memory.get(track)
        seen, palm_px = _observations(crop, result.joints, self._trust)
        fitted = self._fit(seen, crop, memory, palm_px)
        if _is_lost(fitted, seen):
            # No mesh is better than one in the wrong place: the landmarks stay as they are.
            if track is not None:
                self._memory.pop(track, None)
            if self._palm_m is None or result.joints.scale_source == "user":
                return result
            return replace(result, joints=sized(result.joints, self._palm_m))
        if track is not None:
            self._memory[track] = _remember(memory, fitted.state.shape_BS[0], self._to_camera(crop, fitted.params(0)))
        return self._result(crop, result, fitted.params(0))

    def _fit(self, seen: Observations, crop: HandCrop, memory: _Memory | None, palm_px: float) -> FitResult:
        if memory is None:
            return fit_hand(seen, None, self._rig, self._cold)
        last = params_to_crop(crop, memory.params, self._rig.wrist(memory.params.shape))
        start = HandState.of(replace(last, shape=memory.shape))
        warm = fit_hand(seen, start, self._rig, self._warm)
        if residual_px(warm, seen) < LOST_PALM * palm_px:
            return warm
        again = self._cold if self._held else replace(self._cold, shape_mean=tuple(memory.shape), shape_sigma=0.25)
        cold = fit_hand(seen, None, self._rig, again)
        return cold if residual_px(cold, seen) < residual_px(warm, seen) else warm

    def _result(self, crop: HandCrop, result: CropResult, params: HandParams) -> CropResult:
        if self._palm_m is not None:
            params = resized(params, self._palm_m / float(palm_length(self._rig.mesh(params)[1])))
        vertices, joints = self._rig.mesh(params)
        # Q takes camera to crop; its transpose goes back, un-mirroring a left hand.
        joints_camera_m = joints @ crop.Q_crop_from_camera
        pixels = project(joints_camera_m, crop.camera.K)
        faces = self._rig.mirrored_F3 if crop.mirrored else self._rig.faces_F3
        return replace(
            result,
            scale_m=None,
            joints=HandJoints(
                joints_camera_m=joints_camera_m,
                # A joint that came out behind the camera is where it was seen.
                joints_px=np.where(np.isfinite(pixels), pixels, result.joints.joints_px),
                confidence=result.joints.confidence,
                scale_source="model" if self._palm_m is None else "user",
            ),
            mesh=HandMesh(
                vertices_camera_m=vertices @ crop.Q_crop_from_camera, faces=faces, params=self._to_camera(crop, params)
            ),
        )

    def _to_camera(self, crop: HandCrop, params: HandParams) -> HandParams:
        return params_from_crop(crop, params, self._rig.wrist(params.shape))

    def _warm_up(self) -> None:
        """Compile the solver now (seconds, once per installation) rather than on the first frame."""
        rest = HandParams(
            pose=np.zeros(45), shape=np.zeros(10), root_rotation=np.zeros(3), translation_m=np.array([0.0, 0.0, 0.5])
        )
        _, joints = self._rig.mesh(rest)
        fit_hand(Observations(K_B33=np.diag([200.0, 200.0, 1.0]), joints_m_BJ3=joints[None]), None, self._rig, self._warm)


def _holding(settings: FitSettings, shape: FloatArray | None) -> FitSettings:
    return settings if shape is None else replace(settings, shape_mean=tuple(shape), shape_sigma=HELD_SIGMA)


def residual_px(fitted: FitResult, seen: Observations) -> float:
    """Return the mean distance in pixels between fitted and seen joints of one hand."""
    assert seen.joints_px_BJ2 is not None
    return float(np.nanmean(np.linalg.norm(project(fitted.joints_BJ3[0], seen.K_B33) - seen.joints_px_BJ2[0], axis=-1)))


def _is_lost(fitted: FitResult, seen: Observations) -> bool:
    """Say whether a fit ended at a very different distance than the landmarks, as fists sometimes do, or behind the camera."""
    assert seen.joints_m_BJ3 is not None
    in_front = fitted.joints_BJ3[0][:, 2].min() > 0 and np.isfinite(fitted.joints_BJ3).all()
    ratio = fitted.joints_BJ3[0][ROOT, 2] / seen.joints_m_BJ3[0][ROOT, 2]
    return not (in_front and 0.5 < ratio < 2.0)


def _observations(crop: HandCrop, joints: HandJoints, trust: Trust) -> tuple[Observations, float]:
    """Return the solver's input, in the crop's camera, and the palm's length in crop pixels."""
    pixels = image_to_crop(joints.joints_px, crop.H_crop_from_image)
    metres = joints.joints_camera_m @ crop.Q_crop_from_camera.T
    # A palm that points at the camera is short; the hand's extent is not.
    palm_px = max(float(palm_length(pixels)), 0.4 * float(np.ptp(pixels, axis=0).max()), 1.0)
    doubt_1J = joints.confidence[None].clip(_LEAST_CONFIDENCE, 1.0) ** -trust.doubt
    seen = Observations(
        K_B33=crop.K_crop,
        joints_px_BJ2=pixels[None],
        joints_m_BJ3=metres[None],
        metres="relative",
        sigma_px_BJ=trust.palm * palm_px * doubt_1J,
        sigma_m_BJ=trust.metres * doubt_1J,
    )
    return seen, palm_px


def _remember(memory: _Memory | None, shape: FloatArray, params: HandParams) -> _Memory:
    if memory is None:
        return _Memory(params, shape, 1)
    frames = min(memory.frames + 1, SHAPE_FRAMES)
    return _Memory(params, memory.shape + (shape - memory.shape) / frames, frames)
