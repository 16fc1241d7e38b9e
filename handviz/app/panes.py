"""The two views with their header lines, the banner and the status line."""

from __future__ import annotations

from itertools import zip_longest
from typing import Literal

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QStatusBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from handviz.app.colours import DARK, Palette, css
from handviz.app.icons import icon
from handviz.app.state import JobState, StatusItem, Tone
from handviz.app.theme import faint

STATUS_MARGIN, STATUS_GAP = 8, 6


class Pane(QWidget):
    """A view under a header with a title and buttons."""

    def __init__(self, title: str, view: QWidget) -> None:
        super().__init__()
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        bar = QFrame()
        bar.setObjectName("viewBar")
        self._row = QHBoxLayout(bar)
        self._row.setContentsMargins(12, 4, 8, 4)
        self._row.setSpacing(4)
        self._name = title
        self.title = QLabel(title)
        self.title.setObjectName("viewTitle")
        self._row.addWidget(self.title)
        self._row.addStretch(1)
        rows.addWidget(bar)
        rows.addWidget(view, 1)
        self._icons: dict[str, QToolButton] = {}

    def show_note(self, note: str | None) -> None:
        """Show a note next to the title, or none."""
        self.title.setText(self._name if note is None else f"{self._name}  ·  {note}")

    def add_text_button(self, text: str, tip: str) -> QToolButton:
        """Add a button with a word on it."""
        button = QToolButton()
        button.setObjectName("flat")
        button.setText(text)
        button.setToolTip(tip)
        self._row.addWidget(button)
        return button

    def add_icon_button(self, name: str, tip: str) -> QToolButton:
        """Add a button with an icon."""
        button = QToolButton()
        button.setObjectName("flat")
        button.setToolTip(tip)
        self._row.addWidget(button)
        self._icons[name] = button
        return button

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        for name, button in self._icons.items():
            button.setIcon(icon(name, palette.muted, faint(palette)))


class Banner(QFrame):
    """One sentence about what went wrong (``banner``) or was done (``notice``); it stays until closed, and blocks nothing."""

    closed = Signal()

    def __init__(self, kind: Literal["banner", "notice"]) -> None:
        super().__init__()
        self.setObjectName(kind)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._close = QToolButton()
        self._close.setObjectName("flat")
        self._close.setToolTip("Close this message")
        self._close.clicked.connect(lambda: self.closed.emit())
        row.addWidget(self.words, 1)
        row.addWidget(self._close)
        self.hide()

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._close.setIcon(icon("close", palette.text, faint(palette)))

    def show_text(self, text: str | None) -> None:
        """Show a sentence, or nothing."""
        self.words.setText(text or "")
        self.setVisible(bool(text))


class JobStrip(QFrame):
    """A longer job's progress, and a button that stops it."""

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("viewBar")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 5, 8, 5)
        self.words = QLabel()
        self.bar = QProgressBar()
        self.bar.setMaximumHeight(16)
        self._stop = QToolButton()
        self._stop.setObjectName("flat")
        self._stop.setToolTip("Stop; what is done so far is kept")
        self._stop.clicked.connect(lambda: self.cancelled.emit())
        row.addWidget(self.words)
        row.addWidget(self.bar, 1)
        row.addWidget(self._stop)
        self.hide()

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._stop.setIcon(icon("close", palette.text, faint(palette)))

    def show_job(self, job: JobState | None) -> None:
        """Show a job, or nothing."""
        self.setVisible(job is not None)
        if job is not None:
            self.words.setText(job.words + (": stopping…" if job.stopping else ""))
            self.bar.setRange(0, job.total or 0)
            self.bar.setValue(job.done)


class StatusLine(QStatusBar):
    """The last line of the window: short facts, each with a tooltip."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeGripEnabled(False)
        self._labels: list[QLabel] = []
        self._palette = DARK
        self._items: tuple[StatusItem, ...] = ()

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._palette = palette
        items, self._items = self._items, ()
        self.show_items(items)

    def show_items(self, items: tuple[StatusItem, ...]) -> None:
        """Show these facts; only what differs is touched, because a style sheet is costly to set."""
        shown, self._items = self._items, items
        while len(self._labels) < len(items):
            label = QLabel()
            label.setContentsMargins(STATUS_MARGIN, 2, STATUS_MARGIN, 2)
            label.setMinimumWidth(1)
            self.addWidget(label)
            self._labels.append(label)
        for label, item, before in zip_longest(self._labels, items, shown):
            if item is None or item == before:
                continue
            label.setText(item.text)
            label.setToolTip(item.tip)
            if before is None or item.tone != before.tone:
                label.setStyleSheet(f"color: {css(self._colour(item.tone))};")
        self._fit()

    def _fit(self) -> None:
        """Show as many facts as fit into the window; the last ones matter least."""
        room = self.width()
        for place, label in enumerate(self._labels):
            room -= label.sizeHint().width() + STATUS_GAP
            label.setVisible(place < len(self._items) and room > 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the facts into the new width."""
        super().resizeEvent(event)
        self._fit()

    def shown_texts(self) -> list[str]:
        """The facts shown."""
        return [item.text for item in self._items]

    def _colour(self, tone: Tone) -> tuple[int, int, int]:
        palette = self._palette
        return {"plain": palette.muted, "good": palette.good, "warn": palette.warn, "error": palette.error}[tone]
