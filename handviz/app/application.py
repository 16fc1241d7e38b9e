"""The application in Qt: a window, its controller, and the timers that drive them."""

from __future__ import annotations

import locale
import os
import signal
import sys
from pathlib import Path

import cv2  # noqa: F401  (its import sets Qt variables that must be taken back before Qt starts)
from PySide6.QtCore import QLocale, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication

from handviz.app.commands import Commands
from handviz.app.controller import Controller
from handviz.app.fonts import interface_font
from handviz.app.icons import application_icon
from handviz.app.menus import Menus
from handviz.app.offering import Installed
from handviz.app.opening import SessionFactory
from handviz.app.quitting import Quitting
from handviz.app.settings import Settings, WindowLayout
from handviz.app.state import Wish
from handviz.app.window import MainWindow
from handviz.display import has_display
from handviz.errors import HandvizError, OutputError
from handviz.estimate.registry import default_weights, estimator_names, lacks, weights_for
from handviz.hand.library import known_hands
from handviz.interrupts import endings
from handviz.pipeline.session import Session

# Much shorter than a frame, so that no result waits long or is overtaken; a tick with nothing new costs next to nothing.
TICK_MS = 8
PLOT_MS = 300
CV2_VARIABLES = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


def make_application() -> QApplication:
    """Return the process's QApplication, with our font and the C locale for numbers."""
    for name in CV2_VARIABLES:
        os.environ.pop(name, None)
    QLocale.setDefault(QLocale.c())
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else _started()
    # Qt makes C functions use the user's locale for numbers. With a decimal comma MediaPipe cannot even be imported.
    locale.setlocale(locale.LC_NUMERIC, "C")
    application.setApplicationName("handviz")
    application.setFont(interface_font())
    application.setWindowIcon(application_icon())
    return application


def _started() -> QApplication:
    """Return a new application. If Qt cannot start, it ends the process and gives the reason only to a message handler."""
    if not has_display():
        raise HandvizError("no display was found for the window. Start it from a desktop, or use `handviz process`.")
    before = qInstallMessageHandler(_tell_of_a_failed_start)
    application = QApplication(sys.argv[:1])
    qInstallMessageHandler(before)
    return application


def _tell_of_a_failed_start(kind: QtMsgType, context: object, message: str) -> None:
    if kind in (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg):
        print(f"handviz: {message}", file=sys.stderr)
    if kind == QtMsgType.QtFatalMsg:
        print(
            f"handviz: {message}\nhandviz: the window cannot start. `handviz doctor` says what is missing.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)


class App:
    """A window, its controller, and the two timers that drive it."""

    def __init__(self, wish: Wish, factory: SessionFactory = Session) -> None:
        self.window = MainWindow()
        installed = Installed(
            estimators=estimator_names,
            hand_models=lambda: tuple(known_hands()),
            lacks=lacks,
            weights=weights_for,
            default_weights=default_weights,
        )
        self.controller = Controller(self.window, wish, factory, installed)
        self.commands = Commands(self.window, self.controller)
        self.menus = Menus(self.window.menuBar(), self.commands)
        self._timers = (QTimer(self.window), QTimer(self.window))
        for timer, interval, act in zip(
            self._timers, (TICK_MS, PLOT_MS), (self.controller.tick, self.controller.plot_tick), strict=True
        ):
            timer.setInterval(interval)
            timer.timeout.connect(act)
        self.quitting = Quitting(self.window, self.controller.works)
        self.window.closing.connect(self.stop)

    def start(self, *, fitting: bool = False) -> None:
        """Show the window, with ``fitting`` no larger than the screen, and start the timers."""
        # The theme comes first: colours and margins decide the layout, and each new size costs the 3D view a new window.
        self.controller.start()
        if fitting:
            self.window.fit(self.window.screen().availableSize())
        self.window.show()
        for timer in self._timers:
            timer.start()

    def stop(self) -> None:
        """Stop the timers and the session; print what became of an export that was cut short."""
        for timer in self._timers:
            timer.stop()
        told = self.controller.stop()
        if told is not None:
            print(f"handviz: {told}", file=sys.stderr)


def run_window(
    wish: Wish, layout: WindowLayout, *, problem: str | None, screenshot: Path | None, quit_after_s: float | None
) -> Settings:
    """Show the window until it is closed; return the settings chosen in it. Raises OutputError for an unsaved screenshot."""
    application = make_application()
    app = App(wish)
    pictures: list[QPixmap] = []

    def finish() -> None:
        if screenshot is not None:
            pictures.append(app.window.grab())
        app.quitting.close()

    app.window.arrange(layout)
    # A screenshot has exactly the size that was asked for.
    app.start(fitting=screenshot is None)
    if problem is not None:
        app.controller.report(problem)
    if quit_after_s is not None:
        QTimer.singleShot(round(quit_after_s * 1000), app.window, finish)
    # Ctrl-C and requests to end (logout, a closed terminal) close the window after finishing every file.
    before = {number: signal.signal(number, lambda *_: app.quitting.close()) for number in endings()}
    application.exec()
    for number, handler in before.items():
        signal.signal(number, handler)
    if screenshot is not None and not all(picture.save(str(screenshot)) for picture in pictures):
        raise OutputError(
            f"{screenshot} cannot be written. Choose a name that ends in .png, in a writable folder with free space"
        )
    return Settings(wish=app.controller.lasting, layout=app.window.layout_state())
