"""Packs: many samples in one file without pickle, small enough to copy around, decoded once into memory.

A pack is a safetensors file: JPEG pictures and PNG masks as one byte array with offsets, labels as arrays, names as
JSON in the header. A folder of packs (``*.safetensors``) reads as one.

    pack = read_pack(Path("out/data/photos/train.safetensors"))     # or a folder
    batch = pack.batch(numpy.arange(32))                            # training.data.sample.Batch, uint8 pictures
    sample = pack.sample(0)                                         # training.data.sample.Sample

Pictures are ``STORED_SIZE`` pixels wide and their window is ``STORED_EXPAND`` times the joints' extent: more than a network's
crop, so that augmentation can rotate, scale and shift it without leaving the picture.
"""

from __future__ import annotations

import itertools
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from handviz.errors import SourceError
from handviz.geometry.camera import FloatArray
from handviz.hand.library import known_hands
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import NUM_JOINTS
from handviz.models.checkpoint import write_atomically
from handviz.records import BoolArray, HandParams, IntArray, UInt8Array
from training.data.sample import Batch, Sample

STORED_SIZE = 160
STORED_EXPAND = 2.0
JPEG_QUALITY = 88
# If a hand's joints have moved by more than this since its parameters were stored, they belong to another hand.
SAME_HAND_M = 0.002
_FORMAT_NAME = "handviz-pack-"
_FORMAT = _FORMAT_NAME + "1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleNames:
    """The text fields of N samples: source, name, split key, view, side and hand model of each."""

    source: tuple[str, ...]
    name: tuple[str, ...]
    split_key: tuple[str, ...]
    view: tuple[str, ...]
    side: tuple[str, ...]
    hand_model: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pack:
    """N samples in memory. Arrays as in ``Batch``, with N for B and pictures (N, S, S, 3) uint8."""

    rgb_NSS3: UInt8Array
    K_N33: FloatArray
    joints_px_NJ2: FloatArray
    valid_NJ: BoolArray
    sigma_px_NJ: FloatArray
    joints_m_NJ3: FloatArray
    has_joints_m_N: BoolArray
    mask_NSS: UInt8Array
    has_mask_N: BoolArray
    params_N62: FloatArray
    has_params_N: BoolArray
    is_hand_N: BoolArray
    names: SampleNames

    def __len__(self) -> int:
        return len(self.rgb_NSS3)

    def select(self, index: IntArray | BoolArray) -> Pack:
        """Return the samples of these indices (or of a boolean mask), pictures copied."""
        rows = np.flatnonzero(index) if index.dtype == np.bool_ else index
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        words = {name: tuple(getattr(self.names, name)[i] for i in rows) for name in _WORDS}
        return Pack(**arrays, names=SampleNames(**words))

    def batch(self, index: IntArray) -> Batch:
        """Return these samples as a batch on the CPU; pictures stay uint8."""
        params = torch.from_numpy(self.params_N62[index])
        pose, shape, root, scale, trans = params.split([45, 10, 3, 1, 3], dim=1)
        return Batch(
            rgb_B3SS=torch.from_numpy(self.rgb_NSS3[index]).permute(0, 3, 1, 2),
            K_B33=torch.from_numpy(self.K_N33[index]),
            joints_px_BJ2=torch.from_numpy(self.joints_px_NJ2[index]),
            valid_BJ=torch.from_numpy(self.valid_NJ[index]),
            sigma_px_BJ=torch.from_numpy(self.sigma_px_NJ[index]),
            joints_m_BJ3=torch.from_numpy(self.joints_m_NJ3[index]),
            has_joints_m_B=torch.from_numpy(self.has_joints_m_N[index]),
            mask_BSS=torch.from_numpy(self.mask_NSS[index]).float() / 255,
            has_mask_B=torch.from_numpy(self.has_mask_N[index]),
            pose_B45=pose,
            shape_B10=shape,
            root_B3=root,
            scale_B=scale[:, 0],
            trans_B3=trans,
            has_params_B=torch.from_numpy(self.has_params_N[index]),
            is_hand_B=torch.from_numpy(self.is_hand_N[index]),
        )

    def sample(self, i: int) -> Sample:
        """Return one sample, with None for absent labels."""
        side = self.names.side[i]
        return Sample(
            rgb=self.rgb_NSS3[i],
            K=self.K_N33[i],
            joints_px=self.joints_px_NJ2[i],
            joint_valid=self.valid_NJ[i],
            sigma_px=self.sigma_px_NJ[i],
            side="left" if side == "left" else "right",
            source=self.names.source[i],
            name=self.names.name[i],
            split_key=self.names.split_key[i],
            view=self.names.view[i],
            joints_m=self.joints_m_NJ3[i] if self.has_joints_m_N[i] else None,
            mask=self.mask_NSS[i] if self.has_mask_N[i] else None,
            params=_params_of(self.params_N62[i], self.names.hand_model[i]) if self.has_params_N[i] else None,
            is_hand=bool(self.is_hand_N[i]),
        )


