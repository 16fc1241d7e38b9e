"""A rigged hand from a glTF file (OpenXR's 26 joints) as a hand model with MANO's axes, joints and flat zero pose.

So every pose, limit and gesture means the same for it as for the default hand. It keeps its own shape and size, without
shape parameters or correctives: it looks like another hand, not like the default hand in another skin.

An animator's joints are not where joints are labelled: the rig's wrist lies behind the end of its surface. Labels of two hands
must mean the same places, so some joints are moved, and with them the points the skin turns about (``_AS_MARKED_MM``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handviz.geometry.camera import FloatArray
from handviz.hand.gltf import bones_of, is_hand, laid_flat, model_weights, tip_vertices
from handviz.hand.gltf_file import read_skinned_mesh
from handviz.hand.hand_file import NUM_POSE_DIRS, NUM_SHAPE, HandArrays
from handviz.hand.model import HandModel
from handviz.hand.parts import part_labels
from handviz.hand.skeleton import FINGERS, MANO_JOINT_NAMES

# The file's axes: fingers along -z, thumb's side +y, back of the hand +x.
_MODEL_FROM_FILE = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_MIDDLE_MCP = MANO_JOINT_NAMES.index("middle_mcp")
# How far MediaPipe sees the joints of godot-xr-tools' hands from the rig's own, beyond its offsets for the default hand: medians
# of 161 and 271 webcam-like renderings, palms and backs; mm towards the middle finger and towards the thumb's side. Only joints
# above 3 mm are listed; the others, and all of the fingers' outer joints, are nearer.
_AS_MARKED_MM = {
    "wrist": (6.4, 3.7),
    "thumb_cmc": (2.7, 10.3),
    "thumb_mcp": (3.2, 7.1),
    "thumb_ip": (1.7, 3.8),
    "index_mcp": (2.6, 4.0),
    "middle_mcp": (3.4, 2.9),
}


def load_rigged_hand(path: Path, zero_pose_of: HandModel) -> HandModel:
    """Read a right hand from a glTF file and bring it into another hand's zero pose, bone by bone.

    Raises ModelFileError when the file cannot be read or lacks a joint.
    """
    mesh = read_skinned_mesh(path, is_hand)
    bone_of = bones_of(mesh, path)
    places = {name: mesh.bone_places[bone] @ _MODEL_FROM_FILE.T for name, bone in bone_of.items()}
    rest_J3 = np.stack([places[name] for name in MANO_JOINT_NAMES])
    tips_53 = np.stack([places[f"{finger}_tip"] for finger in FINGERS])
    template_V3 = zero_pose_of.template_V3.double().numpy()
    like_J3 = zero_pose_of.joint_regressor_JV.double().numpy() @ template_V3
    like_tips_53 = template_V3[list(zero_pose_of.tip_vertices)]
    weights = model_weights(mesh, bone_of)
    flat_V3, flat_J3 = laid_flat(mesh.points @ _MODEL_FROM_FILE.T, weights, rest_J3, tips_53, like_J3, like_tips_53)
    for name, (ahead, beside) in _AS_MARKED_MM.items():
        flat_J3[MANO_JOINT_NAMES.index(name)] += np.array([-ahead, 0.0, beside]) / 1000
    flat_V3, flat_J3 = (points + like_J3[_MIDDLE_MCP] - flat_J3[_MIDDLE_MCP] for points in (flat_V3, flat_J3))
    vertex_count = len(flat_V3)
    arrays = HandArrays(
        template_V3=flat_V3,
        faces_F3=mesh.triangles,
        shape_dirs_V3S=np.zeros((vertex_count, 3, NUM_SHAPE)),
        pose_dirs_V3P=np.zeros((vertex_count, 3, NUM_POSE_DIRS)),
        joint_regressor_JV=_exact_regressor(flat_V3, flat_J3),
        skin_weights_VJ=weights,
        tip_vertices=tip_vertices(flat_V3, weights, flat_J3),
        uv_V2=mesh.uv,
        part_V=part_labels(weights),
        texture_code=np.zeros(0, np.uint8),
    )
    return HandModel.from_arrays(path.stem, arrays)


def _exact_regressor(vertices: FloatArray, joints_J3: FloatArray) -> FloatArray:
    """Return the smallest weights (J, V) that sum to one and give exactly these joints."""
    lifted = np.concatenate([vertices.T, np.ones((1, len(vertices)))])
    wanted = np.concatenate([joints_J3.T, np.ones((1, len(joints_J3)))])
    return np.asarray((np.linalg.pinv(lifted) @ wanted).T)
