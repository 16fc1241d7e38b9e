"""``handviz app``: open the window."""

from __future__ import annotations

import argparse

from handviz.capture.base import SourceSpec, parse_source
from handviz.cli.options import session_config


def run(arguments: argparse.Namespace) -> int:
    """Open the window on the source; without one, the window starts on the first camera or the bundled clip."""
    source: SourceSpec | None = parse_source(arguments.source) if arguments.source else None
    from handviz.app.main import run_app

    return run_app(source, session_config(arguments), screenshot=arguments.screenshot, quit_after_s=arguments.quit_after)
