"""Milliseconds a crop of the groups network, beside MediaPipe's landmark network, on this machine.

    python scripts/bench_groups.py [--weights FILE] [--threads 2] [--device auto]

Medians of single crops (the live case) and of a batch. Without weights the network is a fresh one of the live size, which
takes as long as a trained one.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from handviz.estimate.base import Estimator, EstimatorOptions
from handviz.estimate.groups import GroupsEstimator
from handviz.estimate.mediapipe import MediaPipeEstimator
from handviz.geometry.camera import camera_from_fov
from handviz.models.checkpoint import save_groups
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.records import HandCrop
from training.recipes import live_network


def median_ms(call: Callable[[], object], repeats: int) -> float:
    for _ in range(5):
        call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def crop_for(estimator: Estimator) -> HandCrop:
    size = estimator.crop_spec.size
    camera = camera_from_fov(size, size)
    rgb = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
    return HandCrop(
        side="right", rgb=rgb, K_crop=camera.K, Q_crop_from_camera=np.eye(3), H_crop_from_image=np.eye(3), camera=camera
    )


def fresh_weights(folder: Path, config: GroupsConfig) -> Path:
    path = folder / f"fresh-{config.input_size}.safetensors"
    save_groups(path, GroupsNetwork(config), {})
    return path


def report(name: str, method: Estimator, repeats: int, batch: int) -> None:
    crop = crop_for(method)
    one = median_ms(lambda: method.estimate([crop], [None]), repeats)
    each = median_ms(lambda: method.estimate([crop] * batch, [None] * batch), max(repeats // batch, 5)) / batch
    print(f"{name:20s} {one:7.2f} ms a crop; {batch} at once: {each:.2f} ms each ({1000 / each:.0f} crops/s), {method.device}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--paper", action="store_true", help="also time the paper's network")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights or fresh_weights(Path(folder), live_network())
        methods: dict[str, Estimator] = {
            "groups": GroupsEstimator(EstimatorOptions(device=arguments.device, weights=weights)),
            "mediapipe": MediaPipeEstimator(threads=arguments.threads),
        }
        if arguments.paper:
            options = EstimatorOptions(device=arguments.device, weights=fresh_weights(Path(folder), GroupsConfig()))
            methods["groups, paper size"] = GroupsEstimator(options)
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    for name, method in methods.items():
        report(name, method, arguments.repeats, arguments.batch)


if __name__ == "__main__":
    main()
