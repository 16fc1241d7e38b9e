"""JSON lines: one object per frame, the format of ``handviz process`` and the one other exports can be made from.

Keys of a line: ``frame``, ``source``, ``t_s``, ``width``, ``height``, ``K`` and ``hands``; of a hand: ``track_id``, ``side``,
``score``, ``box_xyxy_px``, ``joints_px`` [21][2], ``joints_camera_m`` [21][3], ``confidence`` [21], ``mesh`` (null, or the
hand model's parameters, its name and its file's ``hand_digest``) and, if the estimator has groups, ``groups`` [21]. Joints
are in the project's order. ``K`` [3][3] takes metres to pixels of the picture, turned upright and with calibrated distortion
removed; the centre of its first pixel is (0, 0). Files of earlier versions lack ``K`` and the digest.

An unknown number (NaN) is written as null in its own place, so that every list keeps its length;
a mesh with a parameter that is not finite is written as null. Pixels are rounded to 0.01, metres to 0.00001.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from handviz.errors import OutputError, SourceError
from handviz.export.files import append_whole
from handviz.export.poses import PoseFrame, PoseHand, pose_frame
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import NUM_JOINTS
from handviz.records import FrameResult, HandJoints, HandParams

_PX_DIGITS, _METRE_DIGITS, _UNIT_DIGITS = 2, 5, 4
# No number in a recording is larger than this, unless the file is damaged.
_LARGEST = 1e12


class JsonlWriter:
    """Writes one line per frame; each line is in the file when ``write`` returns, so an interrupted run keeps valid lines.

    Raises OutputError if the file cannot be opened or written; a line that did not fit is removed again.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self.frames = 0
        self._size = 0
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror}. Choose a file in a folder that exists and is writable."
            ) from error

    def __enter__(self) -> JsonlWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def written(self) -> tuple[Path, ...]:
        """The file, once it holds a frame."""
        return (self._path,) if self.frames else ()

    def write(self, result: FrameResult | PoseFrame) -> None:
        """Append one frame."""
        frame = result if isinstance(result, PoseFrame) else pose_frame(result)
        line = json.dumps(to_json(frame), separators=(", ", ": "), allow_nan=False).encode() + b"\n"
        try:
            self._size = append_whole(self._file, line, self._size)
        except OSError as error:
            raise OutputError(
                f"{self._path} could not be written any further: {error.strerror}. "
                f"The {self.frames} frames before that are kept; make room and run again."
            ) from error
        self.frames += 1

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        self._file.close()


def to_json(frame: PoseFrame) -> dict[str, Any]:
    """Return one frame as the object of its line."""
    return {
        "frame": frame.index,
        "source": frame.source,
        "t_s": round(frame.t_s, 6),
        "width": frame.width,
        "height": frame.height,
        **({} if frame.K is None else {"K": _numbers(frame.K, _PX_DIGITS)}),
        "hands": [_hand_to_json(hand) for hand in frame.hands],
    }


def _hand_to_json(hand: PoseHand) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "track_id": hand.track_id,
        "side": hand.side,
        "score": _number(hand.score),
        "box_xyxy_px": _numbers(hand.box_xyxy_px, _PX_DIGITS),
        "joints_px": _numbers(hand.joints.joints_px, _PX_DIGITS),
        "joints_camera_m": _numbers(hand.joints.joints_camera_m, _METRE_DIGITS),
        "confidence": _numbers(hand.joints.confidence, _UNIT_DIGITS),
        "mesh": _mesh_to_json(hand),
    }
    if hand.groups is not None:
        entry["groups"] = [int(group) for group in hand.groups]
    return entry


def _mesh_to_json(hand: PoseHand) -> dict[str, Any] | None:
    params = hand.params
    if params is None:
        return None
    arrays = (params.pose, params.shape, params.root_rotation, params.translation_m)
    if not all(np.isfinite(array).all() for array in arrays) or not math.isfinite(params.scale):
        return None
    pose, shape, rotation = (_numbers(array, _METRE_DIGITS) for array in arrays[:3])
    return {
        "pose": pose,
        "shape": shape,
        "global": {
            "rotation": rotation,
            "translation_m": _numbers(params.translation_m, _METRE_DIGITS),
            "scale": round(float(params.scale), _METRE_DIGITS),
        },
        "hand_model": params.hand_model,
        **({} if hand.hand_digest is None else {"hand_digest": hand.hand_digest}),
        "silhouette_iou": None if hand.silhouette_iou is None else _number(hand.silhouette_iou),
    }


def _number(value: float) -> float | None:
    return round(float(value), _UNIT_DIGITS) if math.isfinite(value) else None


def _numbers(array: FloatArray, digits: int) -> list[Any]:
    rounded = np.round(np.asarray(array, np.float64), digits)
    if np.isfinite(rounded).all():
        return list(rounded.tolist())
    with_gaps = rounded.astype(object)
    with_gaps[~np.isfinite(rounded)] = None
    return list(with_gaps.tolist())


