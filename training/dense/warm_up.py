"""``training warm-dense``: a dense network's own layers trained on evidence that is computed only once per crop.

The 2D evidence of the live network is a trained groups network, and running it is nine tenths of a training step. Here
it sees every crop once; f_J3D and f_Ref then learn from its outputs, a hundred times faster, with the losses and labels of the
recipe. The mask head learns during the one pass over the pictures. ``training fit dense-live --start`` continues from the result.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from handviz.arguments import above_zero, whole
from handviz.errors import HandvizError
from handviz.export.files import refuse_source
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import save_dense
from handviz.models.dense_evidence import LiveEvidence, RawEvidence
from handviz.models.groups import GroupsOutput
from training.data.prefetch import prefetched
from training.data.sample import Batch
from training.data.sources import Drawn, open_source
from training.dense.losses import DenseLossWeights, dense_loss, mask_head_loss
from training.dense.task import DenseTask
from training.fit import parse_changes, preparation
from training.optim import MovingAverage, mixes_precision
from training.places import check_weights
from training.recipes.changes import recipe
from training.trainer import Prepare

_LABELS = tuple(f.name for f in dataclasses.fields(Batch) if f.name not in ("rgb_B3SS", "mask_BSS", "has_mask_B"))
_MASK_LR = 2e-3
_AVERAGE_EVERY = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """A groups network's outputs for N crops of ``size`` pixels, and their labels without pictures and masks."""

    pooled_NC: Tensor
    at_joints_NJC: Tensor
    uv_NJ2: Tensor
    depth_NJ: Tensor
    labels: dict[str, Tensor]
    size: int

    def __len__(self) -> int:
        return len(self.pooled_NC)

    def take(self, rows: Tensor) -> tuple[RawEvidence, Batch]:
        """Return evidence and labels of some crops; maps and pictures are empty stand-ins of the right shape."""
        count = len(rows)
        nothing = torch.zeros(1, 1, 1, 1)
        output = GroupsOutput(
            uv_BJ2=self.uv_NJ2[rows],
            depth_BJ=self.depth_NJ[rows],
            heat_BJHW=nothing,
            first_uv_BJ2=nothing,
            first_heat_BJHW=nothing,
            presence_B=None,
        )
        raw = RawEvidence(
            pooled_BC=self.pooled_NC[rows].float(), at_joints_BJC=self.at_joints_NJC[rows].float(), groups=output, mask_BHW=None
        )
        batch = Batch(
            rgb_B3SS=torch.zeros(1).expand(count, 3, self.size, self.size),
            mask_BSS=torch.zeros(1).expand(count, self.size, self.size),
            has_mask_B=torch.zeros(count, dtype=torch.bool),
            **{name: values[rows] for name, values in self.labels.items()},
        )
        return raw, batch


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``warm-dense`` to the command line."""
    parser = subparsers.add_parser("warm-dense", help="train a dense network's own layers on a groups network's answers")
    parser.add_argument("weights", type=Path, help="weights of the groups network, or of a dense one to train further")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="file to write")
    parser.add_argument("--groups", type=Path, help="put this groups network into a dense one first")
    parser.add_argument("--recipe", default="dense-live", help="recipe of the dense network (default %(default)s)")
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--crops", type=whole(1), default=40_000, help="crops to run the groups network on (default %(default)s)")
    parser.add_argument("--steps", type=whole(1), default=6000, help="training steps on its outputs (default %(default)s)")
    parser.add_argument("--batch-size", type=whole(2), default=128, help="crops per step (default %(default)s)")
    parser.add_argument("--lr", type=above_zero, default=1e-3, help="learning rate (default %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of the recipe")
    parser.set_defaults(run=run_warm_up)


def run_warm_up(arguments: argparse.Namespace) -> int:
    """Run the groups network, train the dense layers, write the weights; returns 0."""
    check_weights(arguments.out)
    for path in (arguments.weights, arguments.groups):
        refuse_source(arguments.out, path)
    chosen = recipe(arguments.recipe, parse_changes(arguments.set))
    task = DenseTask(chosen)
    torch.manual_seed(chosen.seed)
    network = task.build()
    for path in (arguments.weights, arguments.groups):
        if path is not None:
            task.start_from(network, path)
    if not isinstance(network.evidence, LiveEvidence):
        raise HandvizError(
            f"recipe {chosen.name}: only a network whose evidence is a groups network can be warmed up. Choose dense-live."
        )
    with prefetched(open_source(chosen.data, arguments.data, chosen.seed)) as source:
        looked = look(
            network, source, arguments.crops, preparation(chosen), seed=chosen.seed, mixed_precision=chosen.mixed_precision
        )
    learn(network, looked, task.weights, arguments.steps, arguments.batch_size, arguments.lr)
    notes = {"recipe": f"warm-up of {chosen.name}", "steps": str(arguments.steps), "crops": str(len(looked))}
    save_dense(arguments.out, network.eval(), notes)
    print(f"written to {arguments.out}")
    return 0


def look(
    network: DenseNetwork,
    source: Drawn,
    crops: int,
    prepare: Prepare,
    *,
    seed: int = 0,
    batch_size: int = 64,
    mixed_precision: bool = True,
) -> Looked:
    """Run the groups network once on augmented crops; the mask head learns at the same time."""
    evidence = network.evidence
    assert isinstance(evidence, LiveEvidence)
    network.train()
    evidence.hold_groups(True)
    head = torch.optim.AdamW(evidence.mask.parameters(), lr=_MASK_LR) if evidence.mask is not None else None
    size, raws, batches = network.config.input_size, [], []
    began = time.monotonic()
    for step in range(-(-crops // batch_size)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        batch = prepare(source.draw(step, batch_size), generator, size)
        rgb = batch.rgb_B3SS.contiguous(memory_format=torch.channels_last)
        with torch.autocast(rgb.device.type, torch.bfloat16, enabled=mixed_precision and mixes_precision(rgb.device)):
            raw = evidence.raw(rgb)
        if head is not None:
            loss = mask_head_loss(raw.mask_BHW, batch)
            head.zero_grad()
            loss.backward()
            head.step()
        raws.append(raw)
        batches.append({name: getattr(batch, name) for name in _LABELS})
        if step % 50 == 0:
            print(f"{(step + 1) * batch_size} crops done, {time.monotonic() - began:.0f} s", flush=True)
    return Looked(
        pooled_NC=torch.cat([r.pooled_BC.detach().half() for r in raws]),
        at_joints_NJC=torch.cat([r.at_joints_BJC.detach().half() for r in raws]),
        uv_NJ2=torch.cat([r.groups.uv_BJ2.detach().float() for r in raws]),
        depth_NJ=torch.cat([r.groups.depth_BJ.detach().float() for r in raws]),
        labels={name: torch.cat([b[name] for b in batches]) for name in _LABELS},
        size=size,
    )


def learn(
    network: DenseNetwork, looked: Looked, weights: DenseLossWeights, steps: int, batch_size: int, lr: float
) -> dict[str, float]:
    """Train f_J3D, f_Ref and the feature layers on these outputs, and keep the averaged weights. Returns the last terms."""
    evidence = network.evidence
    assert isinstance(evidence, LiveEvidence)
    own = [p for name, p in network.named_parameters() if not name.startswith(("evidence.groups.", "evidence.mask."))]
    optimiser = torch.optim.AdamW(own, lr=lr, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps + 1, pct_start=0.05, cycle_momentum=False)
    # Terms that need pictures are left out, as is the Laplacian, which costs most and changes nothing next to true vertices.
    weights = dataclasses.replace(weights, mask=0.0, mask_head=0.0, feature=0.0, heat=0.0, evidence=0.0, laplacian=0.0)
    average, generator = MovingAverage(network, 0.99), torch.Generator().manual_seed(0)
    began, numbers = time.monotonic(), {"total": float("nan")}
    for step in range(steps):
        raw, batch = looked.take(torch.randint(len(looked), (batch_size,), generator=generator))
        terms = dense_loss(network, network.regress(evidence.assemble(raw), batch.K_B33), batch, weights)
        optimiser.zero_grad(set_to_none=True)
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(own, 5.0)
        optimiser.step()
        schedule.step()
        if step % _AVERAGE_EVERY == 0:
            average.update(network, step)
        if step % 100 == 0 or step == steps - 1:
            numbers = terms.numbers()
            line = " ".join(f"{name} {value:.3f}" for name, value in numbers.items())
            print(f"step {step} of {steps}, {time.monotonic() - began:.0f} s: {line}", flush=True)
    network.load_state_dict(average.network.state_dict())
    return numbers
