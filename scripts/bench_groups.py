"""Measure milliseconds per crop of the groups network and of MediaPipe's landmark network, on this machine.

    python scripts/bench_groups.py [--weights FILE] [--paper] [--device auto]

Medians over single crops of the bundled clip (the live case) and of a batch, with the shipped weights or others.
MediaPipe's landmarker as a whole, which always runs its palm detector too, is timed on the full picture.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from handviz.capture.open import open_source
from handviz.cli.options import source_or_clip
from handviz.crop import cut_crop, window_from_joints
from handviz.detect.mediapipe_detector import MediaPipeDetector
from handviz.estimate.base import Estimator, EstimatorOptions
from handviz.estimate.groups import GroupsEstimator
from handviz.estimate.mediapipe import MediaPipeEstimator
from handviz.models.checkpoint import save_groups
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.processor import processor_name
from handviz.records import HandCrop, UInt8Array
from handviz.threads import one_thread_for_matrices


def median_ms(call: Callable[[], object], repeats: int) -> float:
    for _ in range(5):
        call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def first_picture() -> UInt8Array:
    """Return the bundled clip's first picture."""
    frame = open_source(source_or_clip(None)).read()
    assert frame is not None
    return frame.rgb


def crop_for(estimator: Estimator) -> HandCrop:
    """Return a crop of the bundled clip's hand, as the app cuts it."""
    frame = open_source(source_or_clip(None)).read()
    assert frame is not None
    hand = MediaPipeDetector(1).detect(frame.rgb)[0]
    spec = estimator.crop_spec
    return cut_crop(frame.rgb, frame.camera, window_from_joints(hand.joints_px, spec), hand.side, spec.size)


def fresh_weights(folder: Path, config: GroupsConfig) -> Path:
    path = folder / f"fresh-{config.input_size}.safetensors"
    save_groups(path, GroupsNetwork(config), {})
    return path


def report(name: str, method: Estimator, repeats: int, batch: int) -> None:
    crop = crop_for(method)
    one = median_ms(lambda: method.estimate([crop], [None]), repeats)
    each = median_ms(lambda: method.estimate([crop] * batch, [None] * batch), max(repeats // batch, 5)) / batch
    print(f"{name:20s} {one:7.2f} ms per crop; {batch} at once: {each:.2f} ms each ({1000 / each:.0f} crops/s), {method.device}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--paper", action="store_true", help="also time the paper's network")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    arguments = parser.parse_args()
    one_thread_for_matrices()
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        methods: dict[str, Estimator] = {
            "groups": GroupsEstimator(EstimatorOptions(device=arguments.device, weights=arguments.weights)),
            "mediapipe": MediaPipeEstimator(threads=threads),
        }
        if arguments.paper:
            options = EstimatorOptions(device=arguments.device, weights=fresh_weights(Path(folder), GroupsConfig()))
            methods["groups, paper size"] = GroupsEstimator(options)
    print(f"{processor_name()}, {threads} threads, torch {torch.__version__}")
    for name, method in methods.items():
        report(name, method, arguments.repeats, arguments.batch)
    detector, rgb = MediaPipeDetector(1), first_picture()
    whole = median_ms(lambda: detector.detect(rgb), arguments.repeats)
    print(f"{'mediapipe, whole':20s} {whole:7.2f} ms per picture with one hand, detector and landmarks, cpu")


if __name__ == "__main__":
    main()
