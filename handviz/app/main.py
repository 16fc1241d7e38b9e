"""Starts the application."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2  # noqa: F401  (its import sets Qt variables that must be taken back before Qt starts)
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from handviz.app.commands import Commands
from handviz.app.controller import Controller, Installed
from handviz.app.fonts import interface_font
from handviz.app.keeper import load_last, save_last, with_overrides
from handviz.app.menus import Menus
from handviz.app.opening import SessionFactory
from handviz.app.settings import Settings
from handviz.app.state import Wish
from handviz.app.viewport.renderer import Renderer
from handviz.app.window import MainWindow
from handviz.capture.base import SourceSpec
from handviz.estimate.registry import estimator_names
from handviz.hand.library import known_hands
from handviz.pipeline.session import Session
from handviz.pipeline.step import SessionConfig

TICK_MS = 16
PLOT_MS = 150
SCREENSHOT_AFTER_S = 4.0
CV2_VARIABLES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


def make_application() -> QApplication:
    """Return the process's QApplication, made with our font."""
    for name in CV2_VARIABLES:
        os.environ.pop(name, None)
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("handviz")
    application.setFont(interface_font())
    Renderer.load_library()
    return application


class App:
    """A window, its controller, and the two timers that drive it."""

    def __init__(self, wish: Wish, factory: SessionFactory = Session) -> None:
        self.window = MainWindow()
        installed = Installed(estimators=estimator_names, hand_models=lambda: tuple(known_hands()))
        self.controller = Controller(self.window, wish, factory, installed)
        self.commands = Commands(self.window, self.controller)
        self.menus = Menus(self.window.menuBar(), self.commands)
        self._timers = (QTimer(self.window), QTimer(self.window))
        for timer, interval, act in zip(
            self._timers, (TICK_MS, PLOT_MS), (self.controller.tick, self.controller.plot_tick), strict=True
        ):
            timer.setInterval(interval)
            timer.timeout.connect(act)
        self.window.closing.connect(self.stop)

    def start(self) -> None:
        """Show the window and begin."""
        # Themed first: colours and margins decide the layout, and each new size costs the 3D view a new window.
        self.controller.start()
        self.window.show()
        for timer in self._timers:
            timer.start()

    def stop(self) -> None:
        """Stop timers and session."""
        for timer in self._timers:
            timer.stop()
        self.controller.stop()


def run_app(
    source: SourceSpec | None,
    config: SessionConfig,
    *,
    fallback: Callable[[], SourceSpec | None] = lambda: None,
    screenshot: Path | None = None,
    quit_after_s: float | None = None,
    window_size: tuple[int, int] | None = None,
) -> int:
    """Open the window on a source and run until it is closed; returns the exit status.

    Without a source the last one is opened, or what ``fallback`` finds. With ``screenshot`` the window is saved there and
    closed after a few seconds (``quit_after_s`` says when), and what was chosen last is neither used nor changed.
    """
    application = make_application()
    kept, problem = (Settings(), None) if screenshot is not None else load_last()
    wish = with_overrides(kept.wish, source, config)
    app = App(wish if wish.source is not None else replace(wish, source=fallback()))
    app.window.arrange(kept.layout)
    if window_size is not None:
        app.window.resize(*window_size)
    app.start()
    if problem is not None:
        app.controller.report(problem)
    if screenshot is not None or quit_after_s is not None:
        after_s = SCREENSHOT_AFTER_S if quit_after_s is None else quit_after_s
        QTimer.singleShot(round(after_s * 1000), lambda: _finish(app, screenshot))
    status = application.exec()
    if screenshot is None:
        save_last(Settings(wish=app.controller.wish, layout=app.window.layout_state()))
    return status


def _finish(app: App, screenshot: Path | None) -> None:
    if screenshot is not None:
        app.window.grab().save(str(screenshot))
    app.window.close()
