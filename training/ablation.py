"""What every ablation has in common: its arguments, its test set, its runs and its table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from handviz.arguments import whole
from handviz.errors import HandvizError
from handviz.models.checkpoint import write_atomically
from training.data.benchmarks import for_evaluation
from training.data.pack import Pack
from training.data.prefetch import prefetched
from training.data.sources import open_source, read_source
from training.distributed import World
from training.fit import preparation, train
from training.plain_json import json_bytes
from training.recipes.records import Recipe
from training.runs import RunFolder, describe_run, is_run_of
from training.trainer import StepReport, Trainer

# Default steps of a scaled-down run: five runs of the groups are a night's work for two cores.
SMALL_STEPS = 4000
# The largest share of a scaled-down stage that is warm-up.
WARM_SHARE = 0.05

Watch = Callable[[Trainer, StepReport], None]
Begin = Callable[[Trainer, Path], None]


def add_arguments(parser: argparse.ArgumentParser, variants: Iterable[str], recipes: Sequence[str], out: Path) -> None:
    """Add the arguments of an ablation over these variants; defaults are the first of these recipes and the folder ``out``."""
    names = tuple(variants)
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--test", required=True, help="what to test on: a data source's name, a pack or a folder of packs")
    parser.add_argument(
        "--recipe",
        choices=recipes,
        default=recipes[0],
        help="recipe that all variants change: %(default)s, the default, scaled down, or another as `training fit` uses it",
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=names,
        default=names,
        metavar="VARIANT",
        help="rows of the table (default all): " + ", ".join(f'"{name}"' for name in names),
    )
    parser.add_argument("--seeds", type=whole(1), default=3, help="runs of each variant (default %(default)s)")
    parser.add_argument(
        "--steps", type=whole(1), help=f"steps per run (default {SMALL_STEPS} for {recipes[0]}, for another recipe its own)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of the recipe")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--out", type=Path, default=out, help="folder of runs and table (default %(default)s)")


def read_test(name: str, folder: Path) -> Pack:
    """Return those hands of a test set, named as for ``training evaluate``, whose joints are known in metres.

    Raises HandvizError when there is none.
    """
    test = read_source(for_evaluation(name), folder)
    test = test.select(test.is_hand_N & test.has_joints_m_N)
    if len(test) == 0:
        raise HandvizError(
            f"{name}: holds no hand with joints in metres to test on. Name a set that does, such as test-rendered."
        )
    return test


def trained(
    title: str,
    chosen: Recipe,
    folder: RunFolder,
    data: Path,
    device: torch.device,
    *,
    start: Path | None = None,
    begin: Begin = Trainer.start_from,
    watch: Watch = lambda trainer, step: None,
) -> bool:
    """Train one run of an ablation, or resume it, unless it is finished; return whether it reached its end.

    ``begin`` loads what a new run takes from ``start``. Raises HandvizError where the folder holds a run with other settings,
    whose numbers would be taken for this one's.
    """
    given = {"data": str(data.resolve()), "start": "" if start is None else str(start.resolve())}
    begun = folder.begun
    if begun and not is_run_of(folder, chosen, given):
        raise HandvizError(f"{folder.path}: holds a run with other settings. Give another --out, or remove it.")
    if _at_its_end(folder, chosen.steps):
        return True
    print(f"training {title}", flush=True)
    with prefetched(open_source(chosen.data, data, chosen.seed, device)) as source:
        trainer = Trainer(chosen, source, preparation(chosen), folder, device=device)
        if folder.state.is_file():
            trainer.resume()
        elif start is not None:
            begin(trainer, start)
        describe_run(folder, chosen, resumed=begun, given=given)
        train(trainer, World(), watch)
    done = _at_its_end(folder, chosen.steps)
    if not done:
        print(f"stopped before {title} was done; the same command continues from here.")
    return done


def _at_its_end(folder: RunFolder, steps: int) -> bool:
    if not folder.weights.is_file():
        return False
    with safe_open(folder.weights, framework="np") as file:
        return int((file.metadata() or {}).get("steps", "0")) >= steps


def slug(name: str) -> str:
    """Return a variant's name as part of a path."""
    return "".join(c if c.isalnum() else "-" for c in name).replace("---", "-").replace("--", "-").strip("-")


def table(found: Mapping[str, Sequence[Mapping[str, float]]], metrics: Mapping[str, tuple[str, str]]) -> str:
    """Return each row's means and standard deviations over its runs as Markdown; ``metrics`` holds the formats of the two."""
    lines = [f"| | runs | {' | '.join(metrics)} |", "|" + "---|" * (len(metrics) + 2)]
    for name, runs in found.items():
        cells = [_spread([run[metric] for run in runs], *formats) for metric, formats in metrics.items()]
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float], of_mean: str, of_deviation: str) -> str:
    mean = format(np.mean(values), of_mean)
    return f"{mean} ± {format(np.std(values, ddof=1), of_deviation)}" if len(values) > 1 else mean


def write_table(folder: Path, text: str, numbers: Mapping[str, object]) -> None:
    """Print the table and write it as ``table.md`` with every run's numbers in ``table.json``. Raises OutputError."""
    print(text)
    write_atomically(folder / "table.md", (text + "\n").encode())
    write_atomically(folder / "table.json", json_bytes(numbers))
