"""Starting from trained weights, including those of a shallower network, one without a side head, or one with other groups."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from handviz.errors import ModelFileError
from handviz.models.dense import DenseNetwork
from handviz.models.groups import GroupsConfig, GroupsNetwork

# The parts of a groups network that exist once per group, or that choose among groups.
_OF_GROUPS = frozenset({"branches", "fusions", "heat_heads", "depth_heads", "selector"})


def take_over(network: DenseNetwork | GroupsNetwork, other: DenseNetwork | GroupsNetwork, path: Path) -> None:
    """Copy the weights of ``other``, read from ``path``, into a network of the same configuration, or one that only adds to it.

    Additional residuals of the live network's kind start as the identity, so the deeper network first gives the other's
    answers. A side head that the other lacks starts at random. Raises ModelFileError for any other difference.
    """
    groups = _groups_config(network)
    if _grown(_groups_config(other), groups) != groups or not _same_apart_from_groups(network, other):
        raise ModelFileError(f"{path}: has another configuration than this recipe's network. Change the recipe to match.")
    missing = network.load_state_dict(other.state_dict(), strict=False).missing_keys
    assert all("hourglass" in name or "side" in name.split(".") for name in missing), missing


def grouped_alike(network: GroupsNetwork, other: GroupsNetwork) -> bool:
    """Say whether two networks have the same number of groups, chosen in the same way, both with or both without fusion."""
    return _grouped_as(other.config, network.config) == other.config


def take_over_shared(network: GroupsNetwork, other: GroupsNetwork, path: Path) -> None:
    """Copy what all groups share from a network with other groups: hourglass, neck, depth lift, presence and side heads.

    Each group's own layers and the selector start at random. Raises ModelFileError for any other difference.
    """
    if _grouped_as(other.config, network.config) != network.config:
        raise ModelFileError(f"{path}: differs from this recipe's network in more than its groups. Change the recipe to match.")
    shared = {name: t for name, t in other.state_dict().items() if name.split(".")[0] not in _OF_GROUPS}
    network.load_state_dict(shared, strict=False)


def _grouped_as(config: GroupsConfig, wanted: GroupsConfig) -> GroupsConfig:
    return dataclasses.replace(config, groups=wanted.groups, grouping=wanted.grouping, fusion=wanted.fusion)


def _groups_config(network: DenseNetwork | GroupsNetwork) -> GroupsConfig | None:
    return network.config if isinstance(network, GroupsNetwork) else network.config.groups


def _same_apart_from_groups(one: DenseNetwork | GroupsNetwork, other: DenseNetwork | GroupsNetwork) -> bool:
    if isinstance(one, DenseNetwork) and isinstance(other, DenseNetwork):
        return dataclasses.replace(one.config, groups=other.config.groups) == other.config
    return type(one) is type(other)


def _grown(begun: GroupsConfig | None, wanted: GroupsConfig | None) -> GroupsConfig | None:
    """Return ``begun`` with the side head of ``wanted``, and its residuals where the additional ones start as the identity."""
    if begun is None or wanted is None:
        return begun
    if wanted.side and begun.presence:
        begun = dataclasses.replace(begun, side=True)
    before, after = begun.hourglass.level_modules, wanted.hourglass.level_modules
    grows = len(before) == len(after) and all(a <= b for a, b in zip(before, after, strict=True))
    if not grows or begun.hourglass.block != "postactivation":
        return begun
    return dataclasses.replace(begun, hourglass=dataclasses.replace(begun.hourglass, level_modules=after))