_WORDS = tuple(SampleNames.__dataclass_fields__)
_ARRAYS = tuple(name for name in Pack.__dataclass_fields__ if name != "names")
# What a file's arrays hold: their number type, and the shape of one sample's part.
_KINDS: dict[str, tuple[type, tuple[int, ...]]] = {
    "K_N33": (np.float32, (3, 3)),
    "joints_px_NJ2": (np.float32, (NUM_JOINTS, 2)),
    "valid_NJ": (np.bool_, (NUM_JOINTS,)),
    "sigma_px_NJ": (np.float32, (NUM_JOINTS,)),
    "joints_m_NJ3": (np.float32, (NUM_JOINTS, 3)),
    "has_joints_m_N": (np.bool_, ()),
    "has_mask_N": (np.bool_, ()),
    "params_N62": (np.float32, (62,)),
    "has_params_N": (np.bool_, ()),
    "is_hand_N": (np.bool_, ()),
}
_LABELS = tuple(_KINDS)


def pack_of(samples: Sequence[Sample]) -> Pack:
    """Stack samples of one picture size. Raises ValueError when there are none."""
    if not samples:
        raise ValueError("a pack needs at least one sample")
    size = samples[0].rgb.shape[0]
    f32 = np.float32
    none_m, none_mask, none_params = np.zeros((NUM_JOINTS, 3), f32), np.zeros((size, size), np.uint8), np.zeros(62, f32)
    words = {name: tuple(str(getattr(s, name)) for s in samples) for name in _WORDS if name != "hand_model"}
    words["hand_model"] = tuple("" if s.params is None else s.params.hand_model for s in samples)
    return Pack(
        rgb_NSS3=np.stack([s.rgb for s in samples]),
        K_N33=np.stack([s.K for s in samples]).astype(f32),
        joints_px_NJ2=np.stack([s.joints_px for s in samples]).astype(f32),
        valid_NJ=np.stack([s.joint_valid for s in samples]).astype(bool),
        sigma_px_NJ=np.stack([s.sigma_px for s in samples]).astype(f32),
        joints_m_NJ3=np.stack([none_m if s.joints_m is None else s.joints_m for s in samples]).astype(f32),
        has_joints_m_N=np.array([s.joints_m is not None for s in samples]),
        mask_NSS=np.stack([none_mask if s.mask is None else s.mask for s in samples]),
        has_mask_N=np.array([s.mask is not None for s in samples]),
        params_N62=np.stack([none_params if s.params is None else _vector_of(s.params) for s in samples]).astype(f32),
        has_params_N=np.array([s.params is not None for s in samples]),
        is_hand_N=np.array([s.is_hand for s in samples]),
        names=SampleNames(**words),
    )


def join(packs: Sequence[Pack]) -> Pack:
    """Concatenate packs of one picture size."""
    if len(packs) == 1:
        return packs[0]
    arrays = {name: np.concatenate([getattr(p, name) for p in packs]) for name in _ARRAYS}
    words = {name: tuple(w for p in packs for w in getattr(p.names, name)) for name in _WORDS}
    return Pack(**arrays, names=SampleNames(**words))


