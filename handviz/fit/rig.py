"""A hand model's numbers in the form that the compiled solver needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from handviz.fit.chain import bend_points, pose_chain, rotation_of, skin_points
from handviz.geometry.camera import FloatArray
from handviz.hand.hand_file import read_hand_file
from handviz.hand.library import DEFAULT_HAND, hand_path
from handviz.hand.mesh_check import weld
from handviz.hand.mirror import mirror_faces, mirror_points
from handviz.hand.skeleton import MANO_AND_TIP_NAMES, MANO_PARENTS, order_from
from handviz.records import HandMesh, HandParams

if TYPE_CHECKING:
    from handviz.hand.model import HandModel

PARENTS = np.array(MANO_PARENTS)
# Joints and fingertips as the solver orders them -> the project's order.
JOINT_ORDER = order_from(MANO_AND_TIP_NAMES)
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Rig:
    """Float64 arrays of a hand model: rest joints with their shape directions, and vertices with all that moves them.

    ``tips`` the five fingertip vertices; ``faces_F3`` int32, welded along texture seams, where several vertices lie at one
    position, so that neither shading nor outline breaks there, and ``mirrored_F3`` the same for left hands; ``rim`` (V,) bool,
    the vertices of the open wrist.
    """

    name: str
    rest_J3: FloatArray
    rest_dirs_J3S: FloatArray
    template_V3: FloatArray
    shape_dirs_V3S: FloatArray
    pose_dirs_V3P: FloatArray
    weights_VJ: FloatArray
    tips: Array
    faces_F3: Array
    mirrored_F3: Array
    rim: Array

    def points(self, vertices: Array) -> tuple[Array, Array, Array, Array]:
        """Return template, shape directions, pose directions and weights of some vertices."""
        return self.template_V3[vertices], self.shape_dirs_V3S[vertices], self.pose_dirs_V3P[vertices], self.weights_VJ[vertices]

    def wrist(self, shape_S: FloatArray) -> FloatArray:
        """Return the wrist joint (3,) of the flat, shaped, unplaced hand: the point that the root rotation turns about."""
        return np.asarray(self.rest_J3[0] + self.rest_dirs_J3S[0] @ shape_S)

    def mesh(self, params: HandParams) -> tuple[FloatArray, FloatArray]:
        """Return vertices (V, 3) and the 21 joints (21, 3) of placed parameters, as ``HandModel.forward`` does."""
        R = np.empty((3, 3))
        rotation_of(np.asarray(params.root_rotation, float), R)
        pose, shape = np.ascontiguousarray(params.pose, float), np.ascontiguousarray(params.shape, float)
        vertices, posed = self._surface(pose, shape, R)
        joints = np.concatenate([posed, vertices[self.tips]])[JOINT_ORDER]
        return params.scale * vertices + params.translation_m, params.scale * joints + params.translation_m

    def vertices(self, state: tuple[Array, ...]) -> FloatArray:
        """Return the vertices (V, 3) of a state of the solver: pose, shape, root rotation, translation, scale."""
        pose, shape, R, translation, scale = state
        return np.asarray(scale[0] * self._surface(pose, shape, R)[0] + translation)

    def _surface(self, pose: Array, shape: Array, R: Array) -> tuple[Array, Array]:
        local, turned, rest, posed = pose_chain(pose, shape, R, self.rest_J3, self.rest_dirs_J3S, PARENTS)
        flat = bend_points(shape, local, self.template_V3, self.shape_dirs_V3S, self.pose_dirs_V3P)
        return skin_points(flat, turned, rest, posed, self.weights_VJ), posed

    def joints(self, state: tuple[Array, ...]) -> FloatArray:
        """Return the 21 joints (21, 3) of a state of the solver: pose, shape, root rotation, translation, scale."""
        pose, shape, R, translation, scale = state
        local, turned, rest, posed = pose_chain(pose, shape, R, self.rest_J3, self.rest_dirs_J3S, PARENTS)
        template, shape_dirs, pose_dirs, weights = self.points(self.tips)
        tips = skin_points(bend_points(shape, local, template, shape_dirs, pose_dirs), turned, rest, posed, weights)
        return np.asarray(scale[0] * np.concatenate([posed, tips])[JOINT_ORDER] + translation)


def placed_mesh(rig: Rig, params: HandParams, *, mirrored: bool) -> HandMesh:
    """Return the surface of one frame's parameters in their frame; ``mirrored`` for a left hand, which reverses the faces."""
    return placed_hand(rig, params, mirrored=mirrored)[0]


def placed_hand(rig: Rig, params: HandParams, *, mirrored: bool) -> tuple[HandMesh, FloatArray]:
    """Return ``placed_mesh`` and the 21 joints (21, 3) that belong to it."""
    vertices, joints = rig.mesh(params)
    if mirrored:
        mesh = HandMesh(vertices_camera_m=mirror_points(vertices), faces=rig.mirrored_F3, params=params)
        return mesh, mirror_points(joints)
    return HandMesh(vertices_camera_m=vertices, faces=rig.faces_F3, params=params), joints


@lru_cache(maxsize=8)
def rig_of(model: HandModel) -> Rig:
    """Return the rig of a model, made once per model."""

    def plain(tensor: Any) -> Array:
        return np.asarray(tensor.detach().cpu().numpy())

    reals = (model.template_V3, model.joint_regressor_JV, model.shape_dirs_V3S, model.pose_dirs_V3P, model.skin_weights_VJ)
    return _rig(model.name, tuple(plain(tensor) for tensor in reals), np.array(model.tip_vertices), plain(model.faces_F3))


@lru_cache(maxsize=8)
def rig_named(name: str = DEFAULT_HAND) -> Rig:
    """Return the rig of a hand in the library, without torch: 200 MB less than through its ``HandModel``.

    Raises ModelFileError for an unknown name or an unusable file.
    """
    a = read_hand_file(hand_path(name))
    # In the precision of a ``HandModel``, so that both ways give the same numbers.
    reals = (a.template_V3, a.joint_regressor_JV, a.shape_dirs_V3S, a.pose_dirs_V3P, a.skin_weights_VJ)
    return _rig(name, tuple(np.asarray(array, np.float32) for array in reals), a.tip_vertices, a.faces_F3)


def _rig(name: str, reals: tuple[Array, ...], tips: Array, faces_F3: Array) -> Rig:
    template, regressor, shape_dirs, pose_dirs, weights = (np.ascontiguousarray(array, float) for array in reals)
    faces = weld(template, faces_F3).astype(np.int32)
    return Rig(
        name=name,
        rest_J3=regressor @ template,
        rest_dirs_J3S=np.ascontiguousarray(np.einsum("jv,vks->jks", regressor, shape_dirs)),
        template_V3=template,
        shape_dirs_V3S=shape_dirs,
        pose_dirs_V3P=pose_dirs,
        weights_VJ=weights,
        tips=np.asarray(tips, np.int64),
        faces_F3=faces,
        mirrored_F3=mirror_faces(faces),
        rim=_rim(faces, len(template)),
    )


def _rim(faces_F3: Array, count: int) -> Array:
    """Return which vertices (V,) lie on an edge with a single triangle: the open wrist."""
    edges = np.sort(np.concatenate([faces_F3[:, [0, 1]], faces_F3[:, [1, 2]], faces_F3[:, [2, 0]]]), axis=1)
    unique, times = np.unique(edges, axis=0, return_counts=True)
    rim = np.zeros(count, bool)
    rim[unique[times == 1]] = True
    return rim