def read_jsonl(path: Path | str) -> Iterator[PoseFrame]:
    """Yield the frames of a file that ``JsonlWriter`` wrote; null becomes NaN.

    An incomplete last line (of a run that was killed) is left out. Raises SourceError that names the line that is wrong.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n") and not _is_json(line):
                    return
                if line.strip():
                    yield _parse_line(path, number, line)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Give a file that `handviz process` wrote.") from error


def is_cut_off(path: Path) -> bool:
    """Say whether a file's last line is incomplete, and so left out when reading."""
    with path.open("rb") as file:
        file.seek(-min(1, file.seek(0, os.SEEK_END)), os.SEEK_END)
        if file.read(1) == b"\n":
            return False
        file.seek(0)
        last = b""
        for line in file:
            last = line
    return not last.endswith(b"\n") and not _is_json(last)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _parse_line(path: Path, number: int, line: bytes) -> PoseFrame:
    try:
        return from_json(json.loads(line))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        reason = "it is not JSON"
    except KeyError as error:
        reason = f"{error.args[0]} is missing"
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        reason = str(error)
    raise SourceError(f"{path}, line {number}, is not a frame of hands: {reason}. Give a file that `handviz process` wrote.")


def from_json(entry: dict[str, Any]) -> PoseFrame:
    """Return the frame that a line's object describes.

    Raises KeyError, TypeError, ValueError, AttributeError or OverflowError if it is not a frame.
    """
    if not isinstance(entry["hands"], list):
        raise ValueError("hands is not a list")
    return PoseFrame(
        index=_whole(entry, "frame"),
        source=None if entry["source"] is None else _text(entry, "source"),
        t_s=_real(entry, "t_s"),
        width=_whole(entry, "width"),
        height=_whole(entry, "height"),
        hands=tuple(_hand_from_json(hand) for hand in entry["hands"]),
        K=None if entry.get("K") is None else _array(entry, "K", (3, 3)),
    )


def _hand_from_json(entry: dict[str, Any]) -> PoseHand:
    if entry["side"] not in ("left", "right"):
        raise ValueError(f"side is {reprlib.repr(entry['side'])}, neither left nor right")
    mesh = entry.get("mesh")
    return PoseHand(
        track_id=_whole(entry, "track_id"),
        side=entry["side"],
        score=math.nan if entry["score"] is None else _real(entry, "score"),
        box_xyxy_px=_array(entry, "box_xyxy_px", (4,)),
        joints=HandJoints(
            joints_camera_m=_array(entry, "joints_camera_m", (NUM_JOINTS, 3)),
            joints_px=_array(entry, "joints_px", (NUM_JOINTS, 2)),
            confidence=_array(entry, "confidence", (NUM_JOINTS,)),
        ),
        groups=_known(entry, "groups", (NUM_JOINTS,)).astype(np.int64) if "groups" in entry else None,
        params=None if mesh is None else _params_from_json(mesh),
        hand_digest=None if mesh is None or mesh.get("hand_digest") is None else _text(mesh, "hand_digest"),
        silhouette_iou=None if mesh is None or mesh.get("silhouette_iou") is None else _real(mesh, "silhouette_iou"),
    )


def _params_from_json(mesh: dict[str, Any]) -> HandParams:
    return HandParams(
        pose=_known(mesh, "pose", (45,)),
        shape=_known(mesh, "shape", (10,)),
        root_rotation=_known(mesh["global"], "rotation", (3,)),
        translation_m=_known(mesh["global"], "translation_m", (3,)),
        scale=_real(mesh["global"], "scale"),
        hand_model=_text(mesh, "hand_model"),
    )


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str):
        raise ValueError(f"{key} is {reprlib.repr(value)}, not a string")
    return value


def _whole(entry: dict[str, Any], key: str) -> int:
    value = entry[key]
    if type(value) is not int or abs(value) > _LARGEST:
        raise ValueError(f"{key} is {reprlib.repr(value)}, not a whole number")
    return value


def _real(entry: dict[str, Any], key: str) -> float:
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ValueError(f"{key} is {reprlib.repr(value)}, not a number")
    return float(value)


def _array(entry: dict[str, Any], key: str, shape: tuple[int, ...]) -> FloatArray:
    """Return an array of this shape, with NaN (unknown) for null."""
    found = np.array(entry[key])
    if found.shape != shape:
        raise ValueError(f"{key} has shape {found.shape}, not {shape}")
    numbers = all(value is None or isinstance(value, int | float) for value in found.flat) if found.dtype == object else True
    if not numbers or found.dtype.kind not in "ifO":
        raise ValueError(f"{key} holds something other than numbers")
    array = found.astype(np.float64)
    if (np.abs(array) > _LARGEST).any():
        raise ValueError(f"{key} holds a number that is too large")
    return array


def _known(entry: dict[str, Any], key: str, shape: tuple[int, ...]) -> FloatArray:
    """Return an array of this shape in which no number may be unknown."""
    array = _array(entry, key, shape)
    if np.isnan(array).any():
        raise ValueError(f"{key} has an unknown number (null)")
    return array