def write_pack(pack: Pack, path: Path, *, quality: int = JPEG_QUALITY) -> None:
    """Write a pack, pictures as JPEG of this quality. Raises OutputError when the file cannot be written."""
    rgb = [cv2.imencode(".jpg", p[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for p in pack.rgb_NSS3]
    masks = [
        cv2.imencode(".png", m)[1] if has else np.zeros(0, np.uint8)
        for m, has in zip(pack.mask_NSS, pack.has_mask_N, strict=True)
    ]
    tensors = {name: np.ascontiguousarray(getattr(pack, name)) for name in _LABELS}
    tensors |= _bytes_and_offsets("rgb", rgb) | _bytes_and_offsets("mask", masks)
    header = {"format": _FORMAT, "names": json.dumps({name: getattr(pack.names, name) for name in _WORDS})}
    hands = sorted({*pack.names.hand_model} - {""})
    header["hand_probes"] = json.dumps({hand: hand_probe(hand).round(5).tolist() for hand in hands})
    write_atomically(path, to_safetensors(tensors, header))


def read_pack(path: Path) -> Pack:
    """Read a pack, or all packs of a folder, into memory. Raises SourceError naming the file that is missing or damaged."""
    return join([_read_file(file) for file in pack_files(path)])


def pack_files(path: Path) -> list[Path]:
    """Return the pack, or the packs of a folder. Raises SourceError when there is none."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise SourceError(
            f"{path}: no pack (*.safetensors) in this folder. Make one with `training synthesize` or `training label`."
        )
    return files


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackFile:
    """A pack as stored in its file: pictures still encoded, labels as arrays, and probes of its hands as they were."""

    path: Path
    tensors: dict[str, npt.NDArray[np.generic]]
    names: SampleNames
    hand_probes: dict[str, FloatArray]


def open_pack_file(path: Path) -> PackFile:
    """Read a file without decoding its pictures. Raises SourceError when it is missing, damaged or not a pack."""
    if not path.is_file():
        raise SourceError(f"{path}: no such pack. Make one with `training synthesize` or `training label`.")
    if not os.access(path, os.R_OK):  # safetensors would report it as missing
        raise SourceError(f"{path}: cannot be read. Check its permissions, or give another pack.")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format", "").startswith(_FORMAT_NAME) and header["format"] != _FORMAT:
                raise SourceError(f"{path}: a pack of another version, '{header['format']}', not '{_FORMAT}'. Write it again.")
            if header.get("format") != _FORMAT:
                raise SourceError(f"{path}: a safetensors file, but not a pack of samples. Give a file written by this program.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
            words = {name: tuple(map(str, values)) for name, values in json.loads(header["names"]).items()}
            probes = dict(json.loads(header.get("hand_probes", "{}")))
            return PackFile(path=path, tensors=tensors, names=SampleNames(**words), hand_probes=probes)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> SourceError:
    """Return the error that names a damaged pack."""
    return SourceError(f"{path}: the pack is damaged ({error}). Write it again.")


def _read_file(path: Path) -> Pack:
    file = open_pack_file(path)
    try:
        return without_stale_params(_decode(file.tensors, file.names), file)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from error


def hand_probe(hand_model: str) -> FloatArray:
    """Return a hand's joints (2, 21, 3), m, in a flat and in a bent pose of two shapes: they show what its parameters mean."""
    model = load_hand_model(hand_model)
    bent = torch.zeros(45)
    bent[2::3] = 0.6
    pose, shape = torch.stack([torch.zeros(45), bent]), torch.stack([torch.zeros(10), torch.ones(10)])
    still = torch.zeros(2, 3)
    return model.forward(pose, shape, still, torch.ones(2), still).joints_BJ3.double().numpy()


def _is_same_hand(hand: str, made_with: dict[str, FloatArray]) -> bool:
    if hand not in made_with or hand not in known_hands():
        return False
    then, now = np.asarray(made_with[hand], float), hand_probe(hand)
    return then.shape == now.shape and bool(np.linalg.norm(then - now, axis=-1).mean() < SAME_HAND_M)


def without_stale_params(pack: Pack, file: PackFile) -> Pack:
    """Return the pack without parameters of hands that are missing or have changed since: they mean something else now."""
    stale = {hand for hand in {*pack.names.hand_model} - {""} if not _is_same_hand(hand, file.hand_probes)}
    if not stale:
        return pack
    warnings.warn(
        f"{file.path}: parameters of the hand {', '.join(sorted(stale))} are left out: they belong to another version of it.",
        stacklevel=3,
    )
    fresh = np.array([hand not in stale for hand in pack.names.hand_model])
    return with_labels(pack, has_params_N=pack.has_params_N & fresh)


def _decode(tensors: dict[str, npt.NDArray[np.generic]], names: SampleNames) -> Pack:
    rgb, mask = decode_pictures(encoded_pictures(tensors, "rgb"), encoded_pictures(tensors, "mask"))
    return labelled(rgb, mask, tensors, names)


def decode_pictures(rgb: Sequence[UInt8Array], mask: Sequence[UInt8Array]) -> tuple[UInt8Array, UInt8Array]:
    """Decode pictures (N, S, S, 3) RGB and masks (N, S, S); a missing mask is blank. Raises ValueError."""
    pictures = np.stack([_picture(buffer, cv2.IMREAD_COLOR)[..., ::-1] for buffer in rgb])
    blank = np.zeros(pictures.shape[1:3], np.uint8)
    return pictures, np.stack([_picture(b, cv2.IMREAD_GRAYSCALE) if len(b) else blank for b in mask])


def labelled(rgb: UInt8Array, mask: UInt8Array, tensors: dict[str, npt.NDArray[np.generic]], names: SampleNames) -> Pack:
    """Put pictures and a file's labels together. Raises ValueError where they are not valid as samples."""
    labels = {name: tensors[name] for name in _LABELS}
    for name, (kind, shape) in _KINDS.items():
        if labels[name].dtype != kind or labels[name].shape[1:] != shape:
            raise ValueError(f"{name} holds {labels[name].dtype} {labels[name].shape[1:]}, not {kind.__name__} {shape}")
    lengths = {len(names.name), len(rgb), len(mask), *(len(array) for array in labels.values())}
    if len(lengths) != 1:
        raise ValueError(f"arrays of different lengths {sorted(lengths)}")
    pack = Pack(rgb_NSS3=rgb, mask_NSS=mask, names=names, **labels)  # type: ignore[arg-type]
    known_m = pack.joints_m_NJ3[pack.has_joints_m_N]
    if not all(np.isfinite(numbers).all() for numbers in (pack.K_N33, pack.joints_px_NJ2[pack.valid_NJ], known_m)):
        raise ValueError("a camera or a joint is not finite")
    if not (pack.K_N33[:, [0, 1], [0, 1]] > 0).all():
        raise ValueError("a focal length is not positive")
    return pack


def _picture(buffer: UInt8Array, flag: int) -> UInt8Array:
    picture = cv2.imdecode(buffer, flag) if len(buffer) else None
    if picture is None:
        raise ValueError("a picture cannot be decoded")
    return np.asarray(picture, np.uint8)


def _bytes_and_offsets(name: str, parts: Iterable[UInt8Array]) -> dict[str, npt.NDArray[np.generic]]:
    flat = [np.asarray(part, np.uint8).ravel() for part in parts]
    ends = np.cumsum([0, *(len(part) for part in flat)]).astype(np.int64)
    return {f"{name}_bytes": np.concatenate(flat), f"{name}_offsets": ends}


def encoded_pictures(tensors: dict[str, npt.NDArray[np.generic]], name: str) -> list[UInt8Array]:
    """Return a file's encoded pictures (``rgb`` or ``mask``), empty for a missing one. Raises ValueError."""
    data, ends = np.asarray(tensors[f"{name}_bytes"], np.uint8), tensors[f"{name}_offsets"]
    if not len(ends) or len(data) != int(ends[-1]):
        raise ValueError(f"{name} bytes cut off")
    return [data[a:b] for a, b in itertools.pairwise(ends.tolist())]


def _vector_of(params: HandParams) -> FloatArray:
    parts = (params.pose, params.shape, params.root_rotation, [params.scale], params.translation_m)
    return np.concatenate([np.asarray(p, np.float32) for p in parts])


def _params_of(vector: FloatArray, hand_model: str) -> HandParams:
    pose, shape, root, scale, trans = np.split(vector, [45, 55, 58, 59])
    return HandParams(
        pose=pose, shape=shape, root_rotation=root, scale=float(scale[0]), translation_m=trans, hand_model=hand_model
    )


def with_labels(pack: Pack, **arrays: npt.NDArray[np.generic]) -> Pack:
    """Return the pack with some arrays replaced."""
    return replace(pack, **arrays)  # type: ignore[arg-type]
