"""Read a skinned mesh from a glTF 2.0 file (.gltf with embedded or separate data, or .glb). No offset in it is trusted."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from handviz.errors import ModelFileError

MAX_BYTES = 256 * 1024 * 1024
_GLB_MAGIC, _CHUNK_JSON, _CHUNK_BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS: dict[int, str] = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS: dict[str, int] = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_DAMAGE = (
    KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error, binascii.Error, RecursionError, OverflowError,
    MemoryError,
)  # fmt: skip


# Says whether a skin with these bones is the wanted one.
BonesTest = Callable[[tuple[str, ...]], bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkinnedMesh:
    """A mesh in its bind pose: points (V, 3), triangles (F, 3), texture coordinates (V, 2), weights (V, bones).

    ``bones`` names the joints of the skin, ``bone_places`` (bones, 3) are their bind positions in the mesh's frame.
    ``picture`` holds the bytes of the base colour picture where the file has one, embedded or separate.
    """

    name: str
    points: npt.NDArray[np.float64]
    triangles: npt.NDArray[np.int64]
    uv: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    bones: tuple[str, ...]
    bone_places: npt.NDArray[np.float64]
    picture: bytes | None


def read_skinned_mesh(path: Path, is_hand: BonesTest, *, with_picture: bool = True) -> SkinnedMesh:
    """Return the first skinned mesh of the file whose bones are a hand's, or simply the first where none are.

    Raises ModelFileError naming the file and what is wrong with it.
    """
    with _damage_told(path):
        document, binary = _document(path)
        buffers = _buffers(document, binary, path.parent)
        nodes = _skinned_nodes(document)
        node = next((n for n in nodes if is_hand(_bones(document, n))), nodes[0])
        return _skinned_mesh(document, buffers, node, path.parent if with_picture else None)


def hands_in(path: Path, is_hand: BonesTest) -> list[str]:
    """Return the names of the file's skinned meshes whose bones are a hand's. Raises as ``read_skinned_mesh``."""
    with _damage_told(path):
        document, _ = _document(path)
        hands = [n for n in _skinned_nodes(document) if is_hand(_bones(document, n))]
        return [str(n.get("name") or document["meshes"][n["mesh"]].get("name") or f"mesh {n['mesh']}") for n in hands]


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        beside = "" if error.filename in (None, str(path)) else f"{error.filename}, which it refers to, "
        raise ModelFileError(
            f"{path}: {beside}cannot be read ({error.strerror}). Check that it is there and that you may read it."
        ) from error
    except _DAMAGE as error:
        raise ModelFileError(
            f"{path}: not a usable glTF hand ({type(error).__name__}: {error}). Export it again with its skin."
        ) from error


def _document(path: Path) -> tuple[Any, bytes | None]:
    if path.stat().st_size > MAX_BYTES:
        raise ModelFileError(
            f"{path}: larger than {MAX_BYTES >> 20} MB, too large for a hand. Export the hand alone, with a smaller texture."
        )
    raw = path.read_bytes()
    document, binary = _split_glb(raw) if raw[:4] == b"glTF" else (json.loads(raw), None)
    _check_packing(document)
    return document, binary


def _check_packing(document: Any) -> None:
    packed = [name for name in document.get("extensionsRequired", []) if "compression" in name or "quantization" in name]
    if packed:
        raise ValueError(f"it uses {', '.join(packed)}, which is not supported: export it without")


def _split_glb(raw: bytes) -> tuple[Any, bytes | None]:
    magic, _, length = struct.unpack_from("<III", raw)
    if magic != _GLB_MAGIC or length > len(raw):
        raise ValueError("the file is shorter than its header says")
    document: Any = None
    binary = None
    offset = 12
    while offset + 8 <= length:
        size, kind = struct.unpack_from("<II", raw, offset)
        chunk = raw[offset + 8 : offset + 8 + size]
        if len(chunk) != size:
            raise ValueError("a part of the file is cut off")
        if kind == _CHUNK_JSON:
            document = json.loads(chunk)
        elif kind == _CHUNK_BIN:
            binary = chunk
        offset += 8 + size
    return document, binary


def _buffers(document: Any, binary: bytes | None, folder: Path) -> list[bytes]:
    found = []
    for buffer in document["buffers"]:
        uri = buffer.get("uri")
        if uri is None:
            if binary is None:
                raise ValueError("a buffer has no data")
            data = binary
        else:
            data = _uri_bytes(uri, folder)
        if len(data) < int(buffer["byteLength"]):
            raise ValueError("a buffer is cut off")
        found.append(data)
    return found


def _uri_bytes(uri: str, folder: Path) -> bytes:
    if uri.startswith("data:"):
        return base64.b64decode(uri.split(",", 1)[1], validate=True)
    file = folder / unquote(uri)
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"the file '{uri}' must lie in the same folder or below it")
    return file.read_bytes()


def _view_bytes(document: Any, buffers: list[bytes], view_index: int) -> bytes:
    view = document["bufferViews"][view_index]
    start, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
    data = buffers[view["buffer"]]
    if start < 0 or length < 0 or start + length > len(data):
        raise ValueError("a view reaches beyond its buffer")
    return data[start : start + length]


def _accessor(document: Any, buffers: list[bytes], index: int) -> npt.NDArray[Any]:
    """Return accessor values (count, width); every byte is checked to lie inside its view."""
    accessor = document["accessors"][index]
    if "sparse" in accessor:
        raise ValueError("sparse accessors are not supported")
    dtype, width, count = np.dtype(_COMPONENTS[accessor["componentType"]]), _WIDTHS[accessor["type"]], int(accessor["count"])
    data = _view_bytes(document, buffers, accessor["bufferView"])
    stride = int(document["bufferViews"][accessor["bufferView"]].get("byteStride", 0)) or dtype.itemsize * width
    start = int(accessor.get("byteOffset", 0))
    if min(count, start) < 0 or count == 0 or start + stride * (count - 1) + dtype.itemsize * width > len(data):
        raise ValueError("an accessor reaches beyond its view")
    rows = np.lib.stride_tricks.as_strided(
        np.frombuffer(data, np.uint8)[start:], (count, dtype.itemsize * width), (stride, 1), writeable=False
    )
    values = np.ascontiguousarray(rows).view(dtype).reshape(count, width)
    if accessor.get("normalized") and dtype.kind == "u":
        return values.astype(np.float64) / np.iinfo(dtype).max
    return values


def _skinned_nodes(document: Any) -> list[Any]:
    nodes = [n for n in document["nodes"] if "mesh" in n and "skin" in n]
    if not nodes:
        raise ValueError("it holds no skinned mesh")
    return nodes


def _bones(document: Any, node: Any) -> tuple[str, ...]:
    return tuple(str(document["nodes"][j].get("name", f"bone {j}")) for j in document["skins"][node["skin"]]["joints"])


def _skinned_mesh(document: Any, buffers: list[bytes], node: Any, picture_folder: Path | None) -> SkinnedMesh:
    mesh, skin = document["meshes"][node["mesh"]], document["skins"][node["skin"]]
    if len(mesh["primitives"]) != 1:
        raise ValueError("the hand must be one mesh with one material")
    primitive = mesh["primitives"][0]
    names = primitive["attributes"]
    points = _accessor(document, buffers, names["POSITION"]).astype(np.float64)
    bone_index = _accessor(document, buffers, names["JOINTS_0"]).astype(np.int64)
    bone_weight = _accessor(document, buffers, names["WEIGHTS_0"]).astype(np.float64)
    bones = _bones(document, node)
    weights = np.zeros((len(points), len(bones)))
    np.add.at(weights, (np.arange(len(points))[:, None], bone_index), bone_weight)
    inverse_bind = _accessor(document, buffers, skin["inverseBindMatrices"]).astype(np.float64).reshape(-1, 4, 4)
    has_uv = "TEXCOORD_0" in names
    uv = _accessor(document, buffers, names["TEXCOORD_0"]).astype(np.float64) if has_uv else np.zeros((len(points), 2))
    if not all(np.isfinite(values).all() for values in (points, bone_weight, inverse_bind, uv)):
        raise ValueError("it holds numbers that are not finite")
    has_indices = "indices" in primitive
    corners = _accessor(document, buffers, primitive["indices"]) if has_indices else np.arange(len(points))
    return SkinnedMesh(
        name=f"{mesh.get('name', '')} {node.get('name', '')}",
        points=points,
        triangles=corners.astype(np.int64).reshape(-1, 3),
        uv=uv,
        weights=weights / np.maximum(weights.sum(1, keepdims=True), 1e-9),
        bones=bones,
        # glTF stores matrices column by column.
        bone_places=np.linalg.inv(np.swapaxes(inverse_bind, 1, 2))[:, :3, 3],
        picture=None if picture_folder is None else _base_colour(document, buffers, primitive, picture_folder),
    )


def _base_colour(document: Any, buffers: list[bytes], primitive: Any, folder: Path) -> bytes | None:
    if "material" not in primitive:
        return None
    material = document["materials"][primitive["material"]]
    texture = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
    if texture is None:
        return None
    texture = document["textures"][texture["index"]]
    source = texture.get("source", texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source"))
    if source is None:
        raise ValueError("its texture has an unsupported format. Give a PNG or JPEG with --texture")
    image = document["images"][source]
    if "bufferView" in image:
        return _view_bytes(document, buffers, image["bufferView"])
    return _uri_bytes(str(image["uri"]), folder) if "uri" in image else None
