"""A followed hand made steady: one One Euro filter for each thing that is known of it, at its own scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.geometry.kinematics import axis_angle, turn_by
from handviz.hand.mirror import mirror_points, needs_mirror
from handviz.hand.skeleton import WRIST, palm_length
from handviz.postprocess.one_euro import OneEuro, config_for
from handviz.records import HandEstimate, HandParams

# A leap between two frames of more than this share of a palm is a cut, or a move too quick to need smoothing.
LEAP_PALMS = 0.5
# What a palm's length is to a fingertip: metres, radians of a finger or of the wrist, shape values.
PALM_M, PALM_RAD, PALM_SHAPE = 0.09, 1.0, 10.0


class HandSmoother:
    """Smooths one track: pixels, the hand's place in space, and its form around the wrist.

    The form of a hand with a mesh is that of its parameters, from which joints and surface are made anew, so that the three
    never tell different hands; without one it is the joints themselves.
    """

    def __init__(self, strength: float, palm_px: float) -> None:
        self._last_px: FloatArray | None = None
        self._pixels = OneEuro(config_for(strength, max(palm_px, 1.0)))
        # Depth from one picture is far noisier than what is seen across it, so the place is held harder.
        self._place = OneEuro(config_for(min(strength + 0.15, 1.0), PALM_M))
        self._form = OneEuro(config_for(strength, PALM_M))
        self._pose = OneEuro(config_for(strength, PALM_RAD))
        self._turn = OneEuro(config_for(strength, PALM_RAD))
        self._shape = OneEuro(config_for(strength, PALM_SHAPE))

    def __call__(self, hand: HandEstimate, t_s: float) -> HandEstimate:
        """Return the hand with smoothed joints, and the mesh and its parameters that belong to them.

        After a leap of more than ``LEAP_PALMS`` between two frames the filters start anew.
        """
        joints = hand.joints
        if self._leaps(joints.joints_px):
            for one in (self._pixels, self._place, self._form, self._pose, self._turn, self._shape):
                one.reset()
        joints = replace(joints, joints_px=self._pixels(joints.joints_px, t_s))
        place = self._place(joints.joints_camera_m[WRIST], t_s)
        smooth = replace(hand, joints=joints, stage="smoothed")
        if hand.mesh is None:
            form = self._form(joints.joints_camera_m - joints.joints_camera_m[WRIST], t_s)
            return replace(smooth, joints=replace(joints, joints_camera_m=form + place))
        return _with_params(smooth, self._smooth_params(hand.mesh.params, t_s), place)

    def _leaps(self, joints_px: FloatArray) -> bool:
        last, self._last_px = self._last_px, joints_px
        if last is None:
            return False
        return float(np.median(np.linalg.norm(joints_px - last, axis=-1))) > LEAP_PALMS * float(palm_length(last))

    def _smooth_params(self, params: HandParams, t_s: float) -> HandParams:
        """Return parameters smoothed in pose, turn and shape; the place is not theirs to say."""
        # A turn's axis-angle leaps at half a turn; its matrix does not.
        turn = _nearest_rotation(self._turn(turn_by(params.root_rotation), t_s))
        shape = self._shape(np.append(params.shape, np.log(params.scale)), t_s)
        return replace(
            params,
            pose=self._pose(params.pose, t_s),
            shape=shape[:-1],
            scale=float(np.exp(shape[-1])),
            root_rotation=axis_angle(turn),
        )


def _nearest_rotation(matrix_33: FloatArray) -> FloatArray:
    U, _, Vt = np.linalg.svd(matrix_33)
    return np.asarray(U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt)


def _with_params(hand: HandEstimate, params: HandParams, wrist_m: FloatArray) -> HandEstimate:
    """Return the hand as these parameters make it, with its wrist joint (3,) at this place in the camera's frame."""
    from handviz.fit.rig import placed_hand, rig_named  # compiled code, which hands without a mesh do not need

    assert hand.mesh is not None
    rig, mirrored = rig_named(params.hand_model), needs_mirror(hand.side)
    wrist = mirror_points(wrist_m) if mirrored else wrist_m
    params = replace(params, translation_m=wrist - params.scale * rig.wrist(params.shape))
    mesh, joints = placed_hand(rig, params, mirrored=mirrored)
    return replace(
        hand,
        joints=replace(hand.joints, joints_camera_m=joints),
        mesh=replace(mesh, silhouette_iou=hand.mesh.silhouette_iou),
    )
