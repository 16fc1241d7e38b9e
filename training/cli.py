"""The ``training`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch

import training.average
import training.dense.ablate
import training.dense.warm_up
import training.evaluate
import training.export
import training.fit
import training.groups_ablate
import training.second_opinion
from handviz.console import print_whatever_comes
from handviz.errors import HandvizError
from handviz.interrupts import INTERRUPTED, end_as_by_ctrl_c
from training.memory import keep_freed_memory


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    from training.data.cli import add_commands

    parser = argparse.ArgumentParser(prog="training", description="Train, evaluate and make data for handviz's networks.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for room in (
        training.fit,
        training.evaluate,
        training.dense.warm_up,
        training.average,
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
    """Run the command line; a user's mistake prints one line on stderr and returns 1, an interrupt returns 130."""
    arguments = build_parser().parse_args(words)
    keep_freed_memory()
    print_whatever_comes()
    end_as_by_ctrl_c()
    try:
        return int(arguments.run(arguments))
    except HandvizError as error:
        print(f"training: {error}", file=sys.stderr)
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        first = str(error).partition("\n")[0]
        print(f"training: not enough memory ({first}). Lower the batch or picture size, or --workers.", file=sys.stderr)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"training: {where}{error.strerror or error}. Check that you can read and write there.", file=sys.stderr)
    except KeyboardInterrupt:
        print("training: stopped", file=sys.stderr)
        return INTERRUPTED
    return 1


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


if __name__ == "__main__":
    sys.exit(main())
