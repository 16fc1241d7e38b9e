"""``training export RUN OUT``: a run's averaged weights as a file to ship, with its confidence calibrated."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from handviz.errors import HandvizError
from handviz.export.files import refuse_source
from handviz.geometry.camera import FloatArray
from handviz.hand.skeleton import palm_length
from handviz.models.checkpoint import save_groups
from handviz.models.confidence import Calibration, calibration_note, heat_spread
from handviz.models.dense_checkpoint import save_dense
from handviz.models.groups import GroupsNetwork
from handviz.records import BoolArray
from training.compile import write_compiled
from training.data.pack import Pack
from training.data.sources import read_source
from training.groups_outputs import plain_outputs
from training.places import check_weights
from training.runs import RunFolder, groups_in, load_network

# A joint counts as right when it is nearer to its label than this share of the palm's length.
RIGHT_PALMS = 0.2


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the command line."""
    parser = subparsers.add_parser("export", help="write a run's averaged weights as a file to ship")
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of `training fit`")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="file to write; its exports go next to it")
    parser.add_argument(
        "--calibrate", metavar="SET", help="fit the joints' confidence on this pack, folder of packs or data source"
    )
    parser.add_argument(
        "--quantize",
        action="append",
        default=[],
        metavar="SET",
        help="also write the network quantized to 8 bits, calibrated on crops of this pack or data source; repeat for several",
    )
    parser.add_argument("--data", type=Path, default=Path("out/data"), help="folder of the data sources (default %(default)s)")
    parser.add_argument("--groups", action="store_true", help="for a dense run: write the groups network inside it")
    parser.add_argument("--half", action="store_true", help="store float16: half the size")
    parser.set_defaults(run=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    """Write the weights with the run's notes, and NAME.onnx (and NAME.int8.onnx) next to them for CPUs; returns 0.

    Raises HandvizError for options that need a groups network where there is none inside, and for another suffix of the file.
    """
    check_weights(arguments.out)
    folder, dtype = RunFolder(path=arguments.run_folder), torch.float16 if arguments.half else torch.float32
    refuse_source(arguments.out, folder.weights)
    network, old_notes = load_network(folder)
    groups = groups_in(network)
    # Read first, so that nothing is written if one of them is missing.
    packs = [read_source(name, arguments.data) for name in arguments.quantize]
    if groups is None and (arguments.groups or arguments.calibrate or arguments.quantize):
        raise HandvizError(
            f"{folder.weights}: holds no groups network, which --groups, --calibrate and --quantize need. Leave them out."
        )
    notes = {**old_notes, **({} if groups is None else _calibration(arguments, groups))}
    chosen = groups if groups is not None and arguments.groups else network
    if isinstance(chosen, GroupsNetwork):
        save_groups(arguments.out, chosen, notes, dtype)
        files = [arguments.out]
    else:
        files = save_dense(arguments.out, chosen, notes, dtype)
    if groups is not None:
        files += _compiled(arguments.out, packs, groups.config.input_size)
    for file in files:
        print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB, {notes.get('steps', '?')} steps")
    return 0


def _compiled(out: Path, packs: Sequence[Pack], size: int) -> list[Path]:
    files = [write_compiled(out)]
    if packs:
        # Its library takes a second to load.
        from training.quantize import calibration_crops, write_quantized

        files.append(write_quantized(out, calibration_crops(packs, size)))
    return files


def _calibration(arguments: argparse.Namespace, network: GroupsNetwork) -> Mapping[str, str]:
    if not arguments.calibrate:
        return {}
    calibration = calibrate(network, read_source(arguments.calibrate, arguments.data))
    print(f"confidence: {calibration}")
    return calibration_note(calibration)


def calibrate(network: GroupsNetwork, pack: Pack) -> Calibration:
    """Fit the probability that a joint is right to its heatmap's spread. Raises HandvizError when there is nothing to fit."""
    pack = pack.select(pack.is_hand_N)
    if len(pack) == 0:
        raise HandvizError("the calibration set holds no hand. Name a set with labelled hands.")
    spread, right = _spreads_and_hits(network, pack)
    if right.all() or not right.any():
        raise HandvizError("all joints of the calibration set are right, or all wrong. Name a larger set.")
    return fit_calibration(spread, right)


def _spreads_and_hits(network: GroupsNetwork, pack: Pack) -> tuple[FloatArray, BoolArray]:
    spreads, hits = [], []
    for batch, out in plain_outputs(network, pack):
        truth = batch.joints_px_BJ2.numpy()
        error = np.linalg.norm(out.uv_BJ2.numpy() - truth, axis=-1)
        valid = batch.valid_BJ.numpy()
        spreads.append(heat_spread(out.heat_BJHW).numpy()[valid])
        hits.append((error < RIGHT_PALMS * palm_length(truth)[:, None])[valid])
    return np.concatenate(spreads), np.concatenate(hits)


def fit_calibration(spread: FloatArray, right: BoolArray) -> Calibration:
    """Return the logistic curve of log spread that makes these hits and misses most likely; it never rises with spread."""
    log_spread = np.log(np.maximum(spread.astype(float), 0.1))
    sign = np.where(right, 1.0, -1.0)

    def cost(values: FloatArray) -> float:
        # A weak pull towards a flat curve keeps the fit finite on separable sets.
        return float(np.logaddexp(0, -sign * (values[0] - values[1] * log_spread)).mean() + 1e-4 * values[1] ** 2)

    best = minimize(cost, np.array([3.0, 1.5]), method="L-BFGS-B", bounds=[(-20, 20), (0, 10)])
    return Calibration(offset=float(best.x[0]), slope=float(best.x[1]))
