"""Convert a rigged glTF hand with OpenXR's 26 joints to hand arrays: turn it to the model's axes, lay it flat, add proportions.

Such a hand has its own rest pose. It is laid flat once: each bone is turned to the direction that the default hand's bone has
at zero pose; after that the same 45 values bend both hands alike. Proportions and pose correctives, which a rig lacks, are
carried over from the nearest skin of the default hand.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from handviz.errors import ModelFileError
from handviz.geometry.camera import FloatArray
from handviz.geometry.kinematics import swing_between
from handviz.hand.gltf_file import SkinnedMesh, read_skinned_mesh
from handviz.hand.hand_file import HandArrays, palm_m, palm_problem
from handviz.hand.parts import part_labels
from handviz.hand.regressor import joint_regressor
from handviz.hand.skeleton import FINGERS, MANO_AND_TIP_NAMES, MANO_JOINT_NAMES, MANO_PARENTS

# OpenXR's names (XR_EXT_hand_tracking) for MANO's parts of a finger.
_OPENXR_PART = {"mcp": "proximal", "pip": "intermediate", "dip": "distal"}
_OPENXR_THUMB_PART = {"cmc": "metacarpal", "mcp": "proximal", "ip": "distal"}
# Words in bone names that do not distinguish one joint from another.
_ORNAMENT = {"l", "r", "left", "right", "xr", "hand", "finger", "phalanx", "bone"}
# Below this average offset of a resting hand's tips towards the palm, its shape does not tell left from right.
_CLEARLY_BENT_M = 0.004
# Allowed size in palm lengths: a hand is two palms long; some files include a forearm.
_PALMS_IN_HAND = (1.3, 8.0)
_TEXTURE_SIDE = 1024


def read_gltf_hand(path: Path, like: HandArrays, texture: Path | None = None) -> HandArrays:
    """Return the arrays of a rigged glTF hand, left or right, as a right hand flat at zero pose.

    ``like`` is the hand whose zero pose, proportions and correctives are taken over; ``texture`` is a picture for it, where
    the file has none. Of several meshes, the first with a hand's bones is read. Raises ModelFileError when joints are missing or
    the hand is not of human size.
    """
    mesh = read_skinned_mesh(path, is_hand, with_picture=texture is None)
    bone_of = bones_of(mesh, path)
    rest_J3 = np.stack([mesh.bone_places[bone_of[name]] for name in MANO_JOINT_NAMES])
    tips_53 = np.stack([mesh.bone_places[bone_of[f"{finger}_tip"]] for finger in FINGERS])
    metres = _unit_m(rest_J3)
    points, triangles = mesh.points * metres, mesh.triangles
    rest_J3, tips_53 = rest_J3 * metres, tips_53 * metres
    _check_size(rest_J3, points, path)
    if _is_left(mesh, rest_J3, tips_53, path):
        flip = np.array([-1.0, 1.0, 1.0])
        points, rest_J3, tips_53, triangles = points * flip, rest_J3 * flip, tips_53 * flip, triangles[:, ::-1]
    like_J3 = like.joint_regressor_JV @ like.template_V3
    R, origin = _palm_frame(like_J3).T @ _palm_frame(rest_J3), rest_J3[0]
    points, rest_J3, tips_53 = ((x - origin) @ R.T + like_J3[0] for x in (points, rest_J3, tips_53))
    weights = model_weights(mesh, bone_of)
    flat_V3, flat_J3 = laid_flat(points, weights, rest_J3, tips_53, like_J3, like.template_V3[like.tip_vertices])
    shape_dirs, pose_dirs = _carried_over(flat_V3, weights, flat_J3, like, like_J3)
    return HandArrays(
        template_V3=flat_V3,
        faces_F3=np.ascontiguousarray(triangles),
        shape_dirs_V3S=shape_dirs,
        pose_dirs_V3P=pose_dirs,
        joint_regressor_JV=joint_regressor(flat_V3, flat_J3),
        skin_weights_VJ=weights,
        tip_vertices=tip_vertices(flat_V3, weights, flat_J3),
        uv_V2=mesh.uv,
        part_V=part_labels(weights),
        texture_code=_texture_code(texture, mesh.picture),
        shape_names=like.shape_names,
    )


def _openxr_name(joint: str) -> str:
    finger, _, part = joint.partition("_")
    table = _OPENXR_THUMB_PART if finger == "thumb" else _OPENXR_PART
    return finger if finger == "wrist" else f"{finger} {table.get(part, part)}"


def _plain_name(bone: str) -> str:
    """Return a bone's name without side and filler words: "index proximal" for right_index-finger-phalanx-proximal."""
    words = re.findall("[a-z]+", bone.lower())
    return " ".join("little" if word == "pinky" else word for word in words if word not in _ORNAMENT)


