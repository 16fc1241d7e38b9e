"""From frames to clips: one hand followed through time, with the rotation of every joint.

A clip's joints are exactly the exported ``joints_camera_m``. In frames that have a mesh (of the hand model used most often) its
rotations come from the model's parameters, else from the bones (a bone does not determine a twist about itself, so none is
added). Frames in which a joint is unknown are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from handviz.export.poses import LoadModel, PoseFrame, PoseHand
from handviz.geometry.camera import FloatArray
from handviz.geometry.kinematics import rotations_from_joints
from handviz.hand.mirror import Side
from handviz.hand.skeleton import FINGER_JOINTS, INDEX_MCP, LITTLE_MCP, MIDDLE_MCP, PARENTS, WRIST
from handviz.records import HandParams


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandClip:
    """One hand through T frames. ``number`` counts the hands of its side from 1.

    ``t_s`` (T,) counts seconds from the recording's first frame; ``joints_TJ3`` (T, 21, 3) are metres in the camera's
    frame, ``rotations_TJ33`` (T, 21, 3, 3) turn the joints of the rest pose ``rest_J3`` (21, 3) into that frame.
    ``params`` holds the hand model's parameters of the frames that have a mesh, or is None when none has.
    """

    side: Side
    number: int
    t_s: FloatArray
    joints_TJ3: FloatArray
    rotations_TJ33: FloatArray
    rest_J3: FloatArray
    params: tuple[HandParams, ...] | None

    @property
    def name(self) -> str:
        """Name in the exported file."""
        return f"{self.side}_hand" if self.number == 1 else f"{self.side}_hand_{self.number}"


Row = tuple[float, PoseHand]


def clips_of(frames: Sequence[PoseFrame], load_model: LoadModel) -> list[HandClip]:
    """Return a clip for every hand that has a frame with all its joints, in order of appearance.

    Consecutive tracks of one side, as when a hand was lost and found again, count as one hand.
    """
    tracks: dict[tuple[int, Side], list[Row]] = {}
    for t_s, frame in zip(growing_times(frames).tolist(), frames, strict=True):
        for hand in frame.hands:
            if np.isfinite(hand.joints.joints_camera_m).all():
                tracks.setdefault((hand.track_id, hand.side), []).append((t_s, hand))
    hands: dict[Side, list[list[Row]]] = {}
    for (_, side), rows in tracks.items():
        same_side = hands.setdefault(side, [])
        free = next((earlier for earlier in same_side if earlier[-1][0] < rows[0][0]), None)
        if free is None:
            same_side.append(rows)
        else:
            free.extend(rows)
    return [_clip(side, i, rows, load_model) for side, found in hands.items() for i, rows in enumerate(found, 1)]


def growing_times(frames: Sequence[PoseFrame]) -> FloatArray:
    """Return the frames' times (T,) in seconds from the first; one that does not increase counts as a millisecond later."""
    times: list[float] = []
    for frame in frames:
        t_s = frame.t_s - frames[0].t_s
        times.append(max(t_s, times[-1] + 1e-3) if times else t_s)
    return np.array(times)


def _clip(side: Side, number: int, rows: Sequence[Row], load_model: LoadModel) -> HandClip:
    joints_TJ3 = np.stack([hand.joints.joints_camera_m for _, hand in rows]).astype(np.float64)
    models = Counter(hand.params.hand_model for _, hand in rows if hand.params is not None).most_common(1)
    of_model_T = np.array([hand.params is not None and hand.params.hand_model == models[0][0] for _, hand in rows])
    params = tuple(hand.params for (_, hand), is_of in zip(rows, of_model_T, strict=True) if is_of and hand.params is not None)
    if not params:
        rest_J3 = rest_from_joints(joints_TJ3)
        rotations = rotations_from_joints(joints_TJ3, rest_J3, PARENTS)
    else:
        from handviz.export.model_pose import joint_rotations, rest_hand  # loads torch

        model = load_model(params[0].hand_model)
        rest_J3 = rest_hand(model, params, side)[1]
        # In frames without a mesh, or of another hand model, rotations come from the bones.
        rotations = rotations_from_joints(joints_TJ3, rest_J3, PARENTS)
        rotations[of_model_T] = joint_rotations(model, params, side)
    return HandClip(
        side=side,
        number=number,
        t_s=np.array([t_s for t_s, _ in rows]),
        joints_TJ3=joints_TJ3,
        rotations_TJ33=rotations,
        rest_J3=rest_J3,
        params=params or None,
    )


def rest_from_joints(joints_TJ3: FloatArray) -> FloatArray:
    """Return a flat hand (21, 3) with a clip's own proportions, wrist at the origin, for hands without a model.

    Its axes are the model's: fingers along -x, the thumb's side +z. The palm is the median of those seen; fingers are
    straight, with median bone lengths; the thumb continues its first bone.
    """
    wrist_T13 = joints_TJ3[:, WRIST, None]
    seen_TJ3 = (joints_TJ3 - wrist_T13) @ _palm_axes(joints_TJ3)
    lengths_J = np.median(np.linalg.norm(joints_TJ3 - joints_TJ3[:, list(PARENTS)], axis=-1), 0)
    rest_J3 = np.zeros((len(PARENTS), 3))
    for finger, chain in FINGER_JOINTS.items():
        rest_J3[chain[0]] = np.median(seen_TJ3[:, chain[0]], 0)
        along = np.median(seen_TJ3[:, chain[1]] - seen_TJ3[:, chain[0]], 0) if finger == "thumb" else np.array([-1.0, 0.0, 0.0])
        along = along / max(float(np.linalg.norm(along)), 1e-9)
        for before, joint in pairwise(chain):
            rest_J3[joint] = rest_J3[before] + lengths_J[joint] * along
    return rest_J3


def _palm_axes(joints_TJ3: FloatArray) -> FloatArray:
    """Return (T, 3, 3) whose columns are the hand's own axes in the camera's frame."""
    x = joints_TJ3[:, WRIST] - joints_TJ3[:, MIDDLE_MCP]
    x = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    z = joints_TJ3[:, INDEX_MCP] - joints_TJ3[:, LITTLE_MCP]
    z = z - x * (x * z).sum(-1, keepdims=True)
    z = z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-9)
    return np.stack([x, np.cross(z, x), z], -1)
