"""``handviz add-hand``: add a user's hand model."""

from __future__ import annotations

import argparse

from handviz.hand.add_hand import GLTF_SUFFIXES, add_hand
from handviz.hand.gltf import is_hand
from handviz.hand.gltf_file import hands_in


def run(arguments: argparse.Namespace) -> int:
    """Convert the file once into the user's data folder and say how to use it."""
    name = add_hand(arguments.path, arguments.name, texture=arguments.texture, replace=arguments.replace).stem
    print(f"Added as '{name}'. Use it with --hand-model {name}, or choose it in the window.")
    hands = hands_in(arguments.path, is_hand) if arguments.path.suffix.lower() in GLTF_SUFFIXES else []
    if len(hands) > 1:
        print(f"{arguments.path} holds several hands: {', '.join(hands)}. The first was used; to use another, export it alone.")
    return 0
