"""BVH: one hand's movement as a tree of 21 joints with local rotations, in centimetres, +y up, +z towards the viewer.

Each joint has the channels Zrotation Xrotation Yrotation (degrees, applied as Rz Rx Ry), and the wrist also its position. The
rest pose is a flat hand. If bone lengths change from frame to frame, as those of free landmarks do, so that rotations
alone would leave a joint more than three millimetres off in more than a twentieth of the frames, every joint also has its
position in its parent's frame, which replaces its OFFSET (as Blender and MotionBuilder read it; some readers add the two).

BVH has one constant rate. Frame i is the recording's frame i, unless the recording's rate is so uneven that a frame would
be more than one interval off its time: then the recording is resampled at the median interval. A hand that is out of sight keeps
its last pose, and before it comes into sight it has its first one.
"""

from __future__ import annotations

import glob
import warnings
from itertools import product
from typing import get_args

import numpy as np
from scipy.spatial.transform import Rotation

from handviz.errors import OutputError
from handviz.export.clip import HandClip
from handviz.export.clip_writer import ClipWriter
from handviz.export.files import clear_former
from handviz.geometry.camera import FloatArray
from handviz.geometry.kinematics import to_global, to_local
from handviz.hand.mirror import Side
from handviz.hand.skeleton import JOINT_NAMES, PARENTS

_CM = 100.0
# How every file written here begins.
_BEGIN = f"HIERARCHY\nROOT {JOINT_NAMES[0]}\n"
_MOST_FRAMES = 10_000_000
_MAX_ERROR_M, _FRAMES_WITHIN = 0.003, 0.95
_PLACE = "Xposition Yposition Zposition"
_TURN = "Zrotation Xrotation Yrotation"
# Half a turn about x takes the camera's frame (y down, z forward) to the file's (y up).
_FILE_FROM_CAMERA = np.diag([1.0, -1.0, -1.0])


class BvhWriter(ClipWriter):
    """Writes one file per hand when closed.

    ``name.bvh`` is the hand seen longest, ``name_left_hand.bvh`` and so on are the others. Such files from an earlier export
    are removed.
    """

    def _save(self, clips: list[HandClip], times_s: FloatArray) -> None:
        if len(times_s) > 1 and times_s[-1] - times_s[0] > _MOST_FRAMES * np.median(np.diff(times_s)):
            raise OutputError(f"{self._path} was not written: its frames are too far apart for one rate. Choose another format.")
        longest = max(clips, key=lambda clip: len(clip.t_s))
        for clip in clips:
            path = self._path if clip is longest else self._path.with_stem(f"{self._path.stem}_{clip.name}")
            self._put(path, bvh_text(clip, times_s).encode())
        written = {path.name for path in self.written}
        for side, number in product(get_args(Side), ("", "_[0-9]", "_[0-9][0-9]")):
            names = f"{glob.escape(self._path.stem)}_{side}_hand{number}{self._path.suffix}"
            clear_former(self._path.parent, names, written, _BEGIN)


def bvh_text(clip: HandClip, times_s: FloatArray) -> str:
    """Return the file of one clip; ``times_s`` are the times of all frames of the recording."""
    interval, ticks = _constant_rate(times_s)
    rows = np.maximum(np.searchsorted(clip.t_s, ticks, side="right") - 1, 0)
    R_local, x_local = to_local(_FILE_FROM_CAMERA @ clip.rotations_TJ33[rows], clip.joints_TJ3[rows] @ _FILE_FROM_CAMERA, PARENTS)
    offsets = np.median(x_local, 0)
    offsets[0] = 0.0
    places = not _rotations_suffice(R_local, x_local, offsets)
    lines = ["HIERARCHY", *_joint_lines(0, offsets, "", places=places)]
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {interval:.7f}"]
    values = _channel_values(R_local, x_local, places=places)
    lines += [" ".join(f"{value:.5f}" for value in row) for row in values]
    return "\n".join(lines) + "\n"


def _constant_rate(times_s: FloatArray) -> tuple[float, FloatArray]:
    """Return the file's interval, and for each of its frames the time up to which it uses the recording."""
    if len(times_s) < 2:
        return 1 / 30, times_s
    interval = float(times_s[-1] - times_s[0]) / (len(times_s) - 1)
    late = times_s - times_s[0] - interval * np.arange(len(times_s))
    if np.abs(late).max() <= interval:
        return interval, times_s
    interval = float(np.median(np.diff(times_s)))
    return interval, np.arange(times_s[0], times_s[-1] + interval / 2, interval) + interval / 2


def _rotations_suffice(R_local: FloatArray, x_local: FloatArray, offsets: FloatArray) -> bool:
    rigid = np.repeat(offsets[None], len(x_local), 0)
    rigid[:, 0] = x_local[:, 0]
    difference = to_global(R_local, rigid, PARENTS)[1] - to_global(R_local, x_local, PARENTS)[1]
    return bool(np.quantile(np.linalg.norm(difference, axis=-1).max(1), _FRAMES_WITHIN) <= _MAX_ERROR_M)


def _joint_lines(joint: int, offsets: FloatArray, indent: str, *, places: bool) -> list[str]:
    moves = joint == 0 or places
    channels = f"{_PLACE} {_TURN}" if moves else _TURN
    inner = indent + "\t"
    lines = [
        f"{indent}{'ROOT' if joint == 0 else 'JOINT'} {JOINT_NAMES[joint]}",
        indent + "{",
        f"{inner}OFFSET {_triple(offsets[joint])}",
        f"{inner}CHANNELS {6 if moves else 3} {channels}",
    ]
    children = [j for j in range(1, len(PARENTS)) if PARENTS[j] == joint]
    for child in children:
        lines += _joint_lines(child, offsets, inner, places=places)
    if not children:
        lines += [inner + "End Site", inner + "{", f"{inner}\tOFFSET 0.00000 0.00000 0.00000", inner + "}"]
    return [*lines, indent + "}"]


def _triple(point_m: FloatArray) -> str:
    return " ".join(f"{_CM * value:.5f}" for value in point_m)


def _file_order() -> list[int]:
    """Joints in the order in which the hierarchy names them (depth first)."""

    def below(joint: int) -> list[int]:
        return [joint] + [j for child in range(1, len(PARENTS)) if PARENTS[child] == joint for j in below(child)]

    return below(0)


def _channel_values(R_local: FloatArray, x_local: FloatArray, *, places: bool) -> FloatArray:
    with warnings.catch_warnings():
        # At gimbal lock (a right angle) SciPy warns that it sets one of the three angles to zero.
        warnings.simplefilter("ignore", UserWarning)
        euler = Rotation.from_matrix(R_local.reshape(-1, 3, 3)).as_euler("ZXY").reshape(*R_local.shape[:2], 3)
    turns = np.degrees(np.unwrap(euler, axis=0))
    columns = []
    for joint in _file_order():
        if joint == 0 or places:
            columns.append(_CM * x_local[:, joint])
        columns.append(turns[:, joint])
    return np.concatenate(columns, 1)
