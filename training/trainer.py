"""The training loop, whatever the network.

Batch n, its augmentation and the selector's noise depend only on (seed, n). So a resumed run sees the same losses as one that
was never stopped. New views of a network's own fits are the exception: they are in no checkpoint and are collected again.

Several processes share batch n and average their gradients, as one process would. Each augments its own rows with its own
random stream, draws its own mirrored hands, collects its own new views and, unless ``sync_norm`` is on, normalises over its own
rows. So the numbers differ from those of one process as with another seed. Without all this they are the same, as a test checks.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from handviz.errors import HandvizError
from handviz.models.blocks import channels_last
from training.board import overlay
from training.data.mirrored import with_mirrored
from training.data.sample import Batch
from training.data.sources import concatenate
from training.distributed import World, anyone, average_gradients, largest, my_rows, share_norms
from training.optim import MovingAverage, lr_factor, mixes_precision
from training.pictures import write_picture
from training.recipes.checks import tells_side
from training.recipes.records import Recipe, Stage
from training.runs import RunFolder, load_state, save_state
from training.task import Terms, task_of

# Stages whose loss includes the side: with right hands alone, its head would learn to say "right".
_SIDE_LEARNS = ("everything", "groups", "side")

# (batch of stored crops, random stream, size in pixels) -> float pictures in [0, 1] of that size, labels moved along.
Prepare = Callable[[Batch, torch.Generator, int], Batch]


class BatchSource(Protocol):
    """A data source. Batch number ``step`` is always the same for the same step and size."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def draw(self, step: int, size: int, rows: slice) -> Batch:
        """Return these rows of a batch of ``size`` samples, pictures uint8."""
        ...


class TrainingDivergedError(HandvizError):
    """The loss or its gradient is no longer finite."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a run stands: steps in all, stage, steps in it, and seconds spent training."""

    step: int = 0
    stage: int = 0
    stage_step: int = 0
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """The results of one step; ``terms`` and ``output`` as the task's loss returns them."""

    step: int
    loss: float
    terms: Terms | None
    output: Any
    batch: Batch
    lr: float
    grad_norm: float


