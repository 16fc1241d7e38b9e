"""``training ablate groups``: the paper's Tables 2 and 3 and its ensemble over several seeds, on rendered hands unless told.

Every variant is trained by the same recipe on the same batches, from the same hourglass where one is given; only the rest of
the network and the seed differ. Finished runs are kept, so that an interrupted ablation goes on where it stopped. The ensemble
of Table 1 names no members in the paper: here it is the mean answer of the seeds of learned groups with fusion.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from handviz.errors import ModelFileError
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import ROOT
from handviz.models.checkpoint import load_groups
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.models.recovery import recover_joints, scale_of
from training.ablation import add_arguments, read_test, slug, trained, write_table
from training.answers import labelled_crops, truth_of
from training.data.augment import centre_cut
from training.data.pack import Pack
from training.fit import parse_changes, pick_device
from training.metrics import AUC_RANGES, auc, median_over_joints
from training.recipes.changes import recipe
from training.recipes.records import DataPart, Recipe
from training.runs import RunFolder
from training.trainer import Trainer

# Rows of Table 2, then those of Table 3 that it lacks.
VARIANTS: Mapping[str, Mapping[str, object]] = {
    "baseline": {"grouping": "none", "groups": 1, "fusion": False},
    "manual": {"grouping": "manual", "groups": 3, "fusion": False},
    "manual + fusion": {"grouping": "manual", "groups": 3, "fusion": True},
    "learned": {"grouping": "learned", "groups": 3, "fusion": False},
    "learned + fusion": {"grouping": "learned", "groups": 3, "fusion": True},
    "learned, K = 2": {"grouping": "learned", "groups": 2, "fusion": False},
    "learned, K = 4": {"grouping": "learned", "groups": 4, "fusion": False},
    "learned, K = 5": {"grouping": "learned", "groups": 5, "fusion": False},
    "learned, K = 21": {"grouping": "learned", "groups": 21, "fusion": False},
}
RECIPES = ("groups-live", "groups-paper-rhd", "groups-paper-stb", "groups-paper-freihand")
_ENSEMBLED = "learned + fusion"
_AUC = "AUC 20-50 (Zimmermann)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """What one network said of the test set: crop pixels (N, 21, 2) and relative depths (N, 21)."""

    uv: FloatArray
    depth: FloatArray


def add_method(methods: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``groups`` to the methods that can be ablated."""
    parser = methods.add_parser("groups", help="train and compare the variants of the joint groups")
    add_arguments(parser, VARIANTS, RECIPES, Path("runs/ablation-groups"))
    parser.add_argument(
        "--start",
        type=Path,
        metavar="WEIGHTS",
        help="groups network whose hourglass every run begins with; the recipe's last stage is then the whole run",
    )
    parser.set_defaults(run=run_ablate)


