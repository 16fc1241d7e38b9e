"""Smoothing of a tracked hand: one One Euro filter for each of its quantities, at that quantity's scale."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from handviz.geometry.camera import FloatArray, project, unproject
from handviz.geometry.kinematics import axis_angle, turn_by
from handviz.hand.mirror import mirror_points, needs_mirror
from handviz.hand.skeleton import WRIST, palm_length
from handviz.postprocess.one_euro import OneEuro, config_for
from handviz.records import HandEstimate, HandJoints, HandParams

# A leap between two frames of more than this fraction of a palm is a cut, or a movement too quick to need smoothing.
LEAP_PALMS = 0.5
# What moves a fingertip by a palm's length: metres, radians of a finger or of the wrist, shape values.
PALM_M, PALM_RAD, PALM_SHAPE = 0.09, 1.0, 10.0
# The change of the logarithm of depth that corresponds to a palm's length across the picture, at arm's length.
PALM_LOG_DEPTH = 0.25
# How far a movement of one palm length per second opens the filters, in Hz. Motion across the picture is the most reliable, and a
# lag shows there; the form is smoothed more, because it is noisier. ARCHITECTURE has the numbers.
SEEN_HZ, FORM_HZ = 12.0, 4.0
NEAREST_M = 1e-3
# Used if the depth is unknown.
USUAL_PALM_PX = 80.0
# Joints whose projections are nearer than this to their pixels are consistent with them.
SAME_PX = 0.5


class HandSmoother:
    """Smooths one track: pixels, the hand's position in space, and its form around the wrist.

    The form of a hand with a mesh is given by its parameters, and its position by the mean of the smoothed pixels at a smoothed
    depth; joints, pixels and surface are recomputed from these, so that they always agree. Without a mesh the form is given by
    the joints themselves.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._last_px: FloatArray | None = None
        self._pixels = OneEuro(config_for(strength, USUAL_PALM_PX, SEEN_HZ))
        # Depth from one picture is far noisier than motion across it, so the position is smoothed more.
        hard = min(strength + 0.15, 1.0)
        self._place = OneEuro(config_for(hard, PALM_M, FORM_HZ))
        self._depth = OneEuro(config_for(hard, PALM_LOG_DEPTH, FORM_HZ))
        self._form = OneEuro(config_for(strength, PALM_M, FORM_HZ))
        self._pose = OneEuro(config_for(strength, PALM_RAD, FORM_HZ))
        self._turn = OneEuro(config_for(strength, PALM_RAD, FORM_HZ))
        self._shape = OneEuro(config_for(strength, PALM_SHAPE, FORM_HZ))

    def __call__(self, hand: HandEstimate, t_s: float, K: FloatArray) -> HandEstimate:
        """Return the hand seen by a camera ``K`` with smoothed joints, and the mesh and its parameters that belong to them.

        After a leap of more than ``LEAP_PALMS`` between two frames the filters restart.
        """
        palm_px = _palm_px(hand.joints, K)
        if self._leaps(hand.joints.joints_px, palm_px):
            for one in (self._pixels, self._place, self._depth, self._form, self._pose, self._turn, self._shape):
                one.reset()
        if palm_px > 0:
            # A nearer hand moves and jitters by more pixels.
            self._pixels.config = config_for(self._strength, max(palm_px, 1.0), SEEN_HZ)
        smooth = replace(hand, stage="smoothed", joints=self._smooth_joints(hand, t_s, K))
        if hand.mesh is None:
            return smooth
        log_depth = np.log(np.maximum(hand.joints.joints_camera_m[WRIST, 2], NEAREST_M))
        depth_m = np.exp(self._depth(np.full((1, 1), log_depth), t_s)[0, 0])
        return _with_params(smooth, self._smooth_params(hand.mesh.params, t_s), depth_m, K)

    def _smooth_joints(self, hand: HandEstimate, t_s: float, K: FloatArray) -> HandJoints:
        """Return joints smoothed in pixels and, for a hand without a mesh, in space.

        If the camera ``K`` projects the given joints to the given pixels, it projects the smoothed ones to the smoothed pixels.
        """
        joints = replace(hand.joints, joints_px=self._pixels(hand.joints.joints_px, t_s))
        if hand.mesh is not None:
            return joints
        wrist = joints.joints_camera_m[WRIST]
        smooth_m = self._form(joints.joints_camera_m - wrist, t_s) + self._place(wrist[None], t_s)
        if _is_where_it_is_seen(hand.joints, K):
            smooth_m = unproject(joints.joints_px, np.maximum(smooth_m[:, 2], NEAREST_M), K)
        return replace(joints, joints_camera_m=smooth_m)

    def _leaps(self, joints_px: FloatArray, palm_px: float) -> bool:
        last, self._last_px = self._last_px, joints_px
        if last is None:
            return False
        # A palm that points at the camera appears very short.
        palm_px = max(palm_px, float(palm_length(last)))
        return float(np.median(np.linalg.norm(joints_px - last, axis=-1))) > LEAP_PALMS * palm_px

    def _smooth_params(self, params: HandParams, t_s: float) -> HandParams:
        """Return parameters smoothed in pose, rotation and shape; the position is set elsewhere."""
        # A rotation's axis-angle jumps at half a turn; its matrix does not.
        turn = self._turn(turn_by(params.root_rotation).reshape(1, 9), t_s)
        # Shape values are independent of one another.
        shape = self._shape(np.append(params.shape, np.log(params.scale))[:, None], t_s)[:, 0]
        return replace(
            params,
            pose=self._pose(params.pose.reshape(-1, 3), t_s).ravel(),
            shape=shape[:-1],
            scale=float(np.exp(shape[-1])),
            root_rotation=axis_angle(_nearest_rotation(turn.reshape(3, 3))),
        )


