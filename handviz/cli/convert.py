"""``handviz convert``: from the JSON lines of ``handviz process`` to another format."""

from __future__ import annotations

import argparse

from handviz.export.formats import convert


def run(arguments: argparse.Namespace) -> int:
    """Convert the file and say where it is."""
    written = convert(arguments.poses, arguments.out)
    print(f"written to {' and '.join(map(str, written))}")
    return 0
