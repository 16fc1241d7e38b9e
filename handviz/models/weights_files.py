"""Which weights files there are, those that come with the package and the user's own, and what is in them. Needs no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from handviz.errors import ModelFileError
from handviz.paths import data_folder

GROUPS_KIND = "handviz-groups-1"
DENSE_KIND = "handviz-dense-1"
WEIGHTS_SUFFIX = ".safetensors"
# What an estimator runs unless the user gives other weights.
DEFAULT_NAMES = {GROUPS_KIND: "groups-live.safetensors", DENSE_KIND: "dense-live.safetensors"}
# The further files of a network that was split; they are opened with the first.
PART = re.compile(r"\.part\d+\.safetensors$")
# A file's size and its modification time in nanoseconds: a rewritten file has another version.
FileVersion = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """A weights file by its header: what it is for, and K where its network has joint groups."""

    path: Path
    kind: str
    groups: int | None = None

    @property
    def label(self) -> str:
        """A short label for a list of choices."""
        return self.path.stem if self.groups is None else f"K {self.groups} · {self.path.stem}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """What a weights file holds: the network's kind, its configuration, its tensors, and notes such as recipe and step."""

    kind: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Any]
    notes: Mapping[str, str]


def unfit_configuration(path: Path, error: Exception) -> ModelFileError:
    """Return the error for a file whose configuration gives no network; ``error`` is what was raised when building it."""
    reason = str(error).partition("\n")[0]  # torch's errors go on with places in its own code
    return ModelFileError(f"{path}: its configuration does not fit this version ({reason}). Export it again.")


def read_weights(path: Path, kind: str, framework: Literal["np", "pt"], names: Collection[str] | None = None) -> Weights:
    """Read a weights file of this kind, its tensors as arrays ("np") or for torch ("pt"); only ``names`` where given.

    Raises ModelFileError saying what is wrong with it.
    """
    try:
        _check_file(path)
        with safe_open(path, framework=framework) as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys() if names is None or name in names}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: truncated, or not a safetensors file ({error}). Fetch or export it again.") from error
    found = notes.pop("kind", "unknown")
    if found != kind:
        raise ModelFileError(f"{path}: holds weights of '{found}', but '{kind}' is needed. Give the weights of that network.")
    try:
        config = json.loads(notes.pop("config"))
    except (KeyError, json.JSONDecodeError) as error:
        raise ModelFileError(f"{path}: its header has no readable configuration. Export it again.") from error
    return Weights(kind=kind, config=config, tensors=tensors, notes=notes)


def _check_file(path: Path) -> None:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such weights file"
        names = ", ".join(found.stem for found in _in_folders())
        raise ModelFileError(
            f"{path}: {what}. Give a .safetensors file written by `training export`, or the name of one: {names}."
        )
    if not os.access(path, os.R_OK):  # safetensors would say that it does not exist
        raise ModelFileError(f"{path}: cannot be read. Check its permissions, or give another file.")


def shipped_folder() -> Path:
    """Return the folder of the weights that come with the package."""
    return Path(str(files("handviz") / "assets" / "models"))


def own_folder() -> Path:
    """Return the folder in which the user's own weights are looked for."""
    return data_folder() / "models"


def named_weights(named: Path | str) -> Path:
    """Return the file that a user named by its path, or by its bare name if it is shipped or in the user's folder."""
    named = Path(named)
    if named.exists() or named.suffix or len(named.parts) != 1:
        return named
    return next((path for path in _in_folders() if path.stem == named.name), named)


def version_of(path: Path | None) -> FileVersion | None:
    """Return the present version of a file, None where no file is named or it does not exist."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_size, found.st_mtime_ns)


def _in_folders() -> list[Path]:
    """Return all weights files to choose from, shipped ones first; of a split one, the first part."""
    found = (sorted(folder.glob(f"*{WEIGHTS_SUFFIX}"), key=lambda path: path.stem) for folder in (shipped_folder(), own_folder()))
    return [path for paths in found for path in paths if not PART.search(path.name)]


def read_header(path: Path) -> WeightsFile:
    """Read a weights file's header. Raises ModelFileError when it is missing or not a safetensors file."""
    try:
        _check_file(path)
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: truncated, or not a safetensors file ({error}). Give another file.") from error
    kind = header.get("kind", "unknown")
    return WeightsFile(path=path, kind=kind, groups=_groups(header.get("config", "")) if kind == GROUPS_KIND else None)


def _groups(config: str) -> int | None:
    try:
        groups = json.loads(config)["groups"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return None
    return groups if isinstance(groups, int) else None


def kind_of(path: Path) -> str:
    """Return the kind that a weights file names, or "unknown". Raises ModelFileError when it is not a safetensors file."""
    return read_header(path).kind


@lru_cache(maxsize=64)
def _read_once(path: Path, changed_ns: int) -> WeightsFile:
    """Read a header only once as long as its file does not change: every list of choices asks for it."""
    return read_header(path)


def known_weights(kind: str) -> tuple[WeightsFile, ...]:
    """Return the weights of a kind: the default, other shipped ones, the user's own; unreadable ones are left out."""
    found = []
    for path in _in_folders():
        try:
            header = _read_once(path, path.stat().st_mtime_ns)
        except (ModelFileError, OSError):
            continue
        if header.kind == kind:
            found.append(header)
    default = shipped_folder() / DEFAULT_NAMES.get(kind, "")
    return tuple(sorted(found, key=lambda file: file.path != default))
