"""Measure hand model, renderer and fit: ``python scripts/bench_hand.py [--json FILE]``. Medians; the device is named."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from bench_render import render_numbers
from torch import Tensor

from handviz.hand.library import DEFAULT_HAND
from handviz.hand.model import HandModel, load_hand_model
from handviz.processor import processor_name

Arguments = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def median_ms(work: Callable[[], object], *, repeats: int = 200, warm_up: int = 20, device: str = "cpu") -> float:
    """Return the median time of ``work`` in milliseconds."""
    times = []
    for k in range(warm_up + repeats):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        if k >= warm_up:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def random_arguments(count: int, device: str) -> Arguments:
    """Return pose, shape, root rotation, scale and translation of ``count`` random hands."""
    g = torch.Generator().manual_seed(0)
    drawn = (0.3 * torch.randn(count, size, generator=g) for size in (45, 10, 3))
    pose, shape, root = (x.to(device) for x in drawn)
    return pose, shape, root, torch.ones(count, device=device), torch.zeros(count, 3, device=device)


def model_numbers(model: HandModel, device: str) -> dict[str, float]:
    """Return forward and forward-backward times of the hand model on one device."""
    numbers: dict[str, float] = {}
    model = model.to(device=device)
    suffix = "_gpu" if device == "cuda" else ""
    for count in (1, 256):
        arguments = random_arguments(count, device)

        def forward(arguments: Arguments = arguments) -> None:
            with torch.no_grad():
                model.forward(*arguments)

        def both(arguments: Arguments = arguments) -> None:
            pose, shape, root, scale, move = (x.clone().requires_grad_() for x in arguments)
            surface = model.forward(pose, shape, root, scale, move)
            torch.autograd.backward(surface.vertices_BV3.square().sum() + surface.joints_BJ3.square().sum())

        repeats = 300 if count == 1 else 60
        numbers[f"hand_forward_b{count}_ms{suffix}"] = median_ms(forward, repeats=repeats, device=device)
        numbers[f"hand_forward_backward_b{count}_ms{suffix}"] = median_ms(both, repeats=repeats, device=device)
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file, as one flat object")
    parser.add_argument("--hand-model", default=DEFAULT_HAND)
    options = parser.parse_args()
    model = load_hand_model(options.hand_model)
    device = f"{processor_name()}, {torch.get_num_threads()} threads"
    numbers: dict[str, object] = {"vertices": len(model.template_V3), "faces": len(model.faces_F3)}
    numbers |= model_numbers(model, "cpu")
    if torch.cuda.is_available():
        numbers |= model_numbers(model, "cuda")
        device += f"; {torch.cuda.get_device_name()}"
    numbers |= render_numbers(model, median_ms)
    numbers["device"] = device
    for name, value in numbers.items():
        print(f"{name:32} {value:.3f}" if isinstance(value, float) else f"{name:32} {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
