"""``training evaluate``: estimators on the same labelled crops, in one run, with every metric of the field.

Each method is one of the app's own estimators, fed the crops that the app would cut. What is compared:

- PA-MPJPE: aligned by rotation, scale and translation, sample by sample;
- root-aligned MPJPE: as the method placed the hand, moved onto the true middle MCP;
- EPE, of which the AUCs are, by ``--align``: ``given-root`` is the protocol of Li et al. 2021, given the true root depth
  and hand scale, with which the method's pixels and relative depths are lifted (Eqs. 1 to 3); ``given-scale`` that for
  FreiHAND, the root depth being where the scale bone has its true length (Iqbal 2018); ``best-root-and-scale`` that of
  Dexter+Object, whose labels are fingertips alone: shifted and scaled to fit best, not turned;
- 2D: pixels of the network's crop, and shares of the palm length.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from handviz.arguments import whole
from handviz.errors import HandvizError, OutputError
from handviz.estimate.base import Estimator, EstimatorOptions
from handviz.estimate.dense import DenseEstimator
from handviz.estimate.registry import create_estimator, default_weights, estimator_names
from handviz.fit.refinement import MAX_ITERATIONS, Solver
from handviz.geometry.camera import Camera
from handviz.hand.library import DEFAULT_HAND
from handviz.hand.skeleton import ROOT, SCALE_BONE
from handviz.models.recovery import recover_joints, relative_depth, root_depth_from_bone, scale_of
from handviz.records import HandCrop
from training.data.augment import centre_cut
from training.data.benchmarks import for_evaluation
from training.data.pack import Pack
from training.data.sample import Batch
from training.data.sources import read_source
from training.dense.paper_refined import PaperRefined
from training.dense.predict import mesh_line
from training.freihand_submission import write_submission
from training.looks import looked_at
from training.metrics import Errors, Truth, best_root_and_scale, errors_of, mean_of, missed, point_errors
from training.overlays import save_overlays
from training.results import PROTOCOLS, Align, Answers, Comparison, table, write_results

CROP_SIZE = 256
RESULTS = Path("out/evaluation")
PAPER_SOLVER: Final[Solver] = "paper"


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` to the command line."""
    parser = subparsers.add_parser("evaluate", help="compare estimators on labelled crops")
    parser.add_argument(
        "set",
        help="a pack, a folder of packs, or a data source's name; of a published set the evaluation split, if none is named",
    )
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME[@N[:paper]][=WEIGHTS]",
        help="an estimator, refined by N steps (of the paper's solver), with weights if not its own; repeat to compare "
        "(default groups and mediapipe)",
    )
    parser.add_argument(
        "--limit", type=whole(1), help="only so many samples: the first, or of a published set some from all of it"
    )
    parser.add_argument(
        "--align",
        choices=tuple(PROTOCOLS),
        help="what EPE and AUC are given (default given-root; for dexter-object best-root-and-scale)",
    )
    parser.add_argument(
        "--freihand-json",
        type=Path,
        metavar="FILE",
        help="with the set freihand:evaluation and one method: write its answers to all 3,960 pictures for submission, no table",
    )
    parser.add_argument(
        "--hand-model",
        default=DEFAULT_HAND,
        metavar="NAME",
        help="the hand of methods that answer with a mesh, by its name in `handviz add-hand` (default: the built-in one)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"for tables and curves (default {RESULTS}/ and the set)")
    parser.set_defaults(run=run_evaluate)


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate and write tables, PCK curves and overlays of the best and worst answers, or a submission; returns 0."""
    if arguments.freihand_json is not None:
        return _run_submission(arguments)
    scored = for_evaluation(arguments.set)
    pack = read_source(scored, arguments.data, arguments.limit)
    kept = np.flatnonzero(pack.is_hand_N)[: arguments.limit]
    if len(kept) == 0:
        raise HandvizError(f"{scored}: holds no hand to evaluate on.")
    methods = {name: open_method(name, arguments.hand_model) for name in arguments.method or ["groups", "mediapipe"]}
    is_dexter = scored.partition(":")[0] == "dexter-object"
    align: Align = arguments.align or ("best-root-and-scale" if is_dexter else "given-root")
    pack = pack.select(kept)
    result = compare(pack, methods, align)
    text = f"{scored}: {table(result)}"
    print(text)
    out: Path = arguments.out or folder_of(scored)
    write_results(out, result, text)
    write_overlays(out, result, pack)
    print(f"written to {out}")
    return 0


def folder_of(set_name: str) -> Path:
    """Return the folder of a set's results, one for each set: ``out/data/test-rendered`` is ``out-data-test-rendered``."""
    return RESULTS / re.sub(r"[^A-Za-z0-9._-]+", "-", set_name).strip("-.")


def _run_submission(arguments: argparse.Namespace) -> int:
    if for_evaluation(arguments.set) != "freihand:evaluation" or len(arguments.method) != 1:
        raise HandvizError("--freihand-json: give the set freihand:evaluation and one --method, whose answers it then holds.")
    method = open_method(arguments.method[0], arguments.hand_model)
    has_mesh = write_submission(arguments.freihand_json, method, arguments.data / "freihand")
    if has_mesh:
        print("The vertices are of the method's own hand; mesh scores mean something where that hand is MANO's.")
    else:
        print("The method answers without a mesh of 778 vertices: they are zeros, and only joint scores mean something.")
    print(f"written: {arguments.freihand_json}")
    return 0


def open_method(text: str, hand_model: str = DEFAULT_HAND) -> Estimator:
    """Open ``NAME[@N[:paper]][=WEIGHTS]``. Raises HandvizError for an unknown name or solver, a bad count, unfit weights."""
    name, _, weights = text.partition("=")
    name, _, refinement = name.partition("@")
    steps, _, solver = refinement.partition(":")
    if steps and not (steps.isdigit() and int(steps) <= MAX_ITERATIONS):
        raise HandvizError(f"--method {text}: give 0 to {MAX_ITERATIONS} refinement steps after the @.")
    if solver and (solver != PAPER_SOLVER or name != DenseEstimator.name):
        raise HandvizError(f"--method {text}: the only other solver is the paper's, of the dense hand: dense@20:{PAPER_SOLVER}.")
    if weights and default_weights(name) is None and name in estimator_names():
        raise HandvizError(f"--method {text}: {name} takes no weights. Leave them out.")
    options = EstimatorOptions(
        weights=Path(weights) if weights else None, refine_iterations=int(steps or 0), hand_model=hand_model
    )
    return PaperRefined(options) if solver else create_estimator(name, options)


def compare(pack: Pack, methods: dict[str, Estimator], align: Align = "given-root") -> Comparison:
    """Run every method on every sample of the pack; ``align`` is the protocol of EPE and AUC."""
    batch = centre_cut(pack.batch(np.arange(len(pack))), CROP_SIZE)
    truth = truth_of(batch)
    answers = {name: answer(method, pack) for name, method in methods.items()}
    errors = {name: errors_of(a.joints_m, a.joints_px, truth) for name, a in answers.items()}
    for name, answer_of in answers.items():
        if align == "best-root-and-scale":
            errors[name] = with_best_root_and_scale(errors[name], answer_of, truth)
        else:
            errors[name] = with_given_scale(errors[name], answer_of, truth, batch, root_given=align == "given-root")
    meshes = {name: mesh_line(a.vertices_m, batch) for name, a in answers.items() if a.vertices_m is not None}
    return Comparison(
        errors=errors,
        answers=answers,
        meshes=meshes,
        truth=truth,
        align=align,
        views=pack.names.view,
        sources=pack.names.source,
    )


def truth_of(batch: Batch) -> Truth:
    """Return a batch's labels as arrays; joints in metres are NaN where unknown."""
    joints = batch.joints_m_BJ3.double().numpy().copy()
    joints[~batch.has_joints_m_B.numpy()] = np.nan
    return Truth(joints_m=joints, joints_px=batch.joints_px_BJ2.double().numpy(), valid=batch.valid_BJ.numpy())


def answer(method: Estimator, pack: Pack, at_once: int = 32) -> Answers:
    """Run one estimator over a pack, each crop a picture on its own, as the app cuts and looks at it; pixels at ``CROP_SIZE``."""
    spec = method.crop_spec
    joints, pixels, scores, meshes, seconds = [], [], [], [], 0.0
    for start in range(0, len(pack), at_once):
        batch = centre_cut(pack.batch(np.arange(start, min(start + at_once, len(pack)))), spec.size, expand=spec.expand)
        crops = as_crops(batch)
        began = time.perf_counter()
        results = looked_at(method, crops)
        seconds += time.perf_counter() - began
        joints += [r.joints.joints_camera_m for r in results]
        pixels += [r.joints.joints_px for r in results]
        scores += [r.score for r in results]
        meshes += [r.mesh.vertices_camera_m for r in results if r.mesh is not None]
    factor = CROP_SIZE / spec.size
    return Answers(
        joints_m=np.stack(joints),
        joints_px=(np.stack(pixels) + 0.5) * factor - 0.5,
        score=np.array(scores),
        ms=1000 * seconds / len(pack),
        vertices_m=np.stack(meshes) if len(meshes) == len(pack) else None,
    )


def as_crops(batch: Batch) -> list[HandCrop]:
    """Return a batch's pictures as the estimators want them: each crop is its own full picture."""
    rgb = (batch.rgb_B3SS.permute(0, 2, 3, 1).clamp(0, 1) * 255).round().to(torch.uint8).contiguous().numpy()
    size = rgb.shape[1]
    cameras = [Camera(width=size, height=size, K=K, source="calibrated") for K in batch.K_B33.double().numpy()]
    return [
        HandCrop(side="right", rgb=picture, K_crop=c.K, Q_crop_from_camera=np.eye(3), H_crop_from_image=np.eye(3), camera=c)
        for picture, c in zip(rgb, cameras, strict=True)
    ]


def with_given_scale(errors: Errors, answers: Answers, truth: Truth, batch: Batch, *, root_given: bool) -> Errors:
    """Replace EPE by that of Li et al.'s protocols: the method's pixels and relative depths, lifted with the true hand scale.

    The root's depth is the true one where ``root_given``, else where the scale bone has its true length.
    """
    scale, K = scale_of(truth.joints_m), batch.K_B33.double().numpy()
    uv, depth = answers.joints_px, relative_depth(answers.joints_m)
    root = truth.joints_m[:, ROOT, 2] if root_given else root_depth_from_bone(uv, depth, K, scale)
    lifted = recover_joints(uv, depth, K, scale, root)
    known = truth.valid & truth.valid[:, SCALE_BONE].all(1, keepdims=True)
    return replace(errors, epe_mm=np.where(known, 1000 * missed(point_errors(lifted, truth.joints_m)), np.nan))


def with_best_root_and_scale(errors: Errors, answers: Answers, truth: Truth) -> Errors:
    """Replace EPE by that of Dexter+Object's protocol: the shift and scale that fit the labelled joints best, no rotation."""
    known = truth.valid & np.isfinite(truth.joints_m).all(-1)
    fitted = best_root_and_scale(answers.joints_m, truth.joints_m, known)
    return replace(errors, epe_mm=np.where(known, 1000 * missed(point_errors(fitted, truth.joints_m)), np.nan))


def write_overlays(folder: Path, result: Comparison, pack: Pack) -> None:
    """Write the best and worst answers of each method as pictures, in place of those there. Raises OutputError."""
    try:
        for old in folder.glob("overlays_*.jpg"):
            old.unlink()
    except OSError as failure:
        raise OutputError(
            f"{folder}: former overlays can not be removed: {failure.strerror}. Choose another folder."
        ) from failure
    batch = centre_cut(pack.batch(np.arange(len(pack))), CROP_SIZE)
    used: dict[str, int] = {}
    for name, found in result.answers.items():
        error = np.array([mean_of(row) for row in result.errors[name].px])
        # Weights given with a method make no file name; the same method with others gets a number.
        plain = name.partition("=")[0].replace(":", "-")
        used[plain] = used.get(plain, 0) + 1
        number = f"_{used[plain]}" if used[plain] > 1 else ""
        save_overlays(folder / f"overlays_{plain}{number}.jpg", batch, found.joints_px, error, found.vertices_m)
