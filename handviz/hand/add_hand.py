"""Add a user's own hand: MANO's pickle or a rigged glTF, converted once to a hand file in the user's data folder."""

from __future__ import annotations

import re
from pathlib import Path

from handviz.errors import ModelFileError, OutputError
from handviz.hand.gltf import read_gltf_hand
from handviz.hand.hand_file import HandArrays, check_hand, hand_file_bytes, read_hand_file, read_npz
from handviz.hand.library import DEFAULT_HAND, hand_path, user_hands_folder
from handviz.hand.mano import read_mano
from handviz.paths import replace_file

LONGEST_NAME = 60
GLTF_SUFFIXES = (".gltf", ".glb")


def add_hand(path: Path, name: str | None = None, texture: Path | None = None, *, replace: bool = False) -> Path:
    """Convert the hand at ``path`` and return its new file; its stem is the name for ``--hand-model``.

    ``path`` is MANO_RIGHT.pkl, MANO_LEFT.pkl or an .npz with their keys, a .gltf or .glb hand, or another hand file (.npz).
    ``name`` defaults to the file's own, in lower case; ``texture`` is a picture for a glTF hand. Raises ModelFileError for a
    file that is not a usable hand, OutputError when the hand cannot be stored or when another hand has that name: recordings may
    refer to that one, so only ``replace`` overwrites it.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such file. Give a hand: a MANO file, .gltf, .glb or .npz.")
    chosen = _clean_name(name if name is not None else path.stem)
    arrays = _read(path, texture)
    check_hand(arrays, str(path))
    target = user_hands_folder() / f"{chosen}.npz"
    try:
        content = hand_file_bytes(arrays)
        if not replace and target.exists() and target.read_bytes() != content:
            raise OutputError(f"There is already another hand '{chosen}'. Give another --name, or --replace it.")
        replace_file(target, content)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror}). Set HANDVIZ_DATA to a writable folder.") from error
    return target


def _read(path: Path, texture: Path | None) -> HandArrays:
    kind = path.suffix.lower()
    if texture is not None and kind not in GLTF_SUFFIXES:
        raise ModelFileError(f"{texture}: only a glTF hand takes a picture, and {path} is not one. Leave out --texture.")
    if kind == ".pkl":
        return read_mano(path)
    if kind in GLTF_SUFFIXES:
        return read_gltf_hand(path, read_hand_file(hand_path(DEFAULT_HAND)), texture)
    if kind == ".npz":
        return read_mano(path) if read_npz(path, ("v_template",)) else read_hand_file(path)
    raise ModelFileError(f"{path}: not a known kind of hand file. Give MANO_RIGHT.pkl, a .gltf or a .glb.")


def _clean_name(name: str) -> str:
    cleaned = re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("_-")[:LONGEST_NAME]
    if not cleaned or cleaned == DEFAULT_HAND:
        raise ModelFileError(f"'{name}' cannot be the name of a hand. Choose another with letters or digits.")
    return cleaned
