"""Play, pause, step, seek, loop, range and speed, in one row."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QToolButton

from handviz.app.colours import Palette
from handviz.app.icons import icon
from handviz.app.seek_bar import SeekBar, time_code
from handviz.app.state import Transport
from handviz.app.theme import faint

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
CLOCK_WIDTH = 200


class TransportBar(QFrame):
    """Shows a ``Transport`` and signals what the user asks for."""

    play_clicked = Signal()
    stepped = Signal(int)
    speed_chosen = Signal(float)
    loop_chosen = Signal(bool)
    in_clicked = Signal()
    out_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("transport")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 12, 6)
        row.setSpacing(6)
        self.previous = self._button("previous", "One frame back (Left)")
        self.play = self._button("play", "Play or pause (Space)")
        self.next = self._button("next", "One frame forward (Right)")
        self.seek_bar = SeekBar()
        self.clock = QLabel("–")
        self.clock.setFixedSize(CLOCK_WIDTH, self.clock.sizeHint().height())
        self.clock.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.mark_in = self._button("in", "Start of the range: this frame ([)")
        self.mark_out = self._button("out", "End of the range: this frame (])")
        self.loop = self._button("loop", "Loop: start again at the end (R)")
        self.loop.setCheckable(True)
        self.speed = QComboBox()
        self.speed.setToolTip("Speed (comma slower, full stop faster)")
        self.speed.addItems([f"{speed:g}×" for speed in SPEEDS])
        row.addWidget(self.previous)
        row.addWidget(self.play)
        row.addWidget(self.next)
        row.addWidget(self.seek_bar, 1)
        row.addWidget(self.clock)
        for widget in (self.mark_in, self.mark_out, self.loop, self.speed):
            row.addWidget(widget)
        self._connect()
        self._playing = False
        self._shown: Transport | None = None
        self._palette: Palette | None = None

    def _button(self, name: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setProperty("icon_name", name)
        button.setToolTip(tip)
        return button

    def _connect(self) -> None:
        self.previous.clicked.connect(lambda: self.stepped.emit(-1))
        self.next.clicked.connect(lambda: self.stepped.emit(1))
        self.play.clicked.connect(lambda: self.play_clicked.emit())
        self.loop.clicked.connect(lambda on: self.loop_chosen.emit(on))
        self.mark_in.clicked.connect(lambda: self.in_clicked.emit())
        self.mark_out.clicked.connect(lambda: self.out_clicked.emit())
        self.speed.activated.connect(lambda place: self.speed_chosen.emit(SPEEDS[place]))

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self._palette = palette
        for button in (self.previous, self.next, self.loop, self.mark_in, self.mark_out):
            button.setIcon(icon(button.property("icon_name"), palette.text, faint(palette)))
        self._show_play_icon()
        self.seek_bar.set_palette(palette)

    def show_transport(self, transport: Transport) -> None:
        """Show where the source stands; most often only the position has changed."""
        if self._shown is None or replace(transport, position=self._shown.position) != self._shown:
            self._show_state(transport)
        self._shown = transport
        self.seek_bar.show_transport(transport)
        self._show_clock(clock_text(transport))

    def _show_clock(self, text: str) -> None:
        # Its size is fixed and only grows: otherwise the whole window would be laid out again with every frame.
        if len(text) > len(self.clock.text()):
            self.clock.setFixedWidth(max(self.clock.width(), self.clock.fontMetrics().horizontalAdvance(text)))
        self.clock.setText(text)

    def _show_state(self, transport: Transport) -> None:
        if transport.playing != self._playing:
            self._playing = transport.playing
            self._show_play_icon()
        self.play.setEnabled(transport.enabled)
        for widget in (self.previous, self.next, self.loop, self.mark_in, self.mark_out, self.speed):
            widget.setEnabled(transport.seekable)
        self.loop.setChecked(transport.loop)
        with QSignalBlocker(self.speed):
            self.speed.setCurrentIndex(min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - transport.speed)))

    def _show_play_icon(self) -> None:
        if self._palette is not None:
            self.play.setIcon(icon("pause" if self._playing else "play", self._palette.text, faint(self._palette)))


def clock_text(transport: Transport) -> str:
    """Time code and frame number, or what stands in for them."""
    if not transport.enabled:
        return "–"
    if transport.frame_count is None:
        return f"live  ·  frame {transport.position}"
    last = max(transport.frame_count - 1, 0)
    if transport.fps <= 0:
        return f"{transport.position + 1} of {transport.frame_count}"
    times = f"{time_code(transport.position, transport.fps)} / {time_code(last, transport.fps)}"
    return f"{times}  ·  {transport.position}/{last}"
