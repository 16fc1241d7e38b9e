"""Measure how fast a recipe trains, and what share of the machine's peak that is.

    python scripts/bench_training.py [--recipe dense-live] [--data out/data] [--threads 1]

The peak is measured too: the fastest of many products of large matrices, in the precision that training uses. The operations
of a step are those of its convolutions and matrix products, forward and backward. Medians over steps; the hardware is named.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from handviz.arguments import whole
from handviz.errors import HandvizError
from handviz.processor import processor_name
from training.data.prefetch import prefetched
from training.data.sources import open_source
from training.fit import preparation
from training.optim import mixes_precision
from training.recipes.changes import recipe
from training.runs import RunFolder
from training.trainer import Trainer

WARM_UP = 4
SIDE = 2048
PRODUCTS = 12


def main() -> int:
    """Train a few steps, multiply a few matrices, print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="dense-live")
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--steps", type=whole(1), default=20, help="number of timed steps (default %(default)s)")
    parser.add_argument("--threads", type=whole(1), default=1, help="CPU threads (default %(default)s, as under torchrun)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{machine(device)}, {arguments.threads} threads, torch {torch.__version__}")
    try:
        # Where training does not use bfloat16, a product in it may take seconds.
        dtype = torch.bfloat16 if mixes_precision(device) else torch.float32
        peak = peak_flops(device, dtype)
        precision = str(dtype).removeprefix("torch.")
        print(f"peak: {peak / 1e9:.0f} GFLOP/s (the fastest product of {SIDE} x {SIDE} matrices, {precision})")
        print(training_line(arguments.recipe, arguments.data, arguments.steps, device, peak))
    except HandvizError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def machine(device: torch.device) -> str:
    """Return the processor's or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor_name()}, {os.cpu_count()} cores"


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations per second of the fastest of several matrix products in this precision."""
    a, b = (torch.randn(SIDE, SIDE, device=device, dtype=dtype) for _ in range(2))
    seconds = [timed(lambda: a @ b, device) for _ in range(PRODUCTS)]
    return 2 * SIDE**3 / min(seconds)


def training_line(name: str, data: Path, steps: int, device: torch.device, peak: float) -> str:
    """Return the line of numbers for a recipe's steps. Raises HandvizError for an unknown one or missing data."""
    chosen = recipe(name)
    with prefetched(open_source(chosen.data, data, chosen.seed, device)) as source, tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(chosen, source, preparation(chosen), RunFolder(path=Path(folder)), device=device)
        for _ in range(WARM_UP):
            trainer.step()
        with FlopCounterMode(display=False) as counter:
            trainer.step()
        seconds = statistics.median(timed(trainer.step, device) for _ in range(steps))
    size, flops = chosen.stages[0].batch_size, counter.get_total_flops()
    return (
        f"{chosen.name}: {size / seconds:.0f} crops/s, {flops / size / 1e9:.1f} GFLOP per crop (mirrored hands included), "
        f"{flops / seconds / 1e9:.0f} GFLOP/s, {flops / seconds / peak:.0%} of the peak"
    )


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
