"""What a recipe trains. The trainer knows a network and its loss only through this interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from handviz.records import UInt8Array
from training.data.sample import Batch
from training.recipes.records import Recipe, Stage


class Terms(Protocol):
    """Unweighted loss terms for curves."""

    def numbers(self) -> dict[str, float]:
        """Return the terms as floats."""
        ...


class Task(Protocol):
    """A network to build, what of it learns in a stage, its loss, and what of it is shown and saved."""

    def build(self) -> nn.Module:
        """Return a new network."""
        ...

    def parameter_groups(self, network: nn.Module, stage: Stage, weight_decay: float) -> list[dict[str, object]]:
        """Return the parameters that learn in this stage, each group with its ``lr`` and ``base_lr``."""
        ...

    def before_step(self, network: nn.Module, stage_step: int, run_share: float) -> None:
        """Update the values inside the network that follow a schedule."""
        ...

    def extra(self, step: int, share_done: float) -> Batch | None:
        """Return stored crops to add to batch number ``step``, or None."""
        ...

    def loss(self, network: nn.Module, batch: Batch, stage: Stage, mixed_precision: bool) -> tuple[Tensor, Terms | None, Any]:
        """Return the loss, its terms (None where there are none worth a curve) and the network's output."""
        ...

    def errors(self, output: Any, batch: Batch) -> dict[str, float]:
        """Return the errors worth a curve and a progress line."""
        ...

    def joints_px(self, output: Any) -> Tensor:
        """Return the answer's joints (B, 21, 2) in crop pixels."""
        ...

    def scalars(self, network: nn.Module) -> dict[str, float]:
        """Return numbers of the network itself that are worth a curve."""
        ...

    def pictures(self, network: nn.Module) -> dict[str, UInt8Array]:
        """Return pictures of the network itself."""
        ...

    def start_from(self, network: nn.Module, path: Path) -> None:
        """Load weights to start from. Raises ModelFileError when they do not fit."""
        ...

    def save(self, path: Path, network: nn.Module, notes: Mapping[str, str]) -> None:
        """Write the weights. Raises OutputError."""
        ...


def task_of(recipe: Recipe) -> Task:
    """Return the task for a recipe's kind of network."""
    from handviz.models.dense import DenseConfig
    from training.dense.task import DenseTask
    from training.groups_task import GroupsTask

    return DenseTask(recipe) if isinstance(recipe.network, DenseConfig) else GroupsTask(recipe)
