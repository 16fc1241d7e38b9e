"""Hand files: the project's own format for a parametric hand, one ``.npz`` that holds arrays and nothing else.

Reading checks everything the rest of the program relies on, so that later code need not.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from handviz.errors import ModelFileError
from handviz.geometry.camera import FloatArray
from handviz.hand.mesh_check import IntArray, mesh_problem
from handviz.hand.skeleton import MANO_JOINT_NAMES

NUM_SHAPE = 10
NUM_POSE_DIRS = 135
NUM_MODEL_JOINTS = 16
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandArrays:
    """A hand model as plain arrays; see ``handviz.hand.model`` for their meaning, axes and units.

    ``texture_code`` holds the bytes of a PNG or JPEG picture, or is empty.
    """

    template_V3: FloatArray
    faces_F3: IntArray
    shape_dirs_V3S: FloatArray
    pose_dirs_V3P: FloatArray
    joint_regressor_JV: FloatArray
    skin_weights_VJ: FloatArray
    tip_vertices: IntArray
    uv_V2: FloatArray
    part_V: IntArray
    texture_code: npt.NDArray[np.uint8]
    shape_names: tuple[str, ...] = ()


# Exceptions that reading a damaged archive raises.
_DAMAGE = (
    OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError,
    SyntaxError, tokenize.TokenError,  # of a damaged array's header
)  # fmt: skip
# Every person's palm, wrist to middle knuckle, is of such a length; in a file with other units it is not.
PALM_LENGTH_M = (0.05, 0.15)
_ARRAY_FIELDS = (
    "template_V3",
    "faces_F3",
    "shape_dirs_V3S",
    "pose_dirs_V3P",
    "joint_regressor_JV",
    "skin_weights_VJ",
    "tip_vertices",
    "uv_V2",
    "part_V",
    "texture_code",
)


def hand_file_bytes(arrays: HandArrays) -> bytes:
    """Return a hand file's content; the same arrays always give the same bytes."""
    packed = io.BytesIO()
    content = {name: getattr(arrays, name) for name in _ARRAY_FIELDS}
    np.savez_compressed(
        packed,
        allow_pickle=False,
        format_version=np.array(FORMAT_VERSION),
        shape_names=np.array(arrays.shape_names, "U"),
        **content,
    )
    return packed.getvalue()


def read_hand_file(path: Path) -> HandArrays:
    """Read and check a hand file. Raises ModelFileError naming the file and what is wrong with it."""
    wanted = (*_ARRAY_FIELDS, "shape_names", "format_version")
    content = read_npz(path, wanted)
    if missing := [name for name in wanted if name not in content]:
        raise ModelFileError(
            f"{path}: not a hand file of this program: it lacks {', '.join(missing)}. Add the hand's original file."
        )
    if content.pop("format_version") != FORMAT_VERSION:
        raise ModelFileError(f"{path}: made by another version of this program. Add the hand again with 'handviz add-hand'.")
    names = tuple(str(name) for name in content.pop("shape_names").reshape(-1))
    arrays = HandArrays(shape_names=names, **content)
    check_hand(arrays, str(path))
    return arrays


def hand_digest(path: Path) -> str:
    """Return an identifier of the hand in a file: 12 digits of a hash of its arrays. Raises as ``read_npz`` does."""
    content = read_npz(path, _ARRAY_FIELDS)
    told = hashlib.sha256()
    for name in sorted(content):
        told.update(f"{name} {content[name].dtype} {content[name].shape}".encode() + content[name].tobytes())
    return told.hexdigest()[:12]


def read_npz(path: Path, names: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """Return those of the named arrays that an .npz holds. Raises ModelFileError when it is missing or damaged."""
    try:
        # Opened here, because np.load leaves a damaged archive open.
        with path.open("rb") as file, np.load(_archive(file), allow_pickle=False) as archive:
            return {name: archive[name] for name in names if name in archive.files}
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: there is no such hand file. Add the hand with 'handviz add-hand'.") from error
    except _DAMAGE as error:
        raise ModelFileError(f"{path}: a damaged hand file ({error}). Add the hand again with 'handviz add-hand'.") from error


def _archive(file: BinaryIO) -> BinaryIO:
    if not zipfile.is_zipfile(file):
        raise ValueError("not an archive")
    file.seek(0)
    return file


def check_hand(arrays: HandArrays, source: str) -> None:
    """Raise ModelFileError naming ``source`` unless the arrays form a usable hand model."""
    problem = _shape_problem(arrays) or _value_problem(arrays) or mesh_problem(arrays.template_V3, arrays.faces_F3)
    if problem is not None:
        raise ModelFileError(f"{source}: not a usable hand model: {problem}. Check that the file is complete.")


def palm_m(joints_J3: FloatArray) -> float:
    """Return the palm's length, wrist to middle knuckle, of joints (16, 3) in MANO's order."""
    return float(np.linalg.norm(joints_J3[MANO_JOINT_NAMES.index("middle_mcp")] - joints_J3[0]))


def palm_problem(joints_J3: FloatArray) -> str | None:
    """Return what is wrong with the size of joints (16, 3), in metres and MANO's order, or None."""
    palm = palm_m(joints_J3)
    return None if PALM_LENGTH_M[0] < palm < PALM_LENGTH_M[1] else f"its palm is {palm:.3g} m long, which is not a human size"


def decode_texture(code: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """Return the texture (H, W, 3) RGB, or None where the hand has none."""
    if code.size == 0:
        return None
    picture = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return None if picture is None else np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)


def _shape_problem(a: HandArrays) -> str | None:
    V, F = len(a.template_V3), len(a.faces_F3)
    expected = {
        "template_V3": (V, 3),
        "faces_F3": (F, 3),
        "shape_dirs_V3S": (V, 3, NUM_SHAPE),
        "pose_dirs_V3P": (V, 3, NUM_POSE_DIRS),
        "joint_regressor_JV": (NUM_MODEL_JOINTS, V),
        "skin_weights_VJ": (V, NUM_MODEL_JOINTS),
        "tip_vertices": (5,),
        "uv_V2": (V, 2),
        "part_V": (V,),
    }
    for name, shape in expected.items():
        if getattr(a, name).shape != shape:
            return f"{name} has shape {getattr(a, name).shape}, expected {shape}"
    for name in ("faces_F3", "tip_vertices", "part_V"):
        if getattr(a, name).dtype.kind not in "iu":
            return f"{name} must hold integers"
    return None


def _value_problem(a: HandArrays) -> str | None:
    for name in ("template_V3", "shape_dirs_V3S", "pose_dirs_V3P", "joint_regressor_JV", "skin_weights_VJ", "uv_V2"):
        array = getattr(a, name)
        if array.dtype.kind != "f":
            return f"{name} must hold floating-point numbers"
        if not np.isfinite(array).all():
            return f"{name} holds values that are not finite"
    if a.tip_vertices.min() < 0 or a.tip_vertices.max() >= len(a.template_V3):
        return "a fingertip refers to a vertex that does not exist"
    if a.skin_weights_VJ.min() < -1e-4 or np.abs(a.skin_weights_VJ.sum(1) - 1).max() > 1e-3:
        return "skin weights must be at least zero and sum to one at every vertex"
    if np.abs(a.joint_regressor_JV.sum(1) - 1).max() > 1e-2:
        return "every row of the joint regressor must sum to one"
    if problem := palm_problem(a.joint_regressor_JV @ a.template_V3):
        return problem
    if a.texture_code.size and decode_texture(a.texture_code) is None:
        return "its texture is not a readable picture"
    return None