def _palm_px(joints: HandJoints, K: FloatArray) -> float:
    """Return how many pixels long the palm would appear if it faced the camera, 0 if the depth is unusable."""
    depth_m = float(joints.joints_camera_m[WRIST, 2])
    palm_m = float(palm_length(joints.joints_camera_m))
    return float(K[0, 0]) * palm_m / depth_m if depth_m > NEAREST_M and math.isfinite(palm_m / depth_m) else 0.0


def _is_where_it_is_seen(joints: HandJoints, K: FloatArray) -> bool:
    """Say whether joints project onto their pixels. MediaPipe's do not: its metres and its pixels are estimated separately."""
    off_px = np.abs(project(joints.joints_camera_m, K) - joints.joints_px)
    return bool(np.isfinite(off_px).all() and off_px.max() < SAME_PX)


def _nearest_rotation(matrix_33: FloatArray) -> FloatArray:
    U, _, Vt = np.linalg.svd(matrix_33)
    return np.asarray(U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt)


def _with_params(hand: HandEstimate, params: HandParams, depth_m: FloatArray, K: FloatArray) -> HandEstimate:
    """Return the hand rebuilt from these parameters, with its wrist at this depth (scalar), centred on the pixels that it has.

    A joint that ends up behind the camera keeps its pixels.
    """
    from handviz.fit.rig import placed_hand, rig_named  # compiled code, which hands without a mesh do not need

    assert hand.mesh is not None
    rig, mirrored = rig_named(params.hand_model), needs_mirror(hand.side)
    wrist = unproject(hand.joints.joints_px[WRIST], depth_m, K)
    wrist = mirror_points(wrist) if mirrored else wrist
    params = replace(params, translation_m=wrist - params.scale * rig.wrist(params.shape))
    mesh, joints = placed_hand(rig, params, mirrored=mirrored)
    shift = _shift_to(hand.joints.joints_px, joints, K)
    joints = joints + shift
    pixels = project(joints, K)
    pixels = np.where(np.isfinite(pixels), pixels, hand.joints.joints_px)
    params = replace(params, translation_m=params.translation_m + (mirror_points(shift) if mirrored else shift))
    return replace(
        hand,
        joints=replace(hand.joints, joints_camera_m=joints, joints_px=pixels),
        mesh=replace(
            mesh,
            vertices_camera_m=mesh.vertices_camera_m + shift,
            params=params,
            silhouette_iou=hand.mesh.silhouette_iou,
        ),
    )


def _shift_to(pixels: FloatArray, joints_m: FloatArray, K: FloatArray) -> FloatArray:
    """Return the shift (3,) across the picture that brings joints (21, 3) to these pixels (21, 2) on average."""
    off = pixels - project(joints_m, K)
    seen = np.isfinite(off).all(-1)
    if not seen.any():
        return np.zeros(3)
    return np.append(off[seen].mean(0) / [K[0, 0], K[1, 1]], 0.0) * joints_m[seen, 2].mean()
