"""A rigged hand from a glTF file (OpenXR's 26 joints) as a hand model with MANO's axes, joints and flat zero pose.

So every pose, limit and gesture means the same for it as for the default hand. It has no shapes and no correctives.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from handviz.errors import SourceError
from handviz.geometry.camera import FloatArray
from handviz.hand.hand_file import NUM_MODEL_JOINTS, NUM_POSE_DIRS, NUM_SHAPE, HandArrays
from handviz.hand.model import PART_NAMES, HandModel
from handviz.hand.skeleton import FINGERS, MANO_JOINT_NAMES
from handviz.records import IntArray
from training.data.synth.gltf import SkinnedMesh, read_skinned_gltf

# The file's axes: fingers along -z, thumb's side +y, back of the hand +x.
_MODEL_FROM_FILE = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_SEGMENTS = {"mcp": "Proximal", "pip": "Intermediate", "dip": "Distal", "tip": "Tip"}
_THUMB_SEGMENTS = {"cmc": "Metacarpal", "mcp": "Proximal", "ip": "Distal", "tip": "Tip"}


def load_rigged_hand(path: Path, zero_pose_of: HandModel) -> HandModel:
    """Read a right hand from a glTF file and lay it into another hand's zero pose, bone by bone.

    Raises SourceError when the file can not be read or lacks a joint.
    """
    mesh = read_skinned_gltf(path)
    place = {name.removesuffix("_R"): i for i, name in enumerate(mesh.joint_names)}
    missing = [name for name in _file_names().values() if name not in place]
    if missing:
        raise SourceError(
            f"{path}: the rigged hand lacks the joints {', '.join(missing)}. Give the right hand of the OpenXR rig."
        )
    joints = {name: mesh.joints_J3[place[file]] @ _MODEL_FROM_FILE.T for name, file in _file_names().items()}
    weights = _weights_of_16(mesh, place)
    flat, joints_flat = _laid_flat(mesh.vertices_V3 @ _MODEL_FROM_FILE.T, weights, joints, zero_pose_of)
    move = _reference(zero_pose_of)["middle_mcp"] - joints_flat["middle_mcp"]
    flat = flat + move
    joints_flat = {name: x + move for name, x in joints_flat.items()}
    tips = [int(np.linalg.norm(flat - joints_flat[f"{finger}_tip"], axis=1).argmin()) for finger in FINGERS]
    return HandModel.from_arrays(path.stem, _arrays(mesh, flat, joints_flat, weights, np.array(tips)))


def _file_names() -> dict[str, str]:
    """Return the file's joint name for each of ours."""
    names = {"wrist": "Wrist"} | {f"thumb_{ours}": f"Thumb_{theirs}" for ours, theirs in _THUMB_SEGMENTS.items()}
    for finger in FINGERS[1:]:
        names |= {f"{finger}_{ours}": f"{finger.capitalize()}_{theirs}" for ours, theirs in _SEGMENTS.items()}
    return names


def _weights_of_16(mesh: SkinnedMesh, place: dict[str, int]) -> FloatArray:
    """Return weights (V, 16) in MANO's order: palm bones go to the wrist, tips to the last segment."""
    ours = {file: name for name, file in _file_names().items()}
    weights = np.zeros((len(mesh.vertices_V3), NUM_MODEL_JOINTS))
    for file, column in place.items():
        name = ours.get(file, "wrist")
        if name.endswith("_tip"):
            name = name.removesuffix("_tip") + ("_ip" if name.startswith("thumb") else "_dip")
        weights[:, MANO_JOINT_NAMES.index(name)] += mesh.weights_VJ[:, column]
    return weights


def _reference(model: HandModel) -> dict[str, FloatArray]:
    rest = model.joint_regressor_JV.double().numpy() @ model.template_V3.double().numpy()
    joints = dict(zip(MANO_JOINT_NAMES, rest, strict=True))
    for finger, vertex in zip(FINGERS, model.tip_vertices, strict=True):
        joints[f"{finger}_tip"] = model.template_V3[vertex].double().numpy()
    return joints


def _chain(finger: str) -> list[str]:
    return [f"{finger}_{part}" for part in (_THUMB_SEGMENTS if finger == "thumb" else _SEGMENTS)]


def _laid_flat(
    vertices: FloatArray, weights: FloatArray, joints: dict[str, FloatArray], zero_pose_of: HandModel
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Turn each bone by the shortest way into the direction that it has in the other hand's zero pose."""
    wanted = _reference(zero_pose_of)
    laid = {"wrist": joints["wrist"]}
    moved = weights[:, :1] * vertices
    for finger in FINGERS:
        chain = _chain(finger)
        laid[chain[0]] = joints[chain[0]]
        for here, after in itertools.pairwise(chain):
            R = _shortest_turn(joints[after] - joints[here], wanted[after] - wanted[here])
            laid[after] = laid[here] + R @ (joints[after] - joints[here])
            column = MANO_JOINT_NAMES.index(here)
            moved = moved + weights[:, column : column + 1] * ((vertices - joints[here]) @ R.T + laid[here])
    return moved, laid


def _shortest_turn(a: FloatArray, b: FloatArray) -> FloatArray:
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3)
    return np.asarray(Rotation.from_rotvec(axis / sine * np.arctan2(sine, a @ b)).as_matrix())


def _arrays(
    mesh: SkinnedMesh, flat: FloatArray, joints: dict[str, FloatArray], weights: FloatArray, tips: IntArray
) -> HandArrays:
    V = len(flat)
    return HandArrays(
        template_V3=flat,
        faces_F3=mesh.faces_F3,
        shape_dirs_V3S=np.zeros((V, 3, NUM_SHAPE)),
        pose_dirs_V3P=np.zeros((V, 3, NUM_POSE_DIRS)),
        joint_regressor_JV=_exact_regressor(flat, np.stack([joints[name] for name in MANO_JOINT_NAMES])),
        skin_weights_VJ=weights,
        tip_vertices=tips,
        uv_V2=mesh.uv_V2,
        part_V=_parts(weights),
        texture_code=np.zeros(0, np.uint8),
    )


def _exact_regressor(vertices: FloatArray, joints_J3: FloatArray) -> FloatArray:
    """Return the smallest weights (J, V) that sum to one and give exactly these joints."""
    lifted = np.concatenate([vertices.T, np.ones((1, len(vertices)))])
    wanted = np.concatenate([joints_J3.T, np.ones((1, len(joints_J3)))])
    return np.asarray((np.linalg.pinv(lifted) @ wanted).T)


def _parts(weights: FloatArray) -> IntArray:
    strongest = weights.argmax(1)
    kinds = {"cmc": "base", "mcp": "base", "pip": "middle", "dip": "end", "ip": "end"}
    labels = []
    for name in MANO_JOINT_NAMES:
        finger, _, part = name.partition("_")
        kind = "middle" if name == "thumb_mcp" else kinds.get(part, "")
        labels.append(PART_NAMES.index(f"{finger}_{kind}") if part else PART_NAMES.index("palm"))
    return np.array(labels)[strongest]
