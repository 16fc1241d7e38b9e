"""``handviz convert``: from the JSON lines of ``handviz process`` to another format."""

from __future__ import annotations

import argparse
import sys

from handviz.export.formats import convert, of_another_hand
from handviz.export.jsonl import is_cut_off


def run(arguments: argparse.Namespace) -> int:
    """Convert the file and say where it is."""
    written = convert(arguments.poses, arguments.out)
    if is_cut_off(arguments.poses):
        print(f"handviz: {arguments.poses}: its last line is cut off and was left out", file=sys.stderr)
    if name := of_another_hand(arguments.poses, arguments.out):
        told = f"its meshes were made with another hand named '{name}' and are rebuilt with yours"
        print(f"handviz: {arguments.poses}: {told}. Analyse the recording again, or restore the other hand", file=sys.stderr)
    print(f"written to {' and '.join(map(str, written))}")
    return 0
