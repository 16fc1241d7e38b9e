"""``training export RUN OUT``: a run's averaged weights as a file to ship."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from handviz.models.checkpoint import kind_of, load_groups, save_groups
from handviz.models.dense_checkpoint import DENSE_KIND, load_dense, save_dense
from training.runs import RunFolder


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the command line."""
    parser = subparsers.add_parser("export", help="write a run's averaged weights as a file to ship")
    parser.add_argument("run_folder", type=Path, metavar="RUN")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors")
    parser.add_argument("--half", action="store_true", help="store float16: half the size")
    parser.set_defaults(run=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    """Copy the weights, with the run's notes; returns 0."""
    weights, dtype = RunFolder(path=arguments.run_folder).weights, torch.float16 if arguments.half else torch.float32
    if kind_of(weights) == DENSE_KIND:
        dense, notes = load_dense(weights)
        save_dense(arguments.out, dense, notes, dtype)
    else:
        network, notes = load_groups(weights)
        save_groups(arguments.out, network, notes, dtype)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 2**20:.1f} MiB, {notes.get('steps', '?')} steps")
    return 0
