"""``training ablate dense``: what each part of the dense hand is worth (Fig. 5 of Baek et al. 2019), over several seeds.

Every variant is trained by the same recipe on the same batches and tested with and without testing refinement; only the named
part differs. Finished runs are kept, so that an interrupted ablation continues where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch

from handviz.arguments import REFINE_ITERATIONS, whole
from handviz.errors import HandvizError
from handviz.models.checkpoint import write_atomically
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_checkpoint import load_dense
from handviz.models.weights_files import GROUPS_KIND, kind_of, named_weights
from training.ablation import SMALL_STEPS, WARM_SHARE, add_arguments, read_test, slug, table, trained, write_table
from training.data.pack import Pack
from training.data.sources import concatenate
from training.dense.losses import DenseLossWeights
from training.dense.predict import crops_of, joint_errors, look, mesh_line, predict
from training.dense.progression import Progression, draw, read_points
from training.fit import parse_changes, pick_device
from training.places import check_folder
from training.recipes.changes import recipe
from training.recipes.named import one_rate
from training.recipes.records import DataPart, Recipe, SelfAugmentation, Stage
from training.runs import RunFolder

# What each variant changes in the network, the loss or the recipe.
VARIANTS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "full": {},
    "without refiner": {"network": {"refiner": False}},
    "without 2D losses": {"loss": {"feature": 0.0, "heat": 0.0, "evidence": 0.0}},
    "without refiner and 2D losses": {
        "network": {"refiner": False},
        "loss": {"feature": 0.0, "heat": 0.0, "evidence": 0.0},
    },
    "without augmentation": {"recipe": {"self_augmentation": None}},
    # The loss of the rendered mask (Eq. 9). The live network's mask head, which refinement here needs, still learns.
    "without mask loss": {"loss": {"mask": 0.0}},
    "constant lambda": {"loss": {"schedule": "constant"}},
}
RECIPES = ("dense-live", "dense-paper", "dense-paper-2d")
# Lambda of the paper's curve, where the schedule has 0 or 1.
CONSTANT_LAMBDA = 0.01
PROGRESSION = "progression.csv"
# Each with the formats of its mean and its standard deviation.
METRICS = dict.fromkeys(("PA-MPJPE mm", "MPJPE root-aligned mm", "PA-MPVPE mm", "mask IoU"), (".3g", ".2g"))


def add_method(methods: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``dense`` to the methods that can be ablated."""
    parser = methods.add_parser("dense", help="train and compare the variants of the dense hand")
    add_arguments(parser, VARIANTS, RECIPES, Path("runs/ablation-dense"))
    parser.add_argument(
        "--refine", type=whole(*REFINE_ITERATIONS), default=20, help="steps of testing refinement (default %(default)s)"
    )
    parser.add_argument("--start", type=named_weights, metavar="WEIGHTS", help="groups network that every run starts from")
    parser.set_defaults(run=run_ablate)


def run_ablate(arguments: argparse.Namespace) -> int:
    """Train what is not yet trained, test everything, write the tables and ``progression.png`` (first seeds); returns 0."""
    base = ablation_recipe(arguments.steps, parse_changes(arguments.set), arguments.recipe)
    if arguments.start is not None and kind_of(arguments.start) != GROUPS_KIND:
        raise HandvizError(f"{arguments.start}: not a groups network. Give one: every run starts from it, with a new mesh.")
    check_folder(arguments.out)
    test = read_test(arguments.test, arguments.data)
    device = torch.device(pick_device(arguments.device))
    found: dict[str, list[dict[str, float]]] = {}
    for name in arguments.variants:
        for seed in range(arguments.seeds):
            folder = RunFolder(path=arguments.out / f"{slug(name)}-seed{seed}")
            chosen, title = variant(base, name, seed), f"'{name}', seed {seed}"
            progression = Progression(folder.path / PROGRESSION, test, base.steps)
            start, watch = arguments.start, progression.report
            if not trained(title, chosen, folder, arguments.data, device, start=start, watch=watch):
                return 0
            network, _ = load_dense(folder.weights)
            for steps in dict.fromkeys((0, arguments.refine)):
                row = f"{name}, {f'{steps} refinement steps' if steps else 'no testing refinement'}"
                found.setdefault(row, []).append(score(network, test, steps))
    text = table(found, METRICS)
    write_table(arguments.out, text, found)
    first = {name: arguments.out / f"{slug(name)}-seed0" / PROGRESSION for name in arguments.variants}
    curves = {name: read_points(file) for name, file in first.items() if file.is_file()}
    if curves:
        write_atomically(arguments.out / "progression.png", draw(curves))
    return 0


def ablation_recipe(steps: int | None, changes: Mapping[str, str], name: str = RECIPES[0]) -> Recipe:
    """Return the shared recipe, by default the live network learning as a whole from rendered hands by all of Eq. 7.

    ``steps`` None: the default.
    """
    if name != RECIPES[0]:
        chosen = recipe(name)
        return recipe(name, changes, base=dataclasses.replace(chosen, steps=steps or chosen.steps))
    live, steps = recipe("dense-live"), steps or SMALL_STEPS
    warmup = min(100, int(WARM_SHARE * steps))
    assert isinstance(live.loss, DenseLossWeights)
    base = dataclasses.replace(
        live,
        data=(DataPart(source="rendered"),),
        stages=(Stage(learns="everything", share=1.0, batch_size=32, schedule="cosine", warmup_steps=warmup, **one_rate(1e-3)),),
        steps=steps,
        # The side head is not part of the paper and learns nothing here.
        mirrored=0.0,
        loss=dataclasses.replace(
            live.loss, feature=0.05, feature_samples=8, evidence=0.1, groups=dataclasses.replace(live.loss.groups, side=0.0)
        ),
        self_augmentation=SelfAugmentation(every=8, seeds=2, per_batch=8),
    )
    return recipe("dense-live", changes, base=base)


def variant(base: Recipe, name: str, seed: int) -> Recipe:
    """Return the recipe of one run."""
    changes = VARIANTS[name]
    assert isinstance(base.network, DenseConfig) and isinstance(base.loss, DenseLossWeights)
    loss = dataclasses.replace(base.loss, **changes.get("loss", {}))  # type: ignore[arg-type]
    if loss.schedule == "constant":
        loss = dataclasses.replace(loss, mask=CONSTANT_LAMBDA * base.loss.mask)
    return dataclasses.replace(
        base,
        seed=seed,
        network=dataclasses.replace(base.network, **changes.get("network", {})),  # type: ignore[arg-type]
        loss=loss,
        **changes.get("recipe", {}),  # type: ignore[arg-type]
    )


def score(network: DenseNetwork, test: Pack, refine: int) -> dict[str, float]:
    """Return the metrics of one network on the test set after this many steps of testing refinement."""
    batches = crops_of(test, network.config.input_size)
    answers = predict(look(network, batches), refine)
    line = joint_errors(answers, batches).summary() | mesh_line(answers.vertices_m, concatenate(batches))
    return {metric: line[metric] for metric in METRICS}
