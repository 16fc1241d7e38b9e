"""``handviz app``: open the window."""

from __future__ import annotations

import argparse

from handviz.capture.base import SourceSpec, parse_source
from handviz.capture.webcam import first_camera
from handviz.cli.options import said
from handviz.clip import bundled_clip


def run(arguments: argparse.Namespace) -> int:
    """Open the window on the source; without one, on the last one, else the first camera, else the bundled clip, else empty."""
    source = parse_source(arguments.source) if arguments.source else None
    from handviz.app.main import run_app

    return run_app(
        source,
        said(arguments),
        fallback=default_source,
        screenshot=arguments.screenshot,
        quit_after_s=arguments.quit_after,
    )


def default_source() -> SourceSpec | None:
    """Return the first camera that opens, else the bundled clip, else None."""
    camera = first_camera()
    if camera is not None:
        return SourceSpec(kind="camera", camera=camera)
    clip = bundled_clip()
    return SourceSpec(kind="video", path=clip) if clip else None
