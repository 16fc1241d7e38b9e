"""The ``training`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import training.dense.ablate
import training.dense.warm_up
import training.evaluate
import training.export
import training.fit
import training.groups_ablate
import training.second_opinion
from handviz.errors import HandvizError


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    from training.data.cli import add_commands

    parser = argparse.ArgumentParser(prog="training", description="Train, evaluate and make data for handviz's networks.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for room in (
        training.fit,
        training.evaluate,
        training.dense.warm_up,
        training.export,
        training.second_opinion,
    ):
        room.add_command(subparsers)
    add_commands(subparsers)
    ablate = subparsers.add_parser("ablate", help="train and compare the variants of a method")
    methods = ablate.add_subparsers(dest="method", required=True)
    for method in (training.groups_ablate, training.dense.ablate):
        method.add_method(methods)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; a user's mistake is one line on stderr and status 1."""
    arguments = build_parser().parse_args(words)
    try:
        return int(arguments.run(arguments))
    except HandvizError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
