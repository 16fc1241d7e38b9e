"""Measure testing refinement: joint error against iterations and against milliseconds, for both solvers.

    python scripts/bench_refine.py out/data/test-rendered --count 200 --out out/refinement

The joints measured are those of the mesh after so many steps in the app: from five steps on, the default solver runs the network
on a crop three times, with fewer once. (For a still picture, the app's joints lie half-way to the network's pixels.)
Milliseconds are medians from the crop to the result, the network included.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handviz.errors import HandvizError
from handviz.estimate.base import DeviceName, EstimatorOptions
from handviz.estimate.dense import LOOK_AGAIN_FROM, DenseEstimator
from handviz.fit.refinement import Iterate, Solver
from handviz.fit.rig import rig_of
from handviz.geometry.camera import FloatArray
from handviz.hand.model import load_hand_model
from handviz.processor import processor_name
from handviz.records import HandCrop
from training.answers import as_crops
from training.data.pack import read_pack
from training.dense.predict import crops_of, known_of
from training.metrics import Truth, point_errors, procrustes_aligned, root_aligned


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One solver: errors after each iteration (T,), mm, and the median milliseconds until then (T,)."""

    name: str
    pa_mm: FloatArray
    root_mm: FloatArray
    ms: FloatArray


def best_so_far(iterates: Sequence[Iterate]) -> list[Iterate]:
    """Return, for each iteration, the iterate of least total up to it: what a refinement stopped there would return."""
    kept, best = [], iterates[0]
    for iterate in iterates:
        best = iterate if iterate.total < best.total else best
        kept.append(best)
    return kept


def refined(estimator: DenseEstimator, crop: HandCrop, solver: Solver, iterations: int) -> tuple[list[FloatArray], list[float]]:
    """Return a crop's joints (21, 3) after each iteration, and the milliseconds until then."""
    rig = rig_of(load_hand_model())
    joints: list[FloatArray] = []
    elapsed: list[float] = []
    few = min(iterations, LOOK_AGAIN_FROM - 1)
    for count in sorted({few, iterations}) if solver == "newton" else [iterations]:
        began = time.perf_counter()
        iterates = estimator.refine(crop, iterations=count, solver=solver).iterates
        before = 1000 * (time.perf_counter() - began) - iterates[-1].t_ms
        # The first few iterates are known from the shorter run; the longer one ran the network more often.
        new = slice(len(joints), None)
        joints += [rig.mesh(iterate.params)[1] for iterate in best_so_far(iterates)[new]]
        elapsed += [before + iterate.t_ms for iterate in iterates[new]]
    # A diverging refinement was stopped: its best iterate is the result from there on.
    missing = iterations + 1 - len(joints)
    return joints + joints[-1:] * missing, elapsed + elapsed[-1:] * missing


def curve_of(estimator: DenseEstimator, crops: Sequence[HandCrop], truth: Truth, solver: Solver, iterations: int) -> Curve:
    """Refine every crop and return the mean errors after each iteration."""
    answers = [refined(estimator, crop, solver, iterations) for crop in crops]
    joints_NTJ3 = np.stack([joints for joints, _ in answers])

    def error(aligned_NJ3: FloatArray) -> float:
        return float(1000 * np.nanmean(point_errors(aligned_NJ3, truth.joints_m)[truth.valid]))

    steps = range(joints_NTJ3.shape[1])
    return Curve(
        name=solver,
        pa_mm=np.array([error(procrustes_aligned(joints_NTJ3[:, t], truth.joints_m, truth.valid)) for t in steps]),
        root_mm=np.array([error(root_aligned(joints_NTJ3[:, t], truth.joints_m)) for t in steps]),
        ms=np.median([elapsed for _, elapsed in answers], 0),
    )


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
    parser.add_argument("--weights", type=Path, help="use these weights instead of the shipped ones")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--solver", action="append", choices=("newton", "paper"), help="only this solver")
    parser.add_argument("--out", type=Path, default=Path("out/refinement"))
    arguments = parser.parse_args()
    device: DeviceName = arguments.device
    estimator = DenseEstimator(EstimatorOptions(weights=arguments.weights, device=device))
    pack = read_pack(arguments.pack)
    batches = crops_of(pack.select(np.flatnonzero(pack.is_hand_N)[: arguments.count]), estimator.crop_spec.size)
    crops, truth = [crop for batch in batches for crop in as_crops(batch)], known_of(batches)
    curves = []
    for solver in arguments.solver or ("newton", "paper"):
        curve = curve_of(estimator, crops, truth, solver, arguments.iterations)
        curves.append(curve)
        for t in sorted({0, 1, 2, 3, 5, 10, 20, 50, arguments.iterations} & set(range(arguments.iterations + 1))):
            numbers = f"PA-MPJPE {curve.pa_mm[t]:6.2f} mm  root-aligned {curve.root_mm[t]:6.2f} mm {curve.ms[t]:8.2f} ms"
            print(f"{solver:7s} {t:4d} {numbers}", flush=True)
    write(curves, arguments.out)
    print(f"{len(crops)} crops, {processor_name()}, {estimator.device}: {arguments.out}.csv")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HandvizError as error:
        sys.exit(f"bench_refine: {error}")
