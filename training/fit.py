"""``training fit RECIPE``: open the data, train, stop cleanly."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch

from handviz.arguments import above_zero, whole
from handviz.errors import HandvizError
from handviz.interrupts import endings
from handviz.models.weights_files import named_weights
from training.board import TensorBoard
from training.distributed import World, join_world
from training.places import check_folder
from training.recipes.changes import recipe
from training.recipes.named import RECIPES
from training.recipes.records import Recipe
from training.runs import RunFolder, describe_run
from training.trainer import Prepare, StepReport, Trainer


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``fit`` to the command line."""
    parser = subparsers.add_parser("fit", help="train a network by a recipe", description=f"Recipes: {', '.join(RECIPES)}.")
    parser.add_argument("recipe", help="name of a recipe")
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--out", type=Path, help="run folder (default runs/RECIPE)")
    parser.add_argument("--minutes", type=above_zero, help="train for this long in total instead of the recipe's steps")
    parser.add_argument("--start", type=named_weights, metavar="WEIGHTS", help="trained weights to start from, a file or a name")
    parser.add_argument("--resume", action="store_true", help="continue from the run folder's last checkpoint")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of the recipe")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=whole(1, 1024), help="CPU threads")
    parser.set_defaults(run=run_fit)


def run_fit(arguments: argparse.Namespace) -> int:
    """Train; returns 0 when the end was reached or the user stopped it."""
    from training.data.prefetch import prefetched
    from training.data.sources import left_out_lines, open_source

    chosen = recipe(arguments.recipe, parse_changes(arguments.set))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.resume and arguments.start:
        raise HandvizError("--resume continues with the run's own weights, --start begins with others. Give only one of them.")
    folder = RunFolder(path=arguments.out or Path("runs") / chosen.name)
    check_folder(folder.path)
    if folder.begun and not arguments.resume:
        raise HandvizError(f"{folder.path}: already holds a run. Add --resume to continue it, or give another --out.")
    device_type = pick_device(arguments.device)
    with join_world(device_type) as world:
        device = torch.device(device_type, world.local_rank) if device_type == "cuda" else torch.device("cpu")
        opened = open_source(chosen.data, arguments.data, chosen.seed, device)
        with prefetched(opened) as source:
            trainer = Trainer(
                chosen,
                source,
                preparation(chosen),
                folder,
                device=device,
                minutes=arguments.minutes,
                world=world,
            )
            if arguments.resume:
                trainer.resume()
            elif arguments.start:
                trainer.start_from(arguments.start)
            if world.leads:
                describe_run(folder, chosen, resumed=arguments.resume)
            train(trainer, world)
        if world.leads:
            for line in left_out_lines(opened):
                print(line)
    return 0


def preparation(chosen: Recipe) -> Prepare:
    """Return the function that cuts a recipe's crops from the stored ones."""
    from training.data.augment import MILD, PAPER, augment, centre_cut

    ways: dict[str, Prepare] = {
        "full": augment,
        "mild": lambda batch, generator, size: augment(batch, generator, size, MILD),
        "paper": lambda batch, generator, size: augment(batch, generator, size, PAPER),
        "none": lambda batch, _, size: centre_cut(batch, size),
    }
    return ways[chosen.augmentation]


def train(trainer: Trainer, world: World, watch: Callable[[Trainer, StepReport], None] = lambda trainer, step: None) -> None:
    """Run the trainer under signal handlers, with curves and a progress line now and then; ``watch`` also gets every step."""
    board = TensorBoard(trainer.folder.path / "board") if world.leads else None
    ticker = Ticker()

    def report(step: StepReport) -> None:
        if board is not None:
            board.report(trainer, step)
            ticker.report(trainer, step)
        watch(trainer, step)

    try:
        with stop_on_signals() as stopped:
            trainer.run(lambda: stopped.value, report)
    finally:
        if board is not None:
            board.close()
    if world.leads:
        print(f"{'stopped' if stopped.value else 'done'} at step {trainer.progress.step}: {trainer.folder.weights}", flush=True)


class Ticker:
    """Prints a line of progress every few seconds."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._every_s = every_s
        self._last = time.monotonic()
        self._crops = 0

    def report(self, trainer: Trainer, step: StepReport) -> None:
        """Count the step and print when it is time."""
        self._crops += len(step.batch) * trainer.world.size
        now = time.monotonic()
        if now - self._last < self._every_s:
            return
        rate = self._crops / (now - self._last)
        errors = trainer.task.errors(step.output, step.batch)
        words = " ".join(f"{name} {value:.2f}" for name, value in errors.items())
        print(
            f"step {step.step} ({trainer.share_done():.1%}) loss {step.loss:.3f} {words} lr {step.lr:.1e} {rate:.0f} crops/s",
            flush=True,
        )
        self._last, self._crops = now, 0


class Stopped:
    """A flag that a signal sets."""

    def __init__(self) -> None:
        self.value = False


@contextmanager
def stop_on_signals() -> Iterator[Stopped]:
    """Turn termination signals into a flag, so that the current step finishes and a checkpoint is written."""
    stopped = Stopped()

    def stop(signum: int, frame: FrameType | None) -> None:
        stopped.value = True

    previous = {number: signal.signal(number, stop) for number in endings()}
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def parse_changes(pairs: list[str]) -> dict[str, str]:
    """Turn ``KEY=VALUE`` words into a mapping. Raises HandvizError for a word without ``=``."""
    changes = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise HandvizError(f"--set {pair}: give KEY=VALUE, for example --set seed=3")
        changes[key] = value
    return changes


def pick_device(name: str) -> str:
    """Return "cuda" or "cpu". Raises HandvizError when a GPU is requested but there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise HandvizError("--device cuda: this torch sees no GPU. Use --device cpu.")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
