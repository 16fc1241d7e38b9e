"""Asks before the window is closed during an export."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from handviz.app.jobs import share_words
from handviz.app.state import JobState
from handviz.app.window import MainWindow
from handviz.app.works import Works

QUIT, GO_ON = "Quit and keep what is written", "Keep exporting"


class Quitting:
    """Asks for confirmation if the user closes the window while an export runs that was not told to stop.

    ``close`` closes the window without asking.
    """

    def __init__(self, window: MainWindow, works: Works) -> None:
        self._window, self._works = window, works
        self._agreed = False
        self._question: QMessageBox | None = None
        window.may_close = self._may_close

    def close(self) -> None:
        """Close the window without asking, as after a set time or on a signal."""
        self._agreed = True
        self._window.close()

    def _may_close(self) -> bool:
        job = self._works.exporting
        if self._agreed or job is None or job.stopping:
            return True
        if self._question is None:
            self._question = self._ask(job)
        self._question.raise_()
        return False

    def _ask(self, job: JobState) -> QMessageBox:
        done = share_words(job.done, job.total)
        words = f"{job.words} is under way: {done} frames so far. If you quit now, the file ends there."
        box = QMessageBox(QMessageBox.Icon.Question, "Quit", words, parent=self._window)
        leave = box.addButton(QUIT, QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton(GO_ON, QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.finished.connect(lambda: self._answered(leave=box.clickedButton() is leave))
        box.open()
        return box

    def _answered(self, *, leave: bool) -> None:
        self._question = None
        if leave:
            self.close()
