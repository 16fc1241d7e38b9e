"""Testing refinement measured: joint error against iterations and against milliseconds, for both solvers.

python scripts/bench_refine.py out/data/test-rendered --weights WEIGHTS --count 200 --out out/refinement
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from handviz.errors import HandvizError
from handviz.fit.refine_paper import PaperSettings, PaperTarget, refine_paper
from handviz.fit.refinement import Iterate, RefinementTrace, Solver, refine_newton
from handviz.fit.rig import rig_of
from handviz.fit.seen import Seen
from handviz.geometry.camera import FloatArray
from handviz.hand.model import load_hand_model
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import load_dense
from handviz.records import UInt8Array
from training.data.pack import read_pack
from training.data.sample import Batch
from training.dense.predict import crops_of, known_of, look
from training.metrics import procrustes_aligned, root_aligned


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One solver: errors after each iteration (T,), mm, and the median milliseconds until then (T,)."""

    name: str
    pa_mm: FloatArray
    root_mm: FloatArray
    ms: FloatArray


def curve_of(name: str, traces: Sequence[RefinementTrace], truth_NJ3: FloatArray) -> Curve:
    """Return errors of the best iterate so far, which is what a refinement stopped there would answer."""
    rig = rig_of(load_hand_model())
    joints = np.stack([[rig.mesh(it.params)[1] for it in best_so_far(trace)] for trace in traces])
    steps = joints.shape[1]

    def error(aligned: FloatArray) -> float:
        return float(1000 * np.linalg.norm(aligned - truth_NJ3, axis=-1).mean())

    return Curve(
        name=name,
        pa_mm=np.array([error(procrustes_aligned(joints[:, t], truth_NJ3)) for t in range(steps)]),
        root_mm=np.array([error(root_aligned(joints[:, t], truth_NJ3)) for t in range(steps)]),
        ms=np.median([[it.t_ms for it in trace.iterates] for trace in traces], 0),
    )


def best_so_far(trace: RefinementTrace) -> list[Iterate]:
    """Return, for each iteration, the iterate of least total up to it."""
    kept, best = [], trace.iterates[0]
    for iterate in trace.iterates:
        best = iterate if iterate.total < best.total else best
        kept.append(best)
    return kept


def traces_of(
    solver: Solver,
    network: DenseNetwork,
    seen: Sequence[Seen],
    rgb: Sequence[UInt8Array],
    iterations: int,
    settings: PaperSettings,
) -> list[RefinementTrace]:
    """Refine every crop and keep all iterates."""
    hand = load_hand_model()
    if solver == "newton":
        return [refine_newton(rig_of(hand), s.target, s.params, iterations, keep=True) for s in seen]
    targets = [
        PaperTarget(rgb=p, K=s.target.K, joints_px_J2=s.target.joints_px_J2, feature=s.feature, size=p.shape[0])
        for s, p in zip(seen, rgb, strict=True)
    ]
    return [
        refine_paper(network, hand, t, s.params, iterations, keep=True, settings=settings)
        for t, s in zip(targets, seen, strict=True)
    ]


def pictures_of(batches: Sequence[Batch]) -> list[UInt8Array]:
    """Return the crops as uint8 pictures."""
    return [p for b in batches for p in (b.rgb_B3SS.permute(0, 2, 3, 1) * 255).round().byte().numpy()]


def write(curves: Sequence[Curve], out: Path) -> None:
    """Write ``out.csv`` and ``out.png``."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["solver", "iteration", "PA-MPJPE mm", "root-aligned MPJPE mm", "ms"])
        for c in curves:
            writer.writerows([c.name, t, f"{c.pa_mm[t]:.3f}", f"{c.root_mm[t]:.3f}", f"{c.ms[t]:.2f}"] for t in range(len(c.ms)))
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axis, label in zip(figure.subplots(1, 2, sharey=True), ("iterations", "milliseconds"), strict=True):
        for c in curves:
            axis.plot(np.arange(len(c.ms)) if label == "iterations" else np.maximum(c.ms, 1e-2), c.pa_mm, label=c.name)
        axis.set_xlabel(label)
        axis.set_xscale("symlog" if label == "iterations" else "log")
        axis.set_ylabel("PA-MPJPE mm")
        axis.legend()
    figure.savefig(out.with_suffix(".png"), dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--without-features", action="store_true", help="leave the feature term out of the paper's objective")
    parser.add_argument("--step", type=float, default=PaperSettings().step, help="the paper's gamma")
    parser.add_argument("--out", type=Path, default=Path("out/refinement"))
    arguments = parser.parse_args()
    network, _ = load_dense(arguments.weights)
    pack = read_pack(arguments.pack)
    batches = crops_of(pack.select(np.arange(min(arguments.count, len(pack)))), network.config.input_size)
    seen, truth = look(network, batches), known_of(batches).joints_m
    settings = PaperSettings(step=arguments.step)
    if arguments.without_features:
        settings = replace(settings, feature_weight=0.0)
    curves = []
    for solver in ("newton", "paper"):
        curve = curve_of(solver, traces_of(solver, network, seen, pictures_of(batches), arguments.iterations, settings), truth)
        curves.append(curve)
        for t in sorted({0, 1, 2, 3, 5, 10, 20, 50, arguments.iterations} & set(range(arguments.iterations + 1))):
            numbers = f"PA-MPJPE {curve.pa_mm[t]:6.2f} mm  root-aligned {curve.root_mm[t]:6.2f} mm {curve.ms[t]:8.2f} ms"
            print(f"{solver:7s} {t:4d} {numbers}")
    write(curves, arguments.out)
    print(
        f"{len(seen)} crops, {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads: {arguments.out}.csv"
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HandvizError as error:
        sys.exit(f"bench_refine: {error}")
