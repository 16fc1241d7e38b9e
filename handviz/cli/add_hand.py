"""``handviz add-hand``: take a user's hand model in."""

from __future__ import annotations

import argparse

from handviz.hand.add_hand import add_hand


def run(arguments: argparse.Namespace) -> int:
    """Convert the file once into the user's data folder and say how to use it."""
    name = add_hand(arguments.path, arguments.name, texture=arguments.texture, replace=arguments.replace).stem
    print(f"Added as '{name}'. Use it with --hand-model {name}, or choose it in the window.")
    return 0
