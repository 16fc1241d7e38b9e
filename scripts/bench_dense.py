"""Measure milliseconds per crop of the dense network, mesh included, with and without testing refinement, on this machine.

    python scripts/bench_dense.py [--weights FILE] [--device auto] [--paper]

Medians over single crops of the bundled clip, with the shipped weights or others: as for a still picture, on which the network
runs three times from five steps on, and as in a live view, where the steps after the first two run alongside the next frame.
``--paper`` adds the paper's network and its gradient steps on all of Eq. 13.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from bench_groups import crop_for, median_ms

from handviz.estimate.base import DeviceName, EstimatorOptions
from handviz.estimate.dense import DenseEstimator
from handviz.models.dense import DenseConfig, DenseNetwork, dense_paper_config
from handviz.models.dense_checkpoint import save_dense
from handviz.processor import processor_name
from handviz.records import HandCrop
from handviz.threads import one_thread_for_matrices


def fresh_weights(folder: Path, name: str, config: DenseConfig) -> Path:
    path = folder / f"{name}.safetensors"
    save_dense(path, DenseNetwork(config), {})
    return path


def live(method: DenseEstimator, crop: HandCrop) -> None:
    """Estimate as for a live view, and do the postponed steps."""
    _, finish = method.estimate_quickly([crop], [None])
    if finish is not None:
        finish()


def report(name: str, weights: Path | None, device: DeviceName, repeats: int) -> None:
    for steps in (0, 10, 20):
        method = DenseEstimator(EstimatorOptions(device=device, weights=weights, refine_iterations=steps))
        crop = crop_for(method)
        ms = median_ms(lambda method=method, crop=crop: method.estimate([crop], [None]), repeats)  # type: ignore[misc]
        print(f"{name:12s} {steps:3d} refinement steps {ms:8.2f} ms per crop, {method.device}", flush=True)
    for steps in (0, 10, 20):
        method = DenseEstimator(EstimatorOptions(device=device, weights=weights, refine_iterations=steps, live=True))
        crop = crop_for(method)
        ms = median_ms(lambda method=method, crop=crop: live(method, crop), repeats)  # type: ignore[misc]
        print(f"{name:12s} {steps:3d} refinement steps {ms:8.2f} ms per crop in a live view, {method.device}", flush=True)
    method = DenseEstimator(EstimatorOptions(device=device, weights=weights))
    crop = crop_for(method)
    ms = median_ms(lambda: method.refine(crop, iterations=10, solver="paper"), max(repeats // 20, 3))
    print(f"{name:12s}  10 of the paper's gradient steps, with features: {ms:8.2f} ms per crop", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--paper", action="store_true", help="also time the paper's network")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    arguments = parser.parse_args()
    one_thread_for_matrices()
    print(f"{processor_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        report("live", arguments.weights, arguments.device, arguments.repeats)
        if arguments.paper:
            paper = fresh_weights(Path(folder), "paper", dense_paper_config())
            report("paper", paper, arguments.device, max(arguments.repeats // 10, 3))


if __name__ == "__main__":
    main()
