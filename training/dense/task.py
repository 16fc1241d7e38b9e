"""The dense network as the trainer sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from handviz.errors import HandvizError, ModelFileError
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import ROOT
from handviz.models.checkpoint import load_groups
from handviz.models.dense import DenseConfig, DenseNetwork, DenseOutput
from handviz.models.dense_checkpoint import load_dense, save_dense
from handviz.models.dense_evidence import LiveEvidence
from handviz.models.dense_vector import project_points
from handviz.models.selector import FINAL_TEMPERATURE, JointSelector
from handviz.models.weights_files import GROUPS_KIND, kind_of
from handviz.records import UInt8Array
from training.board import mean_where, selector_picture, selector_scalars
from training.data.sample import Batch
from training.dense.losses import DenseLossWeights, DenseTerms, dense_loss, true_surface
from training.dense.own_views import OwnViews
from training.optim import parameter_groups, side_parameters, temperature_at
from training.recipes.records import Recipe, Stage
from training.start import take_over

# A selector has decided once its joints' choices have less entropy than this: log K at the start, 0.02 in the shipped weights.
DECIDED_NATS = 0.1


class DenseTask:
    """Builds a ``DenseNetwork`` and trains it with ``dense_loss``."""

    def __init__(self, recipe: Recipe) -> None:
        if not isinstance(recipe.network, DenseConfig) or not isinstance(recipe.loss, DenseLossWeights):
            raise HandvizError(f"recipe {recipe.name}: a dense network needs dense loss weights.")
        self.config, self.weights = recipe.network, recipe.loss
        self._settings, self._seed, self._temperature = recipe.self_augmentation, recipe.seed, recipe.temperature
        self._own: OwnViews | None = None
        self._joined = 0
        self._steps = 0

    def build(self) -> DenseNetwork:
        """Return a new network."""
        return DenseNetwork(self.config)

    def parameter_groups(self, network: nn.Module, stage: Stage, weight_decay: float) -> list[dict[str, object]]:
        """Return the parameters that learn: in the mesh stage, all but the groups network's."""
        if stage.learns == "side":
            return side_parameters(network, stage, weight_decay)
        named = list(network.named_parameters())
        if stage.learns == "mesh":
            named = [(name, p) for name, p in named if not name.startswith("evidence.groups.")]
        return parameter_groups(named, stage, weight_decay)

    def before_step(self, network: nn.Module, stage_step: int, run_share: float) -> None:
        """Set the temperature of a groups network inside: as the recipe says until its selector has decided, then cold."""
        selector = _selector_of(network)
        if selector is not None:
            undecided = float(selector.entropy()) > DECIDED_NATS
            plan = temperature_at(self._temperature, stage_step, run_share)
            selector.temperature.fill_(plan if undecided else FINAL_TEMPERATURE)

    def extra(self, step: int, share_done: float) -> Batch | None:
        """Return new views of the network's own fits, once there are some."""
        if self._settings is None or share_done < self._settings.from_share:
            return None
        if self._own is None:
            self._own = OwnViews(self._settings, self._seed)
        drawn = self._own.draw(step)
        self._joined = 0 if drawn is None else len(drawn)
        return drawn

    def loss(
        self, network: nn.Module, batch: Batch, stage: Stage, mixed_precision: bool
    ) -> tuple[Tensor, DenseTerms, DenseOutput]:
        """Return the loss, its terms and the output."""
        net = cast(DenseNetwork, network)
        net.train(stage.learns != "side")
        if isinstance(net.evidence, LiveEvidence):
            net.evidence.hold_groups(stage.learns == "mesh")
        rgb = batch.rgb_B3SS.contiguous(memory_format=torch.channels_last)
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=mixed_precision):
            output: DenseOutput = net(rgb, batch.K_B33)
        terms = dense_loss(net, output, batch, self.weights)
        self._steps += 1
        if self._own is not None and self._settings is not None and self._steps % self._settings.every == 0:
            # Its own views and mirrored hands come after the recipe's samples and are not used as seeds.
            self._own.learn(output, batch, len(batch) - self._joined - int(batch.mirrored_B.sum()))
        return terms.total, terms, output

    @torch.no_grad()
    def errors(self, output: Any, batch: Batch) -> dict[str, float]:
        """Return the mean 2D error (pixels), of the mesh and of the evidence, and root-aligned joint and vertex errors (mm)."""
        answer = cast(DenseOutput, output)
        px_BJ = (project_points(answer.joints_BJ3, batch.K_B33) - batch.joints_px_BJ2).norm(dim=-1)
        seen_BJ = (answer.evidence.joints_px_BJ2 - batch.joints_px_BJ2).norm(dim=-1)
        root = batch.joints_m_BJ3[:, ROOT : ROOT + 1] - answer.joints_BJ3[:, ROOT : ROOT + 1]
        mm_BJ = 1000 * (answer.joints_BJ3 + root - batch.joints_m_BJ3).norm(dim=-1)
        known_BJ = batch.valid_BJ & batch.has_joints_m_B[:, None]
        truth = true_surface(batch, load_hand_model().to(device=px_BJ.device))
        vertices = answer.surface.vertices_BV3 - answer.surface.joints_BJ3[:, ROOT : ROOT + 1]
        mm_BV = 1000 * (vertices - truth.vertices_BV3 + truth.joints_BJ3[:, ROOT : ROOT + 1]).norm(dim=-1)
        return {
            "px": mean_where(px_BJ, batch.valid_BJ),
            "evidence_px": mean_where(seen_BJ, batch.valid_BJ),
            "root_mm": mean_where(mm_BJ, known_BJ),
            "vertices_mm": mean_where(mm_BV, (batch.has_params_B & batch.is_hand_B)[:, None].expand_as(mm_BV)),
        }

    def joints_px(self, output: Any) -> Tensor:
        """Return the refined 2D joints."""
        answer = cast(DenseOutput, output)
        return (answer.refined_BJ2 + 0.5) * self.config.input_size - 0.5

    def scalars(self, network: nn.Module) -> dict[str, float]:
        """Return the entropy and temperature of the selector inside, where there is one."""
        selector = _selector_of(network)
        return {} if selector is None else selector_scalars(selector)

    def pictures(self, network: nn.Module) -> dict[str, UInt8Array]:
        """Return the probabilities of the selector inside, where there is one."""
        selector = _selector_of(network)
        return {} if selector is None else {"selector": selector_picture(selector)}

    def start_from(self, network: nn.Module, path: Path) -> None:
        """Load a dense network, or a groups network as the evidence."""
        net = cast(DenseNetwork, network)
        if kind_of(path) != GROUPS_KIND:
            take_over(net, load_dense(path)[0], path)
        elif isinstance(net.evidence, LiveEvidence):
            take_over(net.evidence.groups, load_groups(path)[0], path)
        else:
            raise ModelFileError(f"{path}: a groups network, but this recipe's network has none inside. Give dense weights.")

    def save(self, path: Path, network: nn.Module, notes: Mapping[str, str]) -> None:
        """Write the weights."""
        save_dense(path, cast(DenseNetwork, network), notes)


def _selector_of(network: nn.Module) -> JointSelector | None:
    evidence = cast(DenseNetwork, network).evidence
    return evidence.groups.selector if isinstance(evidence, LiveEvidence) else None
