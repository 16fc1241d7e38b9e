"""GLB (glTF 2.0): every hand as a skin with 21 named joints and one animation of them all.

The nodes below ``camera`` are in the camera's frame in metres (+x right, +y down, +z forward); ``camera`` itself turns
that into glTF's world (+y up, -z forward). Rotations and positions of the joints are animated, so that the joints are
exactly where the result has them; their names are those of the skeleton, prefixed with ``left_hand.`` and so on if there is
more than one hand. A hand that is out of sight is scaled to zero. glTF cannot hold the
hand model's pose correctives, nor more than four joints per vertex.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from handviz.export.clip import HandClip
from handviz.export.clip_writer import ClipWriter
from handviz.export.skin import Skin, skin_of
from handviz.geometry.camera import FloatArray
from handviz.geometry.kinematics import to_local
from handviz.hand.mesh_check import first_at_place
from handviz.hand.skeleton import JOINT_NAMES, PARENTS

_FLOAT, _USHORT, _UINT, _UBYTE = 5126, 5123, 5125, 5121
_VERTICES, _INDICES = 34962, 34963  # what a buffer view is for
_SHAPE_NAMES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}


class GlbWriter(ClipWriter):
    """Collects frames and writes one GLB file when closed."""

    def _save(self, clips: list[HandClip], times_s: FloatArray) -> None:
        self._put(self._path, glb_bytes(clips, [skin_of(clip, self._load_model) for clip in clips], times_s))


def glb_bytes(clips: list[HandClip], skins: list[Skin], times_s: FloatArray) -> bytes:
    """Return a GLB file of clips and their surfaces; ``times_s`` are the times of all frames of the recording."""
    doc = _Document()
    movement: dict[str, Any] = {"name": "hands", "samplers": [], "channels": []}
    hands, surfaces = [], []
    for clip, skin in zip(clips, skins, strict=True):
        prefix = f"{clip.name}." if len(clips) > 1 else ""
        hand, bound = _add_joints(doc, movement, clip, times_s, prefix)
        hands.append(hand)
        surfaces.append(doc.add("nodes", {"name": f"{clip.name}_mesh", "mesh": _add_mesh(doc, clip, skin), "skin": bound}))
    # Half a turn about x: the camera's y points down and its z forward.
    camera = doc.add("nodes", {"name": "camera", "rotation": [1.0, 0.0, 0.0, 0.0], "children": hands})
    doc.add("scenes", {"nodes": [camera, *surfaces]})
    doc.add("animations", movement)
    return doc.to_bytes()


class _Document:
    """The JSON part of a glTF file and its one binary buffer, growing together."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0", "generator": "handviz"}, "scene": 0}
        self._binary = bytearray()

    def add(self, kind: str, entry: dict[str, Any]) -> int:
        """Append an entry and return its index."""
        entries = self.json.setdefault(kind, [])
        entries.append(entry)
        return len(entries) - 1

    def add_bytes(self, content: bytes, target: int | None = None) -> int:
        """Append a buffer view and return its index."""
        self._binary += bytes(-len(self._binary) % 4)
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(content)}
        self._binary += content
        return self.add("bufferViews", view if target is None else {**view, "target": target})

    def add_array(
        self, array: npt.ArrayLike, component: int = _FLOAT, target: int | None = None, *, normalised: bool = False
    ) -> int:
        """Append an accessor of an array (N, ...) and return its index."""
        dtype = {_FLOAT: "<f4", _USHORT: "<u2", _UINT: "<u4", _UBYTE: "u1"}[component]
        values = np.ascontiguousarray(array, dtype)
        view = self.add_bytes(values.tobytes(), target)
        entry = {"bufferView": view, "componentType": component, "count": len(values), "type": _SHAPE_NAMES[values.shape[1:]]}
        if normalised:
            entry["normalized"] = True
        if values.ndim <= 2 and component == _FLOAT:
            entry |= {"min": np.atleast_1d(values.min(0)).tolist(), "max": np.atleast_1d(values.max(0)).tolist()}
        return self.add("accessors", entry)

    def to_bytes(self) -> bytes:
        """Return the file: header, JSON chunk, binary chunk."""
        self._binary += bytes(-len(self._binary) % 4)
        text = json.dumps(
            self.json | {"buffers": [{"byteLength": len(self._binary)}]}, separators=(",", ":"), allow_nan=False
        ).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(self._binary), b"BIN\0") + self._binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _add_joints(doc: _Document, movement: dict[str, Any], clip: HandClip, times_s: FloatArray, prefix: str) -> tuple[int, int]:
    """Add one hand's joints and their movement; return the node that holds them and the skin they make."""
    R_local, x_local = to_local(clip.rotations_TJ33, clip.joints_TJ3, PARENTS)
    quaternions = _smooth_quaternions(R_local)
    first = len(doc.json.get("nodes", []))
    for joint, name in enumerate(JOINT_NAMES):
        children = [first + j for j in range(1, len(PARENTS)) if PARENTS[j] == joint]
        node = {"name": prefix + name, "translation": x_local[0, joint].tolist(), "rotation": quaternions[0, joint].tolist()}
        doc.add("nodes", node | ({"children": children} if children else {}))
    inverse_binds = np.tile(np.eye(4), (len(JOINT_NAMES), 1, 1))
    inverse_binds[:, 3, :3] = -clip.rest_J3  # glTF stores matrices by columns
    joints = list(range(first, first + len(JOINT_NAMES)))
    bound = doc.add("skins", {"joints": joints, "skeleton": first, "inverseBindMatrices": doc.add_array(inverse_binds)})
    hand = doc.add("nodes", {"name": clip.name, "children": [first]})
    times = doc.add_array(clip.t_s)
    for joint in range(len(JOINT_NAMES)):
        _animate(doc, movement, (first + joint, "rotation"), times, quaternions[:, joint])
        _animate(doc, movement, (first + joint, "translation"), times, x_local[:, joint])
    seen = np.isin(times_s, clip.t_s)
    if not seen.all():
        # Steps lie between frames: one at a frame's own time could, after rounding, come after the frame.
        steps_s = np.concatenate([times_s[:1], (times_s[1:] + times_s[:-1]) / 2])
        _animate(doc, movement, (hand, "scale"), doc.add_array(steps_s), np.repeat(seen[:, None], 3, 1), "STEP")
    return hand, bound


