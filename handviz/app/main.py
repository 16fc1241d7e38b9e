"""Starts the application."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from handviz.app.cores import leave_cores_for_the_window
from handviz.app.keeper import load_last, save_last, with_overrides, worth_keeping
from handviz.app.settings import Settings
from handviz.app.viewport.renderer import Renderer
from handviz.capture.base import SourceSpec
from handviz.export.files import check_writable
from handviz.pipeline.loader import PROBING

SCREENSHOT_AFTER_S = 4.0
EXIT_S = 10.0


def run_app(
    source: SourceSpec | None,
    said: Mapping[str, Any],
    *,
    fallback: Callable[[], SourceSpec | None] = lambda: None,
    screenshot: Path | None = None,
    quit_after_s: float | None = None,
    window_size: tuple[int, int] | None = None,
) -> int:
    """Open the window on a source and run until it is closed; returns the exit status.

    ``said`` are fields of the session's configuration that override the saved ones. Without a source the last one is opened,
    or what ``fallback`` finds, which is not saved as a choice. With ``screenshot`` a picture of the window is saved there and
    the window closed after a few seconds (``quit_after_s`` says when), and the saved settings are neither used nor changed.
    Raises OutputError if the picture cannot be saved, before the window is opened if that is clear by then.
    """
    if screenshot is not None:
        check_writable(screenshot)
    leave_cores_for_the_window()
    kept, problem = (Settings(), None) if screenshot is not None else load_last()
    wish = with_overrides(kept.wish, source, said)
    stand_in = fallback() if wish.source is None else None
    wish = replace(wish, source=wish.source or stand_in)
    layout = kept.layout
    if window_size is not None:
        layout = replace(layout, width=window_size[0], height=window_size[1])
    if screenshot is not None and quit_after_s is None:
        quit_after_s = SCREENSHOT_AFTER_S
    # Before Qt: PySide6 inspects the source of every module imported after it, which one that Open3D imports does not survive.
    Renderer.load_library()
    from handviz.app.application import run_window

    try:
        chosen = run_window(wish, layout, problem=problem, screenshot=screenshot, quit_after_s=quit_after_s)
        if screenshot is None:
            _tell(save_last(worth_keeping(chosen, stand_in)))
    finally:
        _let_threads_end()
    return 0


def _tell(problem: str | None) -> None:
    if problem is not None:
        print(f"handviz: {problem}", file=sys.stderr)


def _let_threads_end() -> None:
    """Wait a while for our threads, with the window gone already: one inside a native library would abort Python at its exit.

    If one is left, the command ends without Python's own shutdown (``handviz.cli.main.entry``).
    """
    deadline = time.monotonic() + EXIT_S
    for thread in threading.enumerate():
        if thread.name.startswith("handviz") and thread.name != PROBING:
            thread.join(max(0.0, deadline - time.monotonic()))
