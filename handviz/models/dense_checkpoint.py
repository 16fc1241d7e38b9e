"""Dense networks on disk: the groups' safetensors format, in several files where one would be too large to ship."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handviz.errors import ModelFileError
from handviz.models.checkpoint import WRONG_CONFIG, check_room, groups_config_from, least_size, load_weights, save_weights
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_vector import VECTOR_SIZE
from handviz.models.weights_files import DENSE_KIND, Weights, unfit_configuration

# Files above this are split, so that every one of them can live in a repository.
SHARD_BYTES = 15 * 2**20


def dense_config_from(values: Mapping[str, Any]) -> DenseConfig:
    """Rebuild a configuration from its JSON form. Raises ValueError for unknown keys or values."""
    unknown = set(values) - {f.name for f in dataclasses.fields(DenseConfig)}
    if unknown:
        raise ValueError(f"unknown configuration keys {sorted(unknown)}")
    plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    try:
        if plain.get("groups") is not None:
            plain["groups"] = groups_config_from(plain["groups"])
        return DenseConfig(**plain)
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def save_dense(
    path: Path,
    network: DenseNetwork,
    notes: Mapping[str, str],
    dtype: torch.dtype = torch.float32,
    shard_bytes: int = SHARD_BYTES,
) -> list[Path]:
    """Write a dense network and return the files: ``path`` and, where one is too large, ``NAME.part2.safetensors`` etc.

    ``dtype`` float16 halves them. Raises OutputError.
    """
    tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in network.state_dict().items()}
    parts = _split(tensors, shard_bytes)
    paths = [path, *(_part_path(path, i) for i in range(2, len(parts) + 1))]
    header = {**notes, "parts": str(len(parts))}
    config = dataclasses.asdict(network.config)
    # The first file, which names the others, comes last: an interrupted save leaves no set that looks complete.
    for file, part in reversed(list(zip(paths, parts, strict=True))):
        save_weights(file, Weights(kind=DENSE_KIND, config=config, tensors=part, notes=header))
    return paths


def load_dense(path: Path) -> tuple[DenseNetwork, Mapping[str, str]]:
    """Read a dense network (eval mode, float32, CPU) and its notes.

    Raises ModelFileError for another model, a missing part, a truncated or foreign file.
    """
    weights = load_weights(path, DENSE_KIND)
    tensors = dict(weights.tensors)
    try:
        for i in range(2, int(weights.notes.get("parts", "1")) + 1):
            tensors |= load_weights(_part_path(path, i), DENSE_KIND).tensors
        config = dense_config_from(weights.config)
        check_room(_least_size(config), tensors)
        network = DenseNetwork(config)
    except WRONG_CONFIG as error:
        raise unfit_configuration(path, error) from error
    try:
        network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelFileError(f"{path}: its tensors do not fit its configuration ({reason}). Export it again.") from error
    return network.eval(), {name: text for name, text in weights.notes.items() if name != "parts"}


def _least_size(config: DenseConfig) -> int:
    mesh = sum(a * b for a, b in pairwise((*config.hidden, VECTOR_SIZE)))
    return mesh + (0 if config.groups is None else least_size(config.groups))


def _part_path(path: Path, i: int) -> Path:
    return path.with_name(f"{path.stem}.part{i}{path.suffix}")


def _split(tensors: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    parts: list[dict[str, Tensor]] = [{}]
    room = limit
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if size > room and parts[-1]:
            parts.append({})
            room = limit
        parts[-1][name] = tensor
        room -= size
    return parts
