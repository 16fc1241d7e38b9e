"""``training evaluate``: estimators on the same labelled crops, in one run, with all of the field's usual metrics.

Each method is one of the app's own estimators, fed the crops that the app would cut. The metrics are:

- PA-MPJPE: each sample aligned by rotation, scale and translation;
- root-aligned MPJPE: the hand as the method returned it, moved onto the true middle MCP;
- EPE, on which the AUCs are based, by ``--align``: in ``given-root``, the protocol of Li et al. 2021, the method's pixels and
  relative depths are lifted with the true root depth and hand scale (Eqs. 1 to 3); ``given-scale`` is their protocol for
  FreiHAND, with the root depth at which the scale bone has its true length (Iqbal 2018); ``best-root-and-scale`` is that of
  Dexter+Object, whose labels are fingertips alone: the best shift and scale, no rotation;
- 2D: pixels of the network's crop, and shares of the palm length.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from handviz.arguments import whole
from handviz.errors import HandvizError, OutputError
from handviz.estimate.base import Estimator
from handviz.hand.library import DEFAULT_HAND
from handviz.hand.skeleton import ROOT, SCALE_BONE
from handviz.models.recovery import recover_joints, root_depth_from_bone, scale_of
from training.answers import Answers, answer, labelled_crops, open_method, truth_of
from training.data.benchmarks import for_evaluation, stands_upright
from training.data.benchmarks.freihand import evaluation_vertices
from training.data.pack import Pack
from training.data.sample import Batch
from training.data.sources import read_source
from training.dense.predict import mesh_line, surface_line
from training.freihand_submission import write_submission
from training.metrics import Errors, Truth, best_root_and_scale, errors_of, has_mesh, mean_of, missed, point_errors
from training.overlays import save_overlays
from training.places import check_folder
from training.results import PROTOCOLS, Align, Comparison, Cut, table, write_results

RESULTS = Path("out/evaluation")
_ALIGN: dict[str, Align] = {"freihand": "given-scale", "dexter-object": "best-root-and-scale"}


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` to the command line."""
    parser = subparsers.add_parser("evaluate", help="compare estimators on labelled crops")
    parser.add_argument(
        "set",
        help="a pack, a folder of packs, or a data source's name; for a published set, the evaluation split unless one is named",
    )
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME[@N[:paper]][=WEIGHTS]",
        help="an estimator; @N refines its answers in N steps, :paper by the paper's solver, =WEIGHTS replaces its weights; "
        "repeat to compare (default groups and mediapipe)",
    )
    parser.add_argument(
        "--limit", type=whole(1), help="at most this many samples: the first, or for a published set, some spread evenly over it"
    )
    parser.add_argument(
        "--align",
        choices=tuple(PROTOCOLS),
        help="alignment for EPE and AUC (default given-root; for freihand given-scale, for dexter-object best-root-and-scale)",
    )
    parser.add_argument(
        "--one-look",
        action="store_true",
        help="for a published set: score a single look at each crop, turned as in its picture, as the papers do; without it, "
        "several looks at a second crop are scored, turned upright by the first answer, as in the app",
    )
    parser.add_argument(
        "--freihand-json",
        type=Path,
        metavar="FILE",
        help="with the set freihand:evaluation and one method: write its answers for all 3,960 pictures for submission, no table",
    )
    parser.add_argument(
        "--hand-model",
        default=DEFAULT_HAND,
        metavar="NAME",
        help="the hand model of methods that return meshes, by its name in `handviz add-hand` (default: the built-in one)",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"for tables and curves (default {RESULTS}/SET)")
    parser.set_defaults(run=run_evaluate)


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate and write tables, PCK curves and overlays of the best and worst answers, or a submission; returns 0."""
    if arguments.freihand_json is not None:
        return _run_submission(arguments)
    scored = for_evaluation(arguments.set)
    if arguments.one_look and stands_upright(scored):
        raise HandvizError(f"--one-look has no effect on {scored}, only on a published set's evaluation split. Leave it out.")
    out: Path = arguments.out or folder_of(scored)
    check_folder(out)
    pack = read_source(scored, arguments.data, arguments.limit)
    kept = np.flatnonzero(pack.is_hand_N)[: arguments.limit]
    if len(kept) == 0:
        raise HandvizError(f"{scored}: holds no hand to evaluate on. Name another set, or raise --limit.")
    methods = {name: open_method(name, arguments.hand_model) for name in arguments.method or ["groups", "mediapipe"]}
    align: Align = arguments.align or _ALIGN.get(scored.partition(":")[0], "given-root")
    pack = pack.select(kept)
    cut: Cut = "given" if stands_upright(scored) else "never" if arguments.one_look else "found"
    result = compare(pack, methods, align, cut)
    if scored == "freihand:evaluation":
        _add_vertices(result, pack, arguments.data / "freihand")
    text = f"{scored}: {table(result)}"
    print(text)
    write_results(out, result, text)
    write_overlays(out, result)
    print(f"written to {out}")
    return 0


def _add_vertices(result: Comparison, pack: Pack, folder: Path) -> None:
    """Add PA-MPVPE and F-scores against FreiHAND's own vertices, which are MANO's, for meshes with as many vertices."""
    meshes = {n: a.vertices_m for n, a in result.answers.items() if a.vertices_m is not None and a.hand_model != DEFAULT_HAND}
    # The file is large: it is read only where there is something to compare.
    known = evaluation_vertices(folder, pack.names.name) if meshes else None
    for name, vertices in meshes.items():
        if known is not None and vertices.shape == known.shape:
            there = has_mesh(vertices)
            result.meshes[name] |= surface_line(vertices[there], known[there])


def folder_of(set_name: str) -> Path:
    """Return the folder of a set's results, one for each set: ``out/data/test-rendered`` becomes ``out-data-test-rendered``."""
    return RESULTS / re.sub(r"[^A-Za-z0-9._-]+", "-", set_name).strip("-.")


