"""``training average RUN RUN... --out FOLDER``: the mean of the weights of runs that began from the same weights, as a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from handviz.errors import HandvizError, ModelFileError
from handviz.models.checkpoint import save_groups
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import save_dense
from handviz.models.groups import GroupsNetwork
from training.places import check_folder
from training.runs import RunFolder, describe_average, groups_in, load_network


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``average`` to the command line."""
    parser = subparsers.add_parser("average", help="write the mean of the weights of runs that began from the same weights")
    parser.add_argument("run_folders", type=Path, nargs="+", metavar="RUN", help="two or more folders of `training fit`")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder to write, which `training export` reads"
    )
    parser.set_defaults(run=run_average)


def run_average(arguments: argparse.Namespace) -> int:
    """Write the mean weights and which runs they are of; returns 0. Raises HandvizError for runs that cannot be averaged."""
    folders, out = [RunFolder(path=path) for path in arguments.run_folders], RunFolder(path=arguments.out)
    if len(folders) < 2:
        raise HandvizError("average: one run has no mean. Name two or more.")
    if out.begun:
        raise HandvizError(f"{out.path}: holds a run already. Choose another folder.")
    check_folder(out.path)
    loaded = [load_network(folder) for folder in folders]
    network = averaged([network for network, _ in loaded], folders)
    notes = {**loaded[-1][1], "average_of": str(len(folders))}
    if isinstance(network, GroupsNetwork):
        save_groups(out.weights, network, notes)
    else:
        save_dense(out.weights, network, notes)
    describe_average(out, folders)
    print(f"{out.weights}: the mean of {len(folders)} runs")
    return 0


def averaged(networks: Sequence[GroupsNetwork | DenseNetwork], folders: Sequence[RunFolder]) -> GroupsNetwork | DenseNetwork:
    """Return the first network with the mean of all weights and norm statistics; what is not a float is the last one's.

    Raises ModelFileError where configurations differ, or where joints belong to different groups: a group's layers are then
    not the same function of the same joints, and their mean is none at all.
    """
    first = networks[0]
    for network, folder in zip(networks[1:], folders[1:], strict=True):
        if type(network) is not type(first) or network.config != first.config:
            raise ModelFileError(
                f"{folder.path}: has another configuration than {folders[0].path}. Average runs of the same network."
            )
        if not _grouped_alike(network, first):
            raise ModelFileError(
                f"{folder.path}: has other groups than {folders[0].path}. Average runs that began from the same weights."
            )
    states = [network.state_dict() for network in networks]
    first.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0) if last.is_floating_point() else last
            for name, last in states[-1].items()
        }
    )
    return first


def _grouped_alike(one: GroupsNetwork | DenseNetwork, other: GroupsNetwork | DenseNetwork) -> bool:
    a, b = groups_in(one), groups_in(other)
    return a is None or b is None or torch.equal(a.selector.groups(), b.selector.groups())
