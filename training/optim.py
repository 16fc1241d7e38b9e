"""What the optimiser sees: parameter groups with their own learning rates, schedules, and the averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from handviz.models.selector import FINAL_TEMPERATURE
from handviz.processor import multiplies_bfloat16
from training.recipes.records import Stage, Temperature


def parameter_groups(named: Iterable[tuple[str, nn.Parameter]], stage: Stage, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters that learn into selector, fusion and the rest, each with its learning rate.

    Weights of convolutions and linear layers decay; norms, biases, temperatures and the selector do not.
    """
    # Keyed by what they are, not by their rates and decay, which a resumed run may change.
    parts: dict[tuple[str, bool], list[nn.Parameter]] = {}
    rates = {"selector": stage.lr_selector, "fusions": stage.lr_fusion, "rest": stage.lr}
    for name, p in named:
        if p.requires_grad:
            part = next((part for part in name.split(".") if part in rates), "rest")
            parts.setdefault((part, p.ndim > 1 and part != "selector"), []).append(p)
    return [
        {"params": ps, "lr": rates[part], "base_lr": rates[part], "weight_decay": weight_decay if decays else 0.0}
        for (part, decays), ps in parts.items()
    ]


def side_parameters(network: nn.Module, stage: Stage, weight_decay: float) -> list[dict[str, object]]:
    """Freeze all of a network but its side head, and return that head's. Norms keep their statistics only in evaluation mode.

    What is frozen learns again in the next stage: the trainer unfreezes it.
    """
    for name, p in network.named_parameters():
        p.requires_grad_("side" in name.split("."))
    return parameter_groups(network.named_parameters(), stage, weight_decay)


def lr_factor(stage: Stage, stage_step: int, stage_progress: float) -> float:
    """Return the factor on every learning rate at this point of the stage (progress in 0 to 1)."""
    warm = min(1.0, (stage_step + 1) / stage.warmup_steps) if stage.warmup_steps else 1.0
    if stage.schedule == "constant":
        return warm
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(stage_progress, 1.0))))


def temperature_at(plan: Temperature, stage_step: int, run_share: float) -> float:
    """Return the selector's temperature: the paper's 5 - 0.1 per 1,000 steps, or a linear fall until a share of the run."""
    if plan.drop_per_1000 is not None:
        # In steps of 1,000, as the paper says.
        return max(plan.start - plan.drop_per_1000 * (stage_step // 1000), FINAL_TEMPERATURE)
    return max(plan.start * (1 - run_share / plan.ends_at), FINAL_TEMPERATURE)


def mixes_precision(device: torch.device) -> bool:
    """Return whether bfloat16 is worthwhile on this device: a GPU (Ampere or later) or a CPU that multiplies it."""
    if device.type == "cuda":
        # Torch emulates it on older ones, which is slower than float32.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return multiplies_bfloat16()


class MovingAverage:
    """Exponential moving average of a network's weights and norm statistics; short at the start, so that it never lags far."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards the network's current weights."""
        decay = min(self.decay, (1 + step) / (10 + step))
        theirs = network.state_dict()
        floats: list[Tensor] = []
        news: list[Tensor] = []
        for name, mine in self.network.state_dict().items():
            if mine.is_floating_point():
                floats.append(mine)
                news.append(theirs[name].to(mine.dtype))
            else:
                mine.copy_(theirs[name])
        torch._foreach_lerp_(floats, news, 1 - decay)
