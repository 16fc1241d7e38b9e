"""MANO's own file (Romero et al. 2017) as hand arrays. The file is licensed and never shipped; the user brings it.

The pickle's axes, joint order and triangle order are those of ``handviz.hand.model``. MANO has no fingertip joints: the
five vertices named here stand for them, the same choice as in most code. It has no texture either.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handviz.errors import ModelFileError
from handviz.geometry.camera import FloatArray
from handviz.hand.hand_file import NUM_MODEL_JOINTS, NUM_POSE_DIRS, NUM_SHAPE, HandArrays, read_npz
from handviz.hand.parts import part_labels
from handviz.hand.safe_pickle import read_plain_pickle

MANO_VERTICES, MANO_FACES = 778, 1538
# Thumb to little. Others use 744/320/443/555/672 (FreiHAND's authors) or 745/333/444/555/672: a few millimetres away.
MANO_TIPS = (745, 317, 444, 556, 673)
# People's hands vary by a twentieth in length and in width, with a correlation of a half or more: a covariance near 0.0015.
_CLEARLY_TOGETHER = 0.0002
_KEYS = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights")


def read_mano(path: Path) -> HandArrays:
    """Return the arrays of MANO_RIGHT.pkl or MANO_LEFT.pkl, or of an .npz with their keys, as a right hand.

    It is flat at zero pose (``flat_hand_mean=True``; poses relative to MANO's mean pose need that added). Raises
    ModelFileError naming what is missing or has the wrong shape.
    """
    content = read_npz(path, _KEYS) if path.suffix.lower() == ".npz" else read_plain_pickle(path, _KEYS)
    if not isinstance(content, dict):
        raise ModelFileError(f"{path}: not a MANO file: it holds no dictionary. Give MANO_RIGHT.pkl.")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ModelFileError(f"{path}: not a MANO file: it lacks {', '.join(missing)}. Give MANO_RIGHT.pkl.")
    arrays = {key: _numbers(content[key], key, path) for key in _KEYS}
    _check_shapes(arrays, path)
    if _is_left(arrays["v_template"], arrays["J_regressor"]):
        arrays = _mirrored(arrays)
    return HandArrays(
        template_V3=arrays["v_template"],
        faces_F3=arrays["f"].astype(np.int64),
        shape_dirs_V3S=arrays["shapedirs"][..., :NUM_SHAPE],
        pose_dirs_V3P=arrays["posedirs"],
        joint_regressor_JV=arrays["J_regressor"],
        skin_weights_VJ=arrays["weights"],
        tip_vertices=np.array(MANO_TIPS),
        uv_V2=np.zeros((MANO_VERTICES, 2)),
        part_V=part_labels(arrays["weights"]),
        texture_code=np.zeros(0, np.uint8),
        shape_names=tuple(f"MANO component {k + 1}" for k in range(NUM_SHAPE)),
    )


def _numbers(value: object, key: str, path: Path) -> FloatArray:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fiu":
        raise ModelFileError(f"{path}: '{key}' holds no numbers. Copy or download the file again.")
    return array.astype(np.float64)


def _check_shapes(arrays: dict[str, FloatArray], path: Path) -> None:
    expected = {
        "v_template": (MANO_VERTICES, 3),
        "f": (MANO_FACES, 3),
        "posedirs": (MANO_VERTICES, 3, NUM_POSE_DIRS),
        "J_regressor": (NUM_MODEL_JOINTS, MANO_VERTICES),
        "weights": (MANO_VERTICES, NUM_MODEL_JOINTS),
    }
    for key, shape in expected.items():
        if arrays[key].shape != shape:
            raise ModelFileError(f"{path}: '{key}' has shape {arrays[key].shape}, expected {shape}. Give MANO_RIGHT.pkl.")
    dirs = arrays["shapedirs"].shape
    if len(dirs) != 3 or dirs[:2] != (MANO_VERTICES, 3) or dirs[2] < NUM_SHAPE:
        raise ModelFileError(
            f"{path}: 'shapedirs' has shape {dirs}, expected ({MANO_VERTICES}, 3, {NUM_SHAPE}). Give MANO_RIGHT.pkl."
        )


def _is_left(template_V3: FloatArray, regressor_JV: FloatArray) -> bool:
    """A left hand's fingers point along +x: its middle MCP lies beyond its wrist."""
    joints = regressor_JV @ template_V3
    return bool(joints[4, 0] > joints[0, 0])


def _longer_and_wider(arrays: dict[str, FloatArray]) -> float:
    """Return the covariance of a hand's length and width over its shape values, both relative to the mean hand's.

    Long hands are also wide, whatever the choice of components; with x the wrong way round they seem narrow.
    """
    from_middle_V3 = arrays["v_template"] - arrays["v_template"].mean(0)
    growth_3S = np.einsum("va,vas->as", from_middle_V3, arrays["shapedirs"][..., :NUM_SHAPE])
    growth_3S /= (from_middle_V3**2).sum(0)[:, None]
    return float(growth_3S[0] @ growth_3S[2])


def _mirrored(arrays: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the right hand whose mirror image at x = 0 this left hand is.

    MANO_LEFT's shape directions are known not to be mirrored in x, so they stay as they are, except in a copy in which someone
    has corrected that.
    """
    flip = np.array([-1.0, 1.0, 1.0])
    out = dict(arrays)
    if _longer_and_wider(arrays) > _CLEARLY_TOGETHER:
        out["shapedirs"] = arrays["shapedirs"] * flip[None, :, None]
    out["v_template"] = arrays["v_template"] * flip
    out["f"] = arrays["f"][:, ::-1]
    # A mirrored rotation is R' = S R S, so those of the nine pose features change sign in which S contributes one -1.
    signs = np.outer(flip, flip).reshape(9)
    out["posedirs"] = arrays["posedirs"] * flip[None, :, None] * np.tile(signs, 15)
    return out
