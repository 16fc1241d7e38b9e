"""Weights on disk: safetensors with what is needed to rebuild the network in the header. Nothing read here can run code."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors

from handviz.errors import ModelFileError, OutputError
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from handviz.models.weights_files import GROUPS_KIND, Weights, read_weights, unfit_configuration

# Exceptions from building a network whose configuration has values of the wrong type or size.
WRONG_CONFIG = (ValueError, TypeError, RuntimeError)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step: after a full disk or a crash the old file is still intact.

    Raises OutputError naming the file when it cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: could not be written ({error.strerror or error}). An older file there is unchanged. "
            "Choose a writable folder with enough free space."
        ) from error


def save_weights(path: Path, weights: Weights) -> None:
    """Write a weights file. Raises OutputError; an older file survives a failed write."""
    header = {"kind": weights.kind, "config": json.dumps(weights.config), **weights.notes}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.tensors.items()}
    write_atomically(path, to_safetensors(tensors, header))


def load_weights(path: Path, kind: str) -> Weights:
    """Read a weights file of this kind. Raises ModelFileError saying what is wrong with it."""
    return read_weights(path, kind, "pt")


def groups_config_from(values: Mapping[str, Any]) -> GroupsConfig:
    """Rebuild a configuration from its JSON form. Raises ValueError for unknown keys or values."""
    unknown = set(values) - {f.name for f in dataclasses.fields(GroupsConfig)}
    if unknown:
        raise ValueError(f"unknown configuration keys {sorted(unknown)}")
    try:
        plain = _lists_to_tuples(values)
        if "hourglass" in plain:
            plain["hourglass"] = HourglassConfig(**_lists_to_tuples(plain["hourglass"]))
        return GroupsConfig(**plain)
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _lists_to_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def least_size(config: GroupsConfig) -> int:
    """Return a lower bound for the number of parameters of a network of this configuration."""
    hourglass = config.hourglass
    levels = sum(width * width * count for width, count in zip(hourglass.level_widths, hourglass.level_modules, strict=True))
    neck = sum(a * b for a, b in pairwise((hourglass.level_widths[0], *config.neck_widths)))
    return levels + hourglass.stem_width**2 + neck + config.groups * sum(width * width for width in config.branch_widths)


def check_room(least: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError where a file's tensors hold fewer numbers than its network needs: building it could fill the memory."""
    held = sum(tensor.numel() for tensor in tensors.values())
    if least > held:
        raise ValueError(f"it needs at least {least} numbers, but the file holds {held}")


def save_groups(path: Path, network: GroupsNetwork, notes: Mapping[str, str], dtype: torch.dtype = torch.float32) -> None:
    """Write a groups network; ``dtype`` float16 halves the file. Raises OutputError."""
    tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in network.state_dict().items()}
    config = dataclasses.asdict(network.config)
    save_weights(path, Weights(kind=GROUPS_KIND, config=config, tensors=tensors, notes=notes))


def load_groups(path: Path, *, groups: int | None = None) -> tuple[GroupsNetwork, Mapping[str, str]]:
    """Read a groups network (eval mode, float32, CPU) and its notes.

    ``groups`` is the K it must have. Raises ModelFileError for another model, another K, a truncated or foreign file.
    """
    weights = load_weights(path, GROUPS_KIND)
    try:
        config = groups_config_from(weights.config)
        check_room(least_size(config), weights.tensors)
        network = GroupsNetwork(config)
    except WRONG_CONFIG as error:
        raise unfit_configuration(path, error) from error
    if groups is not None and config.groups != groups:
        raise ModelFileError(
            f"{path}: was trained with K = {config.groups} groups, not {groups}. Give weights with K = {groups}."
        )
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in weights.tensors.items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelFileError(f"{path}: its tensors do not fit its configuration ({reason}). Export it again.") from error
    return network.eval(), weights.notes