def run_ablate(arguments: argparse.Namespace) -> int:
    """Train what is not yet trained, test everything, write ``table.md`` and ``table.json``; returns 0."""
    start = arguments.start
    base = ablation_recipe(arguments.steps, parse_changes(arguments.set), arguments.recipe, begun=start is not None)
    test = read_test(arguments.test, arguments.data)
    device = torch.device(pick_device(arguments.device))
    found: dict[str, list[Predicted]] = {}
    for variant in arguments.variants:
        for seed in range(arguments.seeds):
            folder = RunFolder(path=arguments.out / f"{slug(variant)}-seed{seed}")
            title = f"'{variant}', seed {seed}"
            chosen = base.variant(variant, seed)
            if not trained(title, chosen, folder, arguments.data, device, start=start, begin=begin_with_hourglass):
                return 0
            found.setdefault(variant, []).append(predict(load_groups(folder.weights)[0], test))
    text, numbers = results(found, test, base.network_size)
    write_table(arguments.out, text, numbers)
    return 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What all variants of an ablation share."""

    recipe: Recipe

    @property
    def steps(self) -> int:
        """Steps of one run."""
        return self.recipe.steps

    @property
    def network_size(self) -> int:
        """Side of the crops."""
        return self.recipe.network.input_size

    def variant(self, name: str, seed: int) -> Recipe:
        """Return the recipe of one run."""
        assert isinstance(self.recipe.network, GroupsConfig)
        network = dataclasses.replace(self.recipe.network, **VARIANTS[name])  # type: ignore[arg-type]
        return dataclasses.replace(self.recipe, network=network, seed=seed)


def ablation_recipe(steps: int, changes: Mapping[str, str], name: str = RECIPES[0], *, begun: bool = False) -> Base:
    """Return the shared recipe, by default the live network without its additions to the paper, rendered hands only, Eq. 10 and
    heatmaps. Where the hourglass has ``begun``, what teaches it first is left out.
    """
    base = dataclasses.replace(recipe(name), steps=steps)
    if name == RECIPES[0]:
        assert isinstance(base.network, GroupsConfig)
        network = dataclasses.replace(base.network, lift=False, presence=False, side=False)
        base = dataclasses.replace(base, network=network, data=(DataPart(source="rendered"),), mirrored=0.0)
    if begun:
        base = dataclasses.replace(base, stages=(dataclasses.replace(base.stages[-1], share=1.0),))
    return Base(recipe=recipe(name, changes, base=base))


def begin_with_hourglass(trainer: Trainer, path: Path) -> None:
    """Take over the hourglass alone, which the paper trains first and which all variants share. Raises ModelFileError."""
    network, other = trainer.network, load_groups(path)[0]
    assert isinstance(network, GroupsNetwork)
    if network.config.hourglass != other.config.hourglass:
        raise ModelFileError(f"{path}: its hourglass is of another configuration than this recipe's. Change the recipe to match.")
    network.hourglass.load_state_dict(other.hourglass.state_dict())
    trainer.average_anew()


def predict(network: GroupsNetwork, test: Pack, at_once: int = 64) -> Predicted:
    """Run a network over the test set's plain crops."""
    uv, depth = [], []
    for start in range(0, len(test), at_once):
        index = np.arange(start, min(start + at_once, len(test)))
        batch = centre_cut(test.batch(index), network.config.input_size)
        with torch.inference_mode():
            out = network(batch.rgb_B3SS.contiguous(memory_format=torch.channels_last))
        uv.append(out.uv_BJ2.double().numpy())
        depth.append(out.depth_BJ.double().numpy())
    return Predicted(uv=np.concatenate(uv), depth=np.concatenate(depth))


def results(found: Mapping[str, Sequence[Predicted]], test: Pack, size: int) -> tuple[str, dict[str, dict[str, list[float]]]]:
    """Return the table as Markdown, and every run's numbers."""
    batch = labelled_crops(test, size)
    truth, K = truth_of(batch), batch.K_B33.double().numpy()
    scale, root = scale_of(truth.joints_m), truth.joints_m[:, ROOT, 2]

    def score(p: Predicted) -> dict[str, float]:
        gap = 1000 * np.linalg.norm(recover_joints(p.uv, p.depth, K, scale, root) - truth.joints_m, axis=-1)
        gap = np.where(truth.valid, gap, np.nan)
        return {"mean EPE mm": float(np.nanmean(gap)), "median EPE mm": median_over_joints(gap), _AUC: auc(gap, AUC_RANGES[_AUC])}

    rows: dict[str, list[dict[str, float]]] = {name: [score(p) for p in runs] for name, runs in found.items()}
    members = found.get(_ENSEMBLED, ())
    if len(members) > 1:
        mean = Predicted(uv=np.mean([p.uv for p in members], 0), depth=np.mean([p.depth for p in members], 0))
        rows[f"ensemble of {len(members)} ({_ENSEMBLED})"] = [score(mean)]
    metrics = ["mean EPE mm", "median EPE mm", _AUC]
    lines = [f"| | runs | {' | '.join(metrics)} |", "|" + "---|" * (len(metrics) + 2)]
    for name, runs in rows.items():
        cells = [_spread([run[m] for run in runs], 3 if m == _AUC else 2) for m in metrics]
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    numbers = {name: {m: [run[m] for run in runs] for m in metrics} for name, runs in rows.items()}
    return "\n".join(lines), numbers


def _spread(values: Sequence[float], digits: int) -> str:
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean
