"""Measure data rates: rendered samples, batches from packs, augmentation; each alone, medians, with the hardware named.

Then loader and trainer together: the share of a training step that is spent waiting for data, which should be 10 % at most.

python scripts/bench_data.py [--panoramas FOLDER] [--rigged-hand FOLDER] [--data out/data] [--only together]
python scripts/bench_data.py --only together --source rendered-live     # renderer and trainer on one device
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from handviz.errors import HandvizError
from handviz.processor import processor_name
from training.data.augment import augment
from training.data.prefetch import STEPS_AHEAD, Prefetched
from training.data.sample import Batch
from training.data.sources import Drawn, open_source
from training.data.synth.batched.source import BatchedSource
from training.data.synth.command import Assets, SynthesisJob, make_renderer, render_job
from training.recipes.changes import recipe
from training.recipes.records import DataPart, Recipe
from training.runs import RunFolder
from training.trainer import Trainer

BATCH = 32
CROP = 128
WARM_UP = 8


def main() -> int:
    """Run the chosen benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panoramas", type=Path)
    parser.add_argument("--rigged-hand", type=Path)
    parser.add_argument("--data", type=Path, default=Path("out/data"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--recipe", default="groups-live", help="recipe that loader and trainer run (default %(default)s)")
    parser.add_argument("--source", help="train only from this source instead of the recipe's data, such as rendered-live")
    parser.add_argument("--batch", type=int, help="batch size instead of the recipe's")
    parser.add_argument("--steps", type=int, default=60, help="number of timed training steps (default %(default)s)")
    parser.add_argument("--only", choices=("rendering", "loading", "together"))
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gpu = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    print(f"{processor_name()}, {os.cpu_count()} cores{gpu}, torch {torch.__version__}")
    try:
        if arguments.only in (None, "rendering"):
            assets = Assets(panoramas=arguments.panoramas, rigged_hand=arguments.rigged_hand)
            rendering(assets, arguments.workers)
            rendering_batched(assets, torch.device(device), arguments.batch or (128 if device == "cuda" else 8))
        if arguments.only in (None, "loading"):
            loading(arguments.data, device)
        if arguments.only in (None, "together"):
            chosen = changed(recipe(arguments.recipe), arguments.source, arguments.batch)
            together(chosen, arguments.data, torch.device(device), arguments.steps)
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def rendering(assets: Assets, workers: int) -> None:
    """Print rendered samples per second: in one process, and in all workers together once they are warm."""
    renderer = make_renderer(SynthesisJob(count=1, seed=0, assets=assets))
    torch.set_num_threads(1)
    renderer.render(20, 0)
    seconds = median_seconds(lambda: renderer.render(20, 1), 5)
    print(f"rendered at {renderer.size} px, one process: {20 / seconds:.0f} samples/s ({50 * seconds:.1f} ms per sample)")
    chunks = render_job(SynthesisJob(count=50 * (8 * workers + 1), seed=2, assets=assets, workers=workers))
    next(chunks)
    start = time.perf_counter()
    count = sum(len(samples) for samples in chunks)
    print(f"rendered at {renderer.size} px, {workers} processes: {count / (time.perf_counter() - start):.0f} samples/s")
    torch.set_num_threads(os.cpu_count() or 1)


def rendering_batched(assets: Assets, device: torch.device, size: int) -> None:
    """Print samples per second rendered in whole batches on the device, with nothing else running."""
    start = time.perf_counter()
    source = BatchedSource(SynthesisJob(count=1, seed=0, assets=assets), device)
    opened, steps = time.perf_counter() - start, iter(range(10**6))
    # A source returns a batch only when it is ready, so the time covers all of its work.
    seconds = median_seconds(lambda: source.draw(next(steps), size), 10)
    print(f"rendered in batches of {size} on {device.type}: {size / seconds:.0f} samples/s (opened in {opened:.1f} s)")


def loading(data: Path, device: str) -> None:
    """Print crops per second drawn from packs, and through augmentation."""
    start = time.perf_counter()
    parts = (DataPart(source="rendered", share=0.65), DataPart(source="photos", share=0.35))
    source = open_source(parts, data, 0, torch.device(device))
    print(f"{len(source)} samples opened for {device} in {time.perf_counter() - start:.1f} s")
    steps = iter(range(10**6))
    drawn = median_seconds(lambda: source.draw(next(steps), BATCH), 50)
    batch = source.draw(0, BATCH).to(device)
    generator = torch.Generator().manual_seed(0)

    def cut() -> None:
        augment(batch, generator, CROP)
        if device == "cuda":
            torch.cuda.synchronize()

    augmented = median_seconds(cut, 30)
    print(f"drawn: {BATCH / drawn:.0f} crops/s; augmented on {device}: {BATCH / augmented:.0f} crops/s")
    print(f"drawn and augmented, one after the other: {BATCH / (drawn + augmented):.0f} crops/s")


@dataclass(slots=True, eq=False)
class Waiting:
    """A source that remembers how long the trainer waited for each of its batches."""

    source: Drawn
    seconds: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.source)

    def draw(self, step: int, size: int, rows: slice) -> Batch:
        """Draw, and record the time it took."""
        start = time.perf_counter()
        batch = self.source.draw(step, size, rows)
        self.seconds.append(time.perf_counter() - start)
        return batch


def changed(chosen: Recipe, source: str | None, batch: int | None) -> Recipe:
    """Return the recipe with only its last stage, made endless, and with another source and batch size where given."""
    stage = dataclasses.replace(chosen.stages[-1], share=1.0, batch_size=batch or chosen.stages[-1].batch_size)
    data = chosen.data if source is None else (DataPart(source=source),)
    return dataclasses.replace(chosen, stages=(stage,), steps=10**6, data=data)


def together(chosen: Recipe, data: Path, device: torch.device, steps: int) -> None:
    """Print crops and steps per second and the share spent waiting, with and without batches drawn ahead."""
    for name, ahead in (("drawn on demand", 0), (f"{STEPS_AHEAD} batches ahead", STEPS_AHEAD)):
        source = Prefetched(open_source(chosen.data, data, chosen.seed, device), ahead)
        waiting = Waiting(source)
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(chosen, waiting, augment, RunFolder(path=Path(folder)), device=device)
            for _ in range(WARM_UP):
                trainer.step()
            seconds = [timed(trainer.step) for _ in range(steps)]
        source.close()
        step_s, wait_s = statistics.median(seconds), statistics.median(waiting.seconds[WARM_UP:])
        share = sum(waiting.seconds[WARM_UP:]) / sum(seconds)
        size = chosen.stages[0].batch_size
        print(
            f"{chosen.name} on {device.type}, {name}: {size / step_s:.0f} crops/s, {1 / step_s:.1f} steps/s, "
            f"step {1000 * step_s:.1f} ms, of which {1000 * wait_s:.1f} ms waiting for data ({share:.1%} of {steps} steps)"
        )


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], times: int) -> float:
    """Return the median of ``times`` runs after one warm-up run."""
    work()
    return statistics.median(timed(work) for _ in range(times))


if __name__ == "__main__":
    sys.exit(main())