class Trainer:
    """Owns the network, its average, the optimiser and the progress; writes checkpoints into the run's folder."""

    def __init__(
        self,
        recipe: Recipe,
        source: BatchSource,
        prepare: Prepare,
        folder: RunFolder,
        *,
        device: torch.device,
        minutes: float | None = None,
        world: World | None = None,
    ) -> None:
        if len(source) == 0:
            raise HandvizError(f"recipe {recipe.name}: the data set is empty. Make data first, or name other data.")
        self.recipe, self.source, self.prepare, self.folder = recipe, source, prepare, folder
        self.device, self.minutes, self.world = device, minutes, world or World()
        torch.manual_seed(recipe.seed)
        self.task = task_of(recipe)
        self.network = channels_last(self.task.build().to(device))
        self._learnable = {name for name, p in self.network.named_parameters() if p.requires_grad}
        self.average = MovingAverage(self.network, recipe.ema_decay)
        if recipe.sync_norm and self.world.size > 1:
            share_norms(self.network)
        self.mixed_precision = recipe.mixed_precision and mixes_precision(device)
        self.progress = Progress()
        self.optimiser = self._new_optimiser()

    @property
    def stage(self) -> Stage:
        """The stage of the recipe that is running."""
        return self.recipe.stages[self.progress.stage]

    def share_done(self) -> float:
        """Return how much of the whole run is done, by time if it is time-boxed, else by steps (may exceed 1)."""
        if self.minutes is not None:
            return self.progress.elapsed_s / (60 * self.minutes)
        return self.progress.step / self.recipe.steps

    def stage_share_done(self) -> float:
        """Return how much of the running stage is done (clipped to 0 to 1)."""
        before = sum(s.share for s in self.recipe.stages[: self.progress.stage])
        return min(max((self.share_done() - before) / self.stage.share, 0.0), 1.0)

    def run(self, should_stop: Callable[[], bool], report: Callable[[StepReport], None]) -> None:
        """Train until the end or until told to stop; saves every ``save_every_s`` seconds and at the end.

        Raises TrainingDivergedError naming the batch when the loss or gradient is not finite; the last checkpoint stays.
        """
        saved_at = time.monotonic()
        while self.share_done() < 1.0:
            began = time.monotonic()
            self._enter_stage()
            report(self.step())
            self.progress.elapsed_s += largest(time.monotonic() - began, self.world, self.device)
            if anyone(should_stop(), self.world, self.device):
                break
            if time.monotonic() - saved_at > self.recipe.save_every_s:
                self.save()
                saved_at = time.monotonic()
        self.save()

    def _enter_stage(self) -> None:
        ends = sum(s.share for s in self.recipe.stages[: self.progress.stage + 1])
        last = self.progress.stage == len(self.recipe.stages) - 1
        if not last and self.share_done() >= ends - 1e-9:
            self.progress.stage += 1
            self.progress.stage_step = 0
            self.optimiser = self._new_optimiser()

    def _new_optimiser(self) -> torch.optim.Optimizer:
        """Return Adam (with decoupled decay, which is plain Adam at decay 0) for the running stage."""
        for name, p in self.network.named_parameters():
            # An earlier stage may have frozen it.
            p.requires_grad_(name in self._learnable)
        groups = self.task.parameter_groups(self.network, self.stage, self.recipe.weight_decay)
        return torch.optim.AdamW(groups, lr=self.stage.lr, fused=True)

    def start_from(self, path: Path) -> None:
        """Start from trained weights instead of random ones. Raises ModelFileError when they do not fit."""
        self.task.start_from(self.network, path)
        self.average_anew()

    def average_anew(self) -> None:
        """Restart the average from the network's current weights."""
        self.average = MovingAverage(self.network, self.recipe.ema_decay)

    def step(self) -> StepReport:
        """Take one optimiser step on batch number ``progress.step``."""
        step, stage_share = self.progress.step, self.stage_share_done()
        factor = lr_factor(self.stage, self.progress.stage_step, stage_share)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor
        self.task.before_step(self.network, self.progress.stage_step, self.share_done())
        batch = self.next_batch(step)
        # What a network draws at random while training is the same in every process.
        torch.manual_seed(_stream(self.recipe.seed, step, -1))
        loss, terms, output = self.task.loss(self.network, batch, self.stage, self.mixed_precision)
        if anyone(not bool(torch.isfinite(loss)), self.world, self.device):
            raise self._diverged(f"the loss of batch {step}", loss.item(), batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.network.parameters(), self.world)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        if not bool(torch.isfinite(norm)):
            # The gradients are the same in every process by now.
            raise self._diverged(f"the gradient of batch {step}", float(norm), batch)
        self.optimiser.step()
        self.average.update(self.network, step)
        self.progress.step += 1
        self.progress.stage_step += 1
        return StepReport(
            step=step,
            loss=loss.item(),
            terms=terms,
            output=output,
            batch=batch,
            lr=self.stage.lr * factor,
            grad_norm=float(norm),
        )

    def _diverged(self, what: str, value: float, batch: Batch) -> TrainingDivergedError:
        picture = self.folder.path / f"diverged-{self.world.rank}.png"
        # The picture must be drawable even where crops or labels are not finite.
        drawn = dataclasses.replace(
            batch, rgb_B3SS=batch.rgb_B3SS.nan_to_num(), joints_px_BJ2=batch.joints_px_BJ2.nan_to_num(0, 0, 0)
        )
        write_picture(picture, overlay(drawn.joints_px_BJ2, drawn, shown=len(drawn)))
        is_saved = self.folder.state.is_file()
        kept = f"The last good checkpoint is kept in {self.folder.path}" if is_saved else "There was no checkpoint yet"
        more = " and resume" if is_saved else ""
        return TrainingDivergedError(
            f"{what} (seed {self.recipe.seed}) is {value}: stopped. {kept}; look at that batch ({picture}), or lower the "
            f"learning rate{more}."
        )

    def next_batch(self, step: int) -> Batch:
        """Return this process's part of batch number ``step``, augmented, on the device."""
        count = self.stage.batch_size
        batch = self.source.draw(step, count, my_rows(count, self.world)).to(self.device)
        extra = self.task.extra(step, self.share_done())
        batch = batch if extra is None else concatenate([batch, extra.to(self.device)])
        generator = torch.Generator().manual_seed(_stream(self.recipe.seed, step, self.world.rank))
        size = self.stage.input_size or self.recipe.network.input_size
        batch = self.prepare(batch, generator, size)
        side_learns = tells_side(self.recipe.network) and self.stage.learns in _SIDE_LEARNS
        return with_mirrored(batch, self.recipe.mirrored, generator) if side_learns else batch

    def save(self) -> None:
        """Write the state to resume from and the averaged weights. Raises OutputError; earlier files then stay intact."""
        if not self.world.leads:
            return
        state = {
            "recipe": self.recipe.name,
            "progress": dataclasses.asdict(self.progress),
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        save_state(self.folder, state)
        notes = {"recipe": self.recipe.name, "steps": str(self.progress.step), "minutes": f"{self.progress.elapsed_s / 60:.1f}"}
        self.task.save(self.folder.weights, self.average.network, notes)

    def resume(self) -> None:
        """Resume from the folder's state. Raises HandvizError when there is none, or it belongs to another recipe or network."""
        state: dict[str, Any] = load_state(self.folder)
        if state.get("recipe") != self.recipe.name:
            raise HandvizError(
                f"{self.folder.state}: belongs to recipe '{state.get('recipe')}', not '{self.recipe.name}'. Resume with that one."
            )
        try:
            self.network.load_state_dict(state["network"])
            self.average.network.load_state_dict(state["average"])
            self.progress = Progress(**state["progress"])
            if min(dataclasses.astuple(self.progress)) < 0 or self.progress.stage >= len(self.recipe.stages):
                raise ValueError(f"its progress is {state['progress']}")
            self.optimiser = self._new_optimiser()
            fresh = [(group["base_lr"], group["weight_decay"]) for group in self.optimiser.param_groups]
            self.optimiser.load_state_dict(state["optimiser"])
            # Moments continue; learning rates and decay are those of the present recipe.
            for group, (lr, decay) in zip(self.optimiser.param_groups, fresh, strict=True):
                group["base_lr"], group["weight_decay"] = lr, decay
        except (RuntimeError, KeyError, TypeError, ValueError, IndexError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise HandvizError(
                f"{self.folder.state}: does not fit this recipe's network ({reason}). Resume with the settings it was made with."
            ) from error


def _stream(seed: int, step: int, lane: int) -> int:
    """Return a seed for one step and lane (a rank, or -1 for what all ranks share) that repeats nowhere else in practice."""
    return (seed * 1_000_003 + step) * 4099 + lane + 1
