"""Poses as tables: CSV for spreadsheets, NPZ for numpy."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from handviz.errors import OutputError
from handviz.export.files import append_whole, whole_file
from handviz.export.poses import PoseFrame, PoseHand
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import JOINT_NAMES

CSV_COLUMNS: tuple[str, ...] = (
    *("frame", "source", "t_s", "track_id", "side", "score", "box_x0_px", "box_y0_px", "box_x1_px", "box_y1_px"),
    *(f"{name}_{value}" for name in JOINT_NAMES for value in ("u_px", "v_px", "x_m", "y_m", "z_m", "confidence")),
    *("fx", "fy", "cx", "cy", "width", "height"),
)
_NO_K = np.full((3, 3), np.nan)


class CsvWriter:
    """One row per frame and hand; unknown numbers are empty fields. Metres are in the camera's frame.

    The last columns describe the camera: focal lengths and principal point in pixels (from ``K``; empty if it is unknown), and
    the picture's size.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise self._failed(error) from error
        self.written = (path,)
        self._put(CSV_COLUMNS)

    def write(self, frame: PoseFrame) -> None:
        """Append the rows of one frame."""
        for hand in frame.hands:
            self._put(_csv_row(frame, hand))

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def _put(self, row: Any) -> None:
        """Write a complete row, so that an interrupted run keeps its rows and a full disk leaves no partial one."""
        text = io.StringIO()
        csv.writer(text).writerow(row)
        # Picture names need not be valid text.
        line = text.getvalue().encode("utf-8", "backslashreplace")
        try:
            self._size = append_whole(self._file, line, self._size)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._path} cannot be written: {error.strerror}. Rows written so far are kept; choose a folder with room."
        )


def _csv_row(frame: PoseFrame, hand: PoseHand) -> list[Any]:
    joints = hand.joints
    values = np.concatenate([joints.joints_px, joints.joints_camera_m, joints.confidence[:, None]], 1)
    start = [frame.index, frame.source or "", f"{frame.t_s:.6f}", hand.track_id, hand.side, _field(hand.score, 4)]
    box = [_field(value, 2) for value in hand.box_xyxy_px]
    digits = (2, 2, 5, 5, 5, 4)
    points = [_field(value, n) for joint in values for value, n in zip(joint, digits, strict=True)]
    K = _NO_K if frame.K is None else frame.K
    lens = [_field(float(value), 2) for value in (K[0, 0], K[1, 1], K[0, 2], K[1, 2])]
    return start + box + points + lens + [frame.width, frame.height]


def _field(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


class NpzWriter:
    """Arrays over T frames and N hands (the most seen in one frame), padded with NaN; ``valid`` (T, N) says which are real.

    A hand's index among the N may change from frame to frame: ``track_id`` and ``side`` say which hand it is.

    ``frame``, ``t_s`` (T,); ``source`` (T,) text; ``size`` (T, 2) width, height; ``K`` (T, 3, 3) pixels, NaN if it is
    unknown; ``track_id``, ``side``, ``score`` (T, N); ``box_xyxy_px`` (T, N, 4); ``joints_px`` (T, N, 21, 2);
    ``joints_camera_m`` (T, N, 21, 3); ``confidence`` (T, N, 21); ``groups`` (T, N, 21), -1 if the estimator has none;
    ``mesh_valid`` (T, N) and the hand model's ``hand_model`` (T, N) name, ``pose``, ``shape``, ``root_rotation``,
    ``translation_m``, ``scale``, ``silhouette_iou``; ``joint_names`` (21,). Written when closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames: list[tuple[int, float, str, int, int]] = []
        self._K: list[FloatArray] = []
        self._hands: list[list[dict[str, Any]]] = []
        self._closed = False
        self.written: tuple[Path, ...] = ()

    def write(self, frame: PoseFrame) -> None:
        """Keep one frame."""
        self._frames.append((frame.index, frame.t_s, frame.source or "", frame.width, frame.height))
        self._K.append(_NO_K if frame.K is None else frame.K)
        self._hands.append([_labels_of(hand) | _numbers_of(hand) for hand in frame.hands])

    def close(self) -> None:
        """Write the file; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        packed = io.BytesIO()  # numpy leaves its zip file open if the disk is full
        np.savez_compressed(packed, **self._arrays())
        with whole_file(self._path) as file:
            file.write(packed.getbuffer())
        self.written = (self._path,)

    def _arrays(self) -> dict[str, Any]:
        frames, hands = len(self._frames), max((len(row) for row in self._hands), default=0)
        columns = list(zip(*self._frames, strict=True)) if frames else [()] * 5
        arrays: dict[str, Any] = {
            "frame": np.array(columns[0], np.int64),
            "t_s": np.array(columns[1], np.float64),
            "source": np.array(columns[2], np.str_),
            "size": np.array(columns[3:5], np.int64).T.reshape(frames, 2),
            "K": np.array(self._K, np.float64).reshape(frames, 3, 3),
            "joint_names": np.array(JOINT_NAMES),
            "valid": np.zeros((frames, hands), bool),
            "track_id": np.full((frames, hands), -1, np.int64),
            "side": np.full((frames, hands), "", "<U5"),
            "groups": np.full((frames, hands, len(JOINT_NAMES)), -1, np.int64),
            "hand_model": np.full((frames, hands), "", object),
        }
        arrays |= {key: np.full((frames, hands, *shape), np.nan, np.float32) for key, shape in _SHAPES.items()}
        for t, row in enumerate(self._hands):
            for n, values in enumerate(row):
                arrays["valid"][t, n] = True
                for key, value in values.items():
                    arrays[key][t, n] = value
        names = arrays["hand_model"].astype(np.str_)  # as wide as the longest; object arrays cannot be read without pickle
        return arrays | {"hand_model": names, "mesh_valid": np.isfinite(arrays["scale"])}


_SHAPES: dict[str, tuple[int, ...]] = {
    "score": (),
    "box_xyxy_px": (4,),
    "joints_px": (21, 2),
    "joints_camera_m": (21, 3),
    "confidence": (21,),
    "pose": (45,),
    "shape": (10,),
    "root_rotation": (3,),
    "translation_m": (3,),
    "scale": (),
    "silhouette_iou": (),
}


def _labels_of(hand: PoseHand) -> dict[str, Any]:
    found: dict[str, Any] = {"track_id": hand.track_id, "side": hand.side}
    if hand.groups is not None:
        found["groups"] = hand.groups
    if hand.params is not None:
        found["hand_model"] = hand.params.hand_model
    return found


def _numbers_of(hand: PoseHand) -> dict[str, FloatArray]:
    joints, params = hand.joints, hand.params
    found: dict[str, Any] = {
        "score": hand.score,
        "box_xyxy_px": hand.box_xyxy_px,
        "joints_px": joints.joints_px,
        "joints_camera_m": joints.joints_camera_m,
        "confidence": joints.confidence,
    }
    if params is not None:
        found |= {
            "pose": params.pose,
            "shape": params.shape,
            "root_rotation": params.root_rotation,
            "translation_m": params.translation_m,
            "scale": params.scale,
            "silhouette_iou": np.nan if hand.silhouette_iou is None else hand.silhouette_iou,
        }
    return {key: np.asarray(value, np.float32) for key, value in found.items()}
