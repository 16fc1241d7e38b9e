"""Reading a skinned mesh out of a glTF file with its buffer inside: positions, texture coordinates, joints, weights."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from handviz.errors import SourceError
from handviz.geometry.camera import FloatArray
from handviz.records import IntArray

_TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkinnedMesh:
    """Vertices (V, 3), faces (F, 3), uv (V, 2), weights (V, J) that sum to one, and rest places (J, 3) by joint name."""

    vertices_V3: FloatArray
    faces_F3: IntArray
    uv_V2: FloatArray
    weights_VJ: FloatArray
    joint_names: tuple[str, ...]
    joints_J3: FloatArray


def read_skinned_gltf(path: Path) -> SkinnedMesh:
    """Read the first skinned mesh of a ``.gltf`` file. Raises SourceError naming the file and what is wrong."""
    try:
        document = json.loads(path.read_text())
        data = base64.b64decode(document["buffers"][0]["uri"].split(",", 1)[1], validate=True)
        return _skinned_mesh(document, data)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file. Give the folder that holds the rigged hand.") from error
    except (OSError, ValueError, KeyError, IndexError, TypeError, binascii.Error) as error:
        raise SourceError(f"{path}: not a glTF file with one skinned mesh and its buffer inside ({error}).") from error


def _skinned_mesh(document: dict[str, Any], data: bytes) -> SkinnedMesh:
    primitive = document["meshes"][0]["primitives"][0]
    skin = document["skins"][0]
    attributes = primitive["attributes"]
    vertices = _accessor(document, data, attributes["POSITION"]).astype(float)
    names = tuple(str(document["nodes"][j]["name"]) for j in skin["joints"])
    inverse_bind = _accessor(document, data, skin["inverseBindMatrices"]).astype(float).reshape(-1, 4, 4).transpose(0, 2, 1)
    which, weight = (_accessor(document, data, attributes[key]) for key in ("JOINTS_0", "WEIGHTS_0"))
    weights = np.zeros((len(vertices), len(names)))
    np.add.at(weights, (np.arange(len(vertices))[:, None], which.astype(int)), weight.astype(float))
    return SkinnedMesh(
        vertices_V3=vertices,
        faces_F3=_accessor(document, data, primitive["indices"]).reshape(-1, 3).astype(np.int64),
        uv_V2=_accessor(document, data, attributes["TEXCOORD_0"]).astype(float),
        weights_VJ=weights / weights.sum(1, keepdims=True),
        joint_names=names,
        joints_J3=np.linalg.inv(inverse_bind)[:, :3, 3],
    )


def _accessor(document: dict[str, Any], data: bytes, index: int) -> npt.NDArray[Any]:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = _WIDTH[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    values = np.frombuffer(data, _TYPES[accessor["componentType"]], accessor["count"] * width, start)
    return values.reshape(accessor["count"], width)
