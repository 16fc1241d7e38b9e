"""``training ablate groups``: the paper's Tables 2 and 3 and its ensemble over several seeds, by default on rendered hands.

Every variant is trained by the same recipe on the same batches, from the same hourglass where one is given; only the rest of
the network and the seed differ. Finished runs are kept, so that an interrupted ablation continues where it stopped. The paper
does not name the members of Table 1's ensemble: here it is the mean answer of the seeds of learned groups with fusion.
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
from handviz.models.weights_files import named_weights
from training.ablation import SMALL_STEPS, WARM_SHARE, add_arguments, read_test, slug, table, trained, write_table
from training.answers import labelled_crops, truth_of
from training.data.pack import Pack
from training.fit import parse_changes, pick_device
from training.groups_outputs import plain_outputs
from training.metrics import AUC_RANGES, auc, median_over_joints
from training.places import check_folder
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
PAPER_LR_SELECTOR = 0.1
_ENSEMBLED = "learned + fusion"
_AUC = "AUC 20-50 (Zimmermann)"
# Each with the formats of its mean and its standard deviation.
_DECIDED = "selector decided"
_METRICS = {"mean EPE mm": (".2f", ".2f"), "median EPE mm": (".2f", ".2f"), _AUC: (".3f", ".3f"), _DECIDED: (".2f", ".2f")}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """One network's answers for the test set: crop pixels (N, 21, 2) and relative depths (N, 21).

    ``decided`` is how far its selector has decided: the mean over joints of the likeliest group's probability.
    """

    uv: FloatArray
    depth: FloatArray
    decided: float


def add_method(methods: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``groups`` to the methods that can be ablated."""
    parser = methods.add_parser("groups", help="train and compare the variants of the joint groups")
    add_arguments(parser, VARIANTS, RECIPES, Path("runs/ablation-groups"))
    parser.add_argument(
        "--start",
        type=named_weights,
        metavar="WEIGHTS",
        help="groups network whose hourglass every run starts from; each run is then only the recipe's last stage",
    )
    parser.set_defaults(run=run_ablate)


def run_ablate(arguments: argparse.Namespace) -> int:
    """Train what is not yet trained, test everything, write ``table.md`` and ``table.json``; returns 0."""
    start = arguments.start
    base = ablation_recipe(arguments.steps, parse_changes(arguments.set), arguments.recipe, begun=start is not None)
    check_folder(arguments.out)
    test = read_test(arguments.test, arguments.data)
    device = torch.device(pick_device(arguments.device))
    found: dict[str, list[Predicted]] = {}
    for name in arguments.variants:
        for seed in range(arguments.seeds):
            folder = RunFolder(path=arguments.out / f"{slug(name)}-seed{seed}")
            chosen, title = variant(base, name, seed), f"'{name}', seed {seed}"
            if not trained(title, chosen, folder, arguments.data, device, start=start, begin=begin_with_hourglass):
                return 0
            found.setdefault(name, []).append(predict(load_groups(folder.weights)[0], test))
    text, numbers = results(found, test, base.network.input_size)
    write_table(arguments.out, text, numbers)
    return 0


def ablation_recipe(steps: int | None, changes: Mapping[str, str], name: str = RECIPES[0], *, begun: bool = False) -> Recipe:
    """Return the shared recipe, by default the live network without its additions to the paper, rendered hands only, Eq. 10 and
    heatmaps. Where a trained hourglass is given (``begun``), all stages but the last are left out. ``steps`` None: the default.
    """
    base = recipe(name)
    if begun:
        base = dataclasses.replace(base, stages=(dataclasses.replace(base.stages[-1], share=1.0),))
    if name == RECIPES[0]:
        base = _in_small(base, steps or SMALL_STEPS)
    elif steps is not None:
        base = dataclasses.replace(base, steps=steps)
    return recipe(name, changes, base=base)


def _in_small(live: Recipe, steps: int) -> Recipe:
    """Adapt the live recipe to a run that is a tenth as long or less: otherwise, warm-up would be most of it, and the selector,
    which learns at a fifth of the paper's rate, would get nowhere."""
    assert isinstance(live.network, GroupsConfig)
    stages = tuple(
        dataclasses.replace(s, lr_selector=PAPER_LR_SELECTOR, warmup_steps=min(s.warmup_steps, int(WARM_SHARE * s.share * steps)))
        for s in live.stages
    )
    network = dataclasses.replace(live.network, lift=False, presence=False, side=False)
    return dataclasses.replace(
        live, steps=steps, stages=stages, network=network, data=(DataPart(source="rendered"),), mirrored=0.0
    )


def variant(base: Recipe, name: str, seed: int) -> Recipe:
    """Return the recipe of one run."""
    assert isinstance(base.network, GroupsConfig)
    network = dataclasses.replace(base.network, **VARIANTS[name])  # type: ignore[arg-type]
    return dataclasses.replace(base, network=network, seed=seed)


def begin_with_hourglass(trainer: Trainer, path: Path) -> None:
    """Load only the hourglass, which the paper trains first and which all variants share. Raises ModelFileError."""
    network, other = trainer.network, load_groups(path)[0]
    assert isinstance(network, GroupsNetwork)
    if network.config.hourglass != other.config.hourglass:
        raise ModelFileError(f"{path}: its hourglass has another configuration than this recipe's. Change the recipe to match.")
    network.hourglass.load_state_dict(other.hourglass.state_dict())
    trainer.average_anew()


def predict(network: GroupsNetwork, test: Pack) -> Predicted:
    """Run a network over the test set's plain crops."""
    uv, depth = [], []
    for _, out in plain_outputs(network, test):
        uv.append(out.uv_BJ2.double().numpy())
        depth.append(out.depth_BJ.double().numpy())
    decided = float(network.selector.probabilities().amax(1).mean())
    return Predicted(uv=np.concatenate(uv), depth=np.concatenate(depth), decided=decided)


def results(found: Mapping[str, Sequence[Predicted]], test: Pack, size: int) -> tuple[str, dict[str, dict[str, list[float]]]]:
    """Return the table as Markdown, and every run's numbers."""
    batch = labelled_crops(test, size)
    truth, K = truth_of(batch), batch.K_B33.double().numpy()
    scale, root = scale_of(truth.joints_m), truth.joints_m[:, ROOT, 2]

    def score(p: Predicted) -> dict[str, float]:
        gap = 1000 * np.linalg.norm(recover_joints(p.uv, p.depth, K, scale, root) - truth.joints_m, axis=-1)
        gap = np.where(truth.valid, gap, np.nan)
        return {
            "mean EPE mm": float(np.nanmean(gap)),
            "median EPE mm": median_over_joints(gap),
            _AUC: auc(gap, AUC_RANGES[_AUC]),
            _DECIDED: p.decided,
        }

    rows: dict[str, list[dict[str, float]]] = {name: [score(p) for p in runs] for name, runs in found.items()}
    members = found.get(_ENSEMBLED, ())
    if len(members) > 1:
        uv, depth, decided = (np.mean([getattr(p, part) for p in members], 0) for part in ("uv", "depth", "decided"))
        mean = Predicted(uv=uv, depth=depth, decided=float(decided))
        rows[f"ensemble of {len(members)} ({_ENSEMBLED})"] = [score(mean)]
    numbers = {name: {m: [run[m] for run in runs] for m in _METRICS} for name, runs in rows.items()}
    return table(rows, _METRICS), numbers
