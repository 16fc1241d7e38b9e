"""Compile handviz's loops for this processor, so that the first hand and its mesh do not wait for it. Run once by ``demo.py``."""

from __future__ import annotations

from itertools import islice

import handviz
from handviz.app.mesh_pictures import make_ready
from handviz.app.view_options import ViewOptions
from handviz.clip import bundled_clip

FRAMES = 3


def main() -> None:
    """Analyse the beginning of the bundled clip and draw its meshes: what is compiled on the way is kept on disk."""
    clip = bundled_clip()
    assert clip is not None
    for result in islice(handviz.track(clip), FRAMES):
        make_ready(result, ViewOptions(mesh_overlay=True))


if __name__ == "__main__":
    main()
