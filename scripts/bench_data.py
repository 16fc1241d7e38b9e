"""How fast data comes: rendered samples, batches from packs, augmentation; each alone, medians, with the hardware named.

python scripts/bench_data.py [--panoramas FOLDER] [--rigged-hand FOLDER] [--data out/data]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from handviz.errors import HandvizError
from training.data.augment import augment
from training.data.sources import open_source
from training.data.synth.command import Assets, SynthesisJob, make_renderer, render_job
from training.recipes import DataPart

BATCH = 32
CROP = 128


def main() -> int:
    """Run all benchmarks that have what they need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panoramas", type=Path)
    parser.add_argument("--rigged-hand", type=Path)
    parser.add_argument("--data", type=Path, default=Path("out/data"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gpu = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores{gpu}, torch {torch.__version__}")
    try:
        rendering(Assets(panoramas=arguments.panoramas, rigged_hand=arguments.rigged_hand), arguments.workers)
        loading(arguments.data, device)
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def rendering(assets: Assets, workers: int) -> None:
    """Rendered samples a second: in one process, and in all workers together once they are warm."""
    renderer = make_renderer(SynthesisJob(count=1, seed=0, assets=assets))
    torch.set_num_threads(1)
    renderer.render(20, 0)
    seconds = median_seconds(lambda: renderer.render(20, 1), 5)
    print(f"rendered at {renderer.size} px, one process: {20 / seconds:.0f} samples/s ({50 * seconds:.1f} ms a sample)")
    chunks = render_job(SynthesisJob(count=50 * (8 * workers + 1), seed=2, assets=assets, workers=workers))
    next(chunks)
    start = time.perf_counter()
    count = sum(len(samples) for samples in chunks)
    print(f"rendered at {renderer.size} px, {workers} processes: {count / (time.perf_counter() - start):.0f} samples/s")
    torch.set_num_threads(os.cpu_count() or 1)


def loading(data: Path, device: str) -> None:
    """Batches a second from packs in memory, and through augmentation."""
    start = time.perf_counter()
    source = open_source((DataPart(source="rendered", share=0.65), DataPart(source="photos", share=0.35)), data, 0)
    print(f"{len(source)} samples decoded in {time.perf_counter() - start:.1f} s")
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


def median_seconds(work: Callable[[], object], times: int) -> float:
    """Return the median of ``times`` runs after one that does not count."""
    work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