def bones_of(mesh: SkinnedMesh, path: Path) -> dict[str, int]:
    """Return the bone of the skin for each joint of MANO and each fingertip. Raises ModelFileError when one is missing."""
    if missing := _missing(mesh.bones):
        raise ModelFileError(f"{path}: lacks the joints {', '.join(missing)}. The hand must have OpenXR's 26 joints.")
    place = {_plain_name(bone): i for i, bone in enumerate(mesh.bones)}
    return {name: place[_openxr_name(name)] for name in MANO_AND_TIP_NAMES}


def is_hand(bones: tuple[str, ...]) -> bool:
    """Say whether these bones include all that a hand needs."""
    return not _missing(bones)


def _missing(bones: tuple[str, ...]) -> list[str]:
    there = {_plain_name(bone) for bone in bones}
    return [name for joint in MANO_AND_TIP_NAMES if (name := _openxr_name(joint)) not in there]


def _is_left(mesh: SkinnedMesh, rest_J3: FloatArray, tips_53: FloatArray, path: Path) -> bool:
    """Tell left from right by names such as Wrist_L, left_wrist or mesh_Hand_L, and by which way thumb and fingers bend.

    Raises ModelFileError where the two disagree, because the hand would come out back to front.
    """
    text = " ".join([mesh.name, *mesh.bones])
    left = len(re.findall(r"(?i)(?<![a-z])(l|left)(?![a-z])", text))
    right = len(re.findall(r"(?i)(?<![a-z])(r|right)(?![a-z])", text))
    # The palm's side is -y of a right hand's palm, and by the same construction +y of a left one's.
    bent = float(np.mean((tips_53 - rest_J3[0]) @ _palm_frame(rest_J3)[1]))
    by_shape = None if abs(bent) < _CLEARLY_BENT_M else bent > 0
    if left == right:
        return bool(by_shape)
    if by_shape is not None and by_shape != (left > right):
        told = "left" if left > right else "right"
        raise ModelFileError(f"{path}: its joints are named as a {told} hand's but bend the other way. Correct their names.")
    return left > right


def _palm_frame(joints_J3: FloatArray) -> FloatArray:
    """Return rows x, y, z of the palm: x from the middle MCP to the wrist, z towards the index finger's side."""
    name = {joint: k for k, joint in enumerate(MANO_JOINT_NAMES)}
    x = joints_J3[name["wrist"]] - joints_J3[name["middle_mcp"]]
    x = x / np.linalg.norm(x)
    z = joints_J3[name["index_mcp"]] - joints_J3[name["little_mcp"]]
    z = z - (z @ x) * x
    z = z / np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z])


def _unit_m(rest_J3: FloatArray) -> float:
    """Return the file's unit in metres, judged by the palm's length: 1, or 0.01 or 0.001, as some programs export."""
    return next((unit for unit in (1.0, 0.01, 0.001) if palm_problem(unit * rest_J3) is None), 1.0)


def _check_size(rest_J3: FloatArray, points: FloatArray, path: Path) -> None:
    if problem := palm_problem(rest_J3):
        raise ModelFileError(f"{path}: {problem}. Export it in metres.")
    largest = float(np.ptp(points, axis=0).max()) / palm_m(rest_J3)
    if not _PALMS_IN_HAND[0] < largest < _PALMS_IN_HAND[1]:
        raise ModelFileError(f"{path}: its surface is {largest:.3g} times as large as its palm. Export both in metres.")