def _run_submission(arguments: argparse.Namespace) -> int:
    if for_evaluation(arguments.set) != "freihand:evaluation" or len(arguments.method) != 1:
        raise HandvizError("--freihand-json: give the set freihand:evaluation and exactly one --method, the one to write.")
    given = {"--one-look": arguments.one_look, "--limit": arguments.limit, "--align": arguments.align, "--out": arguments.out}
    if idle := [name for name, value in given.items() if value]:
        raise HandvizError(f"{idle[0]} has no effect on a submission, which holds all answers. Leave it out.")
    method = open_method(arguments.method[0], arguments.hand_model)
    meshes, hands = write_submission(arguments.freihand_json, method, arguments.data / "freihand")
    if meshes == 0:
        print("The method returns no mesh of 778 vertices: they are zeros, and only the joint scores are meaningful.")
    else:
        print("The vertices are those of the method's own hand; mesh scores are meaningful only if that hand is MANO's.")
    if 0 < meshes < hands:
        print(f"{hands - meshes} of {hands} hands have no mesh: their vertices are zeros, which count in the mesh scores.")
    print(f"written: {arguments.freihand_json}")
    return 0


def compare(pack: Pack, methods: dict[str, Estimator], align: Align = "given-root", cut: Cut = "given") -> Comparison:
    """Run every method on every sample of the pack; ``align`` is the protocol of EPE and AUC, ``cut`` how crops are turned."""
    batch = labelled_crops(pack)
    truth = truth_of(batch)
    answers = {name: answer(method, pack, turned=cut == "found", once=cut == "never") for name, method in methods.items()}
    errors = {name: errors_of(a.joints_m, a.joints_px, truth) for name, a in answers.items()}
    for name, answer_of in answers.items():
        if align == "best-root-and-scale":
            errors[name] = with_best_root_and_scale(errors[name], answer_of, truth)
        else:
            errors[name] = with_given_scale(errors[name], answer_of, truth, batch, root_given=align == "given-root")
    meshes = {name: mesh_line(a.vertices_m, batch, a.hand_model) for name, a in answers.items() if a.vertices_m is not None}
    return Comparison(
        errors=errors,
        answers=answers,
        meshes=meshes,
        crops=batch,
        align=align,
        cut=cut,
        views=pack.names.view,
        sources=pack.names.source,
    )


def with_given_scale(errors: Errors, answers: Answers, truth: Truth, batch: Batch, *, root_given: bool) -> Errors:
    """Replace EPE by that of Li et al.'s protocols: the method's pixels and relative depths, lifted with the true hand scale.

    The root's depth is the true one where ``root_given``, else that at which the scale bone has its true length.
    """
    scale, K = scale_of(truth.joints_m), batch.K_B33.double().numpy()
    uv, depth = answers.joints_px, answers.depth
    root = truth.joints_m[:, ROOT, 2] if root_given else root_depth_from_bone(uv, depth, K, scale)
    lifted = recover_joints(uv, depth, K, scale, root)
    known = truth.valid_m & truth.valid[:, SCALE_BONE].all(1, keepdims=True)
    return replace(errors, epe_mm=np.where(known, 1000 * missed(point_errors(lifted, truth.joints_m)), np.nan))


def with_best_root_and_scale(errors: Errors, answers: Answers, truth: Truth) -> Errors:
    """Replace EPE by that of Dexter+Object's protocol: the shift and scale that fit the labelled joints best, no rotation."""
    known = truth.valid_m
    fitted = best_root_and_scale(answers.joints_m, truth.joints_m, known)
    return replace(errors, epe_mm=np.where(known, 1000 * missed(point_errors(fitted, truth.joints_m)), np.nan))


def write_overlays(folder: Path, result: Comparison) -> None:
    """Write the best and worst answers of each method as pictures, replacing earlier ones. Raises OutputError."""
    try:
        for old in folder.glob("overlays_*.jpg"):
            old.unlink()
    except OSError as failure:
        raise OutputError(
            f"{folder}: earlier overlays cannot be removed ({failure.strerror}). Choose another folder."
        ) from failure
    used: dict[str, int] = {}
    for name, found in result.answers.items():
        error = np.array([mean_of(row) for row in result.errors[name].px])
        # A method's weights are left out of the file name; the same method with other weights gets a number.
        plain = name.partition("=")[0].replace(":", "-")
        used[plain] = used.get(plain, 0) + 1
        number = f"_{used[plain]}" if used[plain] > 1 else ""
        save_overlays(folder / f"overlays_{plain}{number}.jpg", result.crops, found, error)
