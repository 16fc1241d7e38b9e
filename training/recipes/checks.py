"""Which values of a recipe are invalid, alone or in combination."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from handviz.models.dense import DenseConfig
from handviz.models.groups import GroupsConfig
from handviz.models.selector import JointSelector
from training.dense.losses import DenseLossWeights
from training.recipes.records import Recipe, Stage

# Larger seeds would not fit into the numbers that seed the batches.
MOST_SEED = 2**31 - 1


def problems_of(wanted: Recipe) -> Iterator[str]:
    """Yield each problem as one sentence."""
    yield from _numbers(wanted)
    yield from _stages(wanted)
    yield from _network(wanted)
    yield from _losses(wanted)


def tells_side(network: GroupsConfig | DenseConfig) -> bool:
    """Say whether a network has a side head."""
    groups = _groups_of(network)
    return groups is not None and groups.side


def _groups_of(network: GroupsConfig | DenseConfig) -> GroupsConfig | None:
    return network if isinstance(network, GroupsConfig) else network.groups


def _numbers(wanted: Recipe) -> Iterator[str]:
    counts = {"steps": wanted.steps, "log_every": wanted.log_every, "picture_every": wanted.picture_every}
    rates: dict[str, float] = {"weight_decay": wanted.weight_decay, "save_every_s": wanted.save_every_s}
    for i, stage in enumerate(wanted.stages):
        counts[f"stages.{i}.batch_size"] = stage.batch_size
        rates |= {f"stages.{i}.{name}": getattr(stage, name) for name in ("lr", "lr_selector", "lr_fusion", "warmup_steps")}
    yield from (f"{name} must be 1 or more, not {value}" for name, value in counts.items() if value < 1)
    yield from (f"{name} must be 0 or more, not {value}" for name, value in rates.items() if value < 0)
    if not 0 <= wanted.seed <= MOST_SEED:
        yield f"seed must be from 0 to {MOST_SEED}, not {wanted.seed}"
    if wanted.temperature.ends_at <= 0:
        yield f"temperature.ends_at must be above 0, not {wanted.temperature.ends_at}"
    if not 0 <= wanted.ema_decay < 1:
        yield f"ema_decay must be at least 0 and below 1, not {wanted.ema_decay}"
    if wanted.clip_norm <= 0:
        yield f"clip_norm must be above 0, not {wanted.clip_norm}"
    if not 0 <= wanted.mirrored <= 1:
        yield f"mirrored must be a share from 0 to 1, not {wanted.mirrored}"


def _stages(wanted: Recipe) -> Iterator[str]:
    shares = [stage.share for stage in wanted.stages]
    if min(shares) <= 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        yield f"the stages' shares must be above 0 and add up to 1, not {shares}"
    foreign = ("mesh",) if isinstance(wanted.network, GroupsConfig) else ("hourglass", "groups")
    for i, stage in enumerate(wanted.stages):
        if stage.learns in foreign:
            yield f"stages.{i}.learns: '{stage.learns}' belongs to another kind of network"


def _network(wanted: Recipe) -> Iterator[str]:
    groups = _groups_of(wanted.network)
    if groups is not None and groups.side and not groups.presence:
        yield "network: a side head needs a presence head"
    if wanted.self_augmentation is not None and isinstance(wanted.network, GroupsConfig):
        yield "self_augmentation makes new views of meshes, which only a dense network has"
    try:
        _try_sizes(wanted.network, wanted.stages)
    except ValueError as error:
        yield f"network: {error}"


def _try_sizes(network: GroupsConfig | DenseConfig, stages: tuple[Stage, ...]) -> None:
    """Raise ValueError where a network, or a stage's pictures, cannot have these sizes."""
    groups = _groups_of(network)
    if groups is not None:
        JointSelector(groups.grouping, groups.groups)
    for stage in stages:
        if stage.input_size is None:
            continue
        if isinstance(network, DenseConfig) and stage.input_size != network.input_size:
            raise ValueError(f"a dense network learns at its own input_size, {network.input_size}, not at {stage.input_size}")
        dataclasses.replace(network, input_size=stage.input_size)


def _losses(wanted: Recipe) -> Iterator[str]:
    network, loss = wanted.network, wanted.loss
    if isinstance(loss, DenseLossWeights) and isinstance(network, DenseConfig):
        live = network.evidence == "live"
        if loss.mask_head and not (live and network.mask):
            yield "loss.mask_head has a weight, but the network has no mask head. Set it to 0, or network.mask to true"
        if loss.evidence and not live:
            yield "loss.evidence has a weight, but the evidence is not a groups network. Set it to 0"
    side = loss.groups.side * loss.evidence if isinstance(loss, DenseLossWeights) else loss.side
    if any(stage.learns == "side" for stage in wanted.stages) and not (tells_side(network) and side):
        yield "a stage that learns the side needs a network with a side head, and a weight on its loss"