def model_weights(mesh: SkinnedMesh, bone_of: dict[str, int]) -> FloatArray:
    """Return the skin's weights (V, 16) summed by MANO joint; those of tips go to the last joint, all others to the wrist."""
    weights = np.zeros((len(mesh.points), len(MANO_JOINT_NAMES)))
    taken = set()
    for j, name in enumerate(MANO_JOINT_NAMES):
        sources = {bone_of[name]}
        if name.split("_")[-1] in ("dip", "ip"):
            sources.add(bone_of[f"{name.split('_')[0]}_tip"])
        taken |= sources
        weights[:, j] = mesh.weights[:, sorted(sources)].sum(1)
    rest = [b for b in range(len(mesh.bones)) if b not in taken]
    weights[:, 0] += mesh.weights[:, rest].sum(1)
    return weights


def laid_flat(
    points: FloatArray,
    weights: FloatArray,
    rest_J3: FloatArray,
    tips_53: FloatArray,
    like_J3: FloatArray,
    like_tips_53: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Turn every bone by the smallest rotation to its direction in another flat hand, the last ones towards its fingertips.

    Returns vertices (V, 3) and MANO's joints (16, 3).
    """
    children = {parent: j for j, parent in enumerate(MANO_PARENTS) if parent > 0}
    turned, places = [np.eye(3)], [rest_J3[0]]
    for j in range(1, len(rest_J3)):
        finger = FINGERS.index(MANO_JOINT_NAMES[j].split("_")[0])
        end = rest_J3[children[j]] if j in children else tips_53[finger]
        like_end = like_J3[children[j]] if j in children else like_tips_53[finger]
        turned.append(swing_between(end - rest_J3[j], like_end - like_J3[j]))
        parent = MANO_PARENTS[j]
        places.append(places[parent] + turned[parent] @ (rest_J3[j] - rest_J3[parent]))
    R, moved = np.stack(turned), np.stack(places)
    by_bone = np.einsum("jab,vjb->vja", R, points[:, None] - rest_J3) + moved
    return np.einsum("vj,vja->va", weights, by_bone), moved


def _carried_over(
    flat_V3: FloatArray, weights: FloatArray, flat_J3: FloatArray, like: HandArrays, like_J3: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return shape and pose directions: means over the other hand's nearest vertices, after moving the bones to its joints."""
    there = flat_V3 + weights @ (like_J3 - flat_J3)
    distance, nearest = cKDTree(like.template_V3).query(there, k=4)
    share = 1.0 / np.maximum(distance, 1e-4)
    share /= share.sum(1, keepdims=True)
    shape_dirs = np.einsum("vn,vnks->vks", share, like.shape_dirs_V3S[nearest])
    pose_dirs = np.einsum("vn,vnkp->vkp", share, like.pose_dirs_V3P[nearest])
    return shape_dirs, pose_dirs


def tip_vertices(flat_V3: FloatArray, weights: FloatArray, flat_J3: FloatArray) -> npt.NDArray[np.int64]:
    """Return the vertex at the end of each finger, thumb to little: far along the last bone, and near its line."""
    tips = []
    for finger in FINGERS:
        last = MANO_JOINT_NAMES.index(f"{finger}_{'ip' if finger == 'thumb' else 'dip'}")
        axis = flat_J3[last] - flat_J3[MANO_PARENTS[last]]
        from_joint_V3 = flat_V3 - flat_J3[last]
        reach_V = from_joint_V3 @ axis / np.linalg.norm(axis)
        beside_V = np.sqrt(np.maximum((from_joint_V3**2).sum(1) - reach_V**2, 0))
        tips.append(int(np.where(weights[:, last] > 0.5, reach_V - 0.5 * beside_V, -np.inf).argmax()))
    return np.array(tips)


def _texture_code(texture: Path | None, picture: bytes | None) -> npt.NDArray[np.uint8]:
    if texture is None and picture is None:
        return np.zeros(0, np.uint8)
    try:
        raw = texture.read_bytes() if texture is not None else picture or b""
    except OSError as error:
        raise ModelFileError(
            f"{texture}: cannot be read ({error.strerror}). Check that it is there and that you may read it."
        ) from error
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
    if image is None:
        raise ModelFileError(f"{texture or 'the picture inside the glTF file'}: not a readable picture. Give a PNG or JPEG file.")
    side = min(_TEXTURE_SIDE, max(image.shape[:2]))
    _, code = cv2.imencode(".jpg", cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return np.asarray(code, np.uint8).reshape(-1)