def _smooth_quaternions(R_TJ33: FloatArray) -> FloatArray:
    """Return quaternions (T, J, 4), xyzw, whose signs do not jump."""
    quaternions = Rotation.from_matrix(R_TJ33.reshape(-1, 3, 3)).as_quat().reshape(*R_TJ33.shape[:2], 4)
    turned = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    signs = np.cumprod(np.where(turned, -1.0, 1.0), 0)
    quaternions[1:] *= signs[..., None]
    return np.asarray(quaternions)


def _add_mesh(doc: _Document, clip: HandClip, skin: Skin) -> int:
    attributes = {
        "POSITION": doc.add_array(skin.vertices_V3, target=_VERTICES),
        "NORMAL": doc.add_array(seamless_normals(skin), target=_VERTICES),
        "JOINTS_0": doc.add_array(np.where(skin.weights_V4 > 0, skin.joints_V4, 0), _USHORT, _VERTICES),
        "WEIGHTS_0": doc.add_array(skin.weights_V4, target=_VERTICES),
    }
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.7}
    if skin.colours_V3 is not None:
        opaque = np.concatenate([_linear(skin.colours_V3), np.full((len(skin.colours_V3), 1), 255, np.uint8)], 1)
        attributes["COLOR_0"] = doc.add_array(opaque, _UBYTE, _VERTICES, normalised=True)
    if skin.uv_V2 is not None and skin.texture is not None:
        attributes["TEXCOORD_0"] = doc.add_array(skin.uv_V2, target=_VERTICES)
        surface["baseColorTexture"] = {"index": _add_texture(doc, skin.texture)}
    material = doc.add("materials", {"name": clip.name, "pbrMetallicRoughness": surface, "doubleSided": True})
    indices = doc.add_array(skin.faces_F3.reshape(-1), _UINT, _INDICES)
    return doc.add(
        "meshes", {"name": clip.name, "primitives": [{"attributes": attributes, "indices": indices, "material": material}]}
    )


def _linear(colours_V3: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    # Vertex colours in glTF are linear, the palette is sRGB.
    return np.round(255 * (colours_V3 / 255.0) ** 2.2).astype(np.uint8)


def _add_texture(doc: _Document, texture: npt.NDArray[np.uint8]) -> int:
    done, png = cv2.imencode(".png", cv2.cvtColor(texture, cv2.COLOR_RGB2BGR))
    assert done, "a uint8 picture always encodes"
    image = doc.add("images", {"bufferView": doc.add_bytes(png.tobytes()), "mimeType": "image/png"})
    return doc.add("textures", {"source": image})


def seamless_normals(skin: Skin) -> FloatArray:
    """Return unit normals (V, 3), equal for all vertices at one position, of which there are several along a texture's seams."""
    first = first_at_place(skin.vertices_V3)
    return vertex_normals(skin.vertices_V3, first[skin.faces_F3])[first]


def vertex_normals(vertices_V3: FloatArray, faces_F3: npt.NDArray[np.integer[Any]]) -> FloatArray:
    """Return unit normals (V, 3), averaged over triangles by area; a vertex without area points along +y."""
    a, b, c = (vertices_V3[faces_F3[:, i]] for i in range(3))
    normals = np.zeros_like(vertices_V3)
    for corner in range(3):
        np.add.at(normals, faces_F3[:, corner], np.cross(b - a, c - a))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 1e-15, normals / np.maximum(length, 1e-15), [0.0, 1.0, 0.0])


def _animate(
    doc: _Document, movement: dict[str, Any], target: tuple[int, str], times: int, values: npt.ArrayLike, way: str = "LINEAR"
) -> None:
    """Let a node's rotation, translation or scale follow values over the times of an accessor."""
    samplers = movement["samplers"]
    samplers.append({"input": times, "output": doc.add_array(values), "interpolation": way})
    movement["channels"].append({"sampler": len(samplers) - 1, "target": {"node": target[0], "path": target[1]}})
