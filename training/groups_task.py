"""The groups network as the trainer sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from handviz.errors import ModelFileError
from handviz.models.checkpoint import load_groups, save_groups
from handviz.models.groups import GroupsConfig, GroupsNetwork, GroupsOutput
from handviz.records import UInt8Array
from training.board import batch_errors, pixel_error, selector_picture, selector_scalars
from training.data.sample import Batch
from training.losses import LossTerms, LossWeights, groups_loss, hourglass_loss
from training.optim import parameter_groups, side_parameters, temperature_at
from training.recipes.records import Recipe, Stage
from training.start import grouped_alike, take_over, take_over_shared


class GroupsTask:
    """Builds and trains a ``GroupsNetwork``: its hourglass alone on 2D joints, or everything with Eq. 10."""

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.network, GroupsConfig) and isinstance(recipe.loss, LossWeights)
        self.config, self.weights, self.temperature = recipe.network, recipe.loss, recipe.temperature

    def build(self) -> GroupsNetwork:
        """Return a new network."""
        return GroupsNetwork(self.config)

    def parameter_groups(self, network: nn.Module, stage: Stage, weight_decay: float) -> list[dict[str, object]]:
        """Return selector, fusion and the rest, each with its learning rate."""
        if stage.learns == "side":
            return side_parameters(network, stage, weight_decay)
        net = cast(GroupsNetwork, network)
        if stage.learns == "groups":
            net.hourglass.requires_grad_(False)
        # In the hourglass' own stage the rest of the network has no gradient.
        learns = net.hourglass if stage.learns == "hourglass" else net
        return parameter_groups(learns.named_parameters(), stage, weight_decay)

    def before_step(self, network: nn.Module, stage_step: int, run_share: float) -> None:
        """Set the selector's temperature."""
        cast(GroupsNetwork, network).selector.temperature.fill_(temperature_at(self.temperature, stage_step, run_share))

    def extra(self, step: int, share_done: float) -> Batch | None:
        """Return None: nothing joins the recipe's batches."""
        return None

    def loss(
        self, network: nn.Module, batch: Batch, stage: Stage, mixed_precision: bool
    ) -> tuple[Tensor, LossTerms | None, GroupsOutput | Tensor]:
        """Return the loss; while the hourglass learns alone there are no terms, and the output is its 2D joints (B, 21, 2)."""
        net = cast(GroupsNetwork, network)
        net.train(stage.learns != "side")
        if stage.learns == "groups":
            net.hourglass.eval()
        rgb = batch.rgb_B3SS.contiguous(memory_format=torch.channels_last)
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=mixed_precision):
            if stage.learns == "hourglass":
                uv_BJ2, heat_BJHW = net.first_guess(rgb)
                return hourglass_loss(uv_BJ2, heat_BJHW, batch, self.weights), None, uv_BJ2.detach()
            output: GroupsOutput = net(rgb)
        terms = groups_loss(output, batch, self.weights)
        return terms.total, terms, output

    def errors(self, output: Any, batch: Batch) -> dict[str, float]:
        """Return 2D, depth and EPE errors, or only the first."""
        return {"px": pixel_error(output, batch)} if isinstance(output, Tensor) else batch_errors(output, batch)

    def joints_px(self, output: Any) -> Tensor:
        """Return the 2D joints."""
        return output if isinstance(output, Tensor) else cast(GroupsOutput, output).uv_BJ2

    def scalars(self, network: nn.Module) -> dict[str, float]:
        """Return the selector's entropy and temperature."""
        return selector_scalars(cast(GroupsNetwork, network).selector)

    def pictures(self, network: nn.Module) -> dict[str, UInt8Array]:
        """Return the selector's probabilities."""
        return {"selector": selector_picture(cast(GroupsNetwork, network).selector)}

    def start_from(self, network: nn.Module, path: Path) -> None:
        """Load the weights of a network of this configuration or of a shallower one; with other groups, the shared layers only.

        Raises ModelFileError where they do not fit, or where groups start anew and the recipe would not let them be learned.
        """
        net, other = cast(GroupsNetwork, network), load_groups(path)[0]
        if grouped_alike(net, other):
            take_over(net, other, path)
            return
        if net.config.grouping == "learned" and self.temperature.start < 1:
            raise ModelFileError(
                f"{path}: has other groups than this recipe, whose selector's temperature is too low to learn new ones. "
                "Use the recipe groups-live-regroup."
            )
        take_over_shared(net, other, path)

    def save(self, path: Path, network: nn.Module, notes: Mapping[str, str]) -> None:
        """Write the weights."""
        save_groups(path, cast(GroupsNetwork, network), notes)
