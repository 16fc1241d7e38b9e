"""The refinement of a held frame: its loss curves, and a scrub through its iterates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from handviz.app.chart import Chart, Legend
from handviz.app.colours import SERIES_COLOURS, Palette
from handviz.app.icons import icon
from handviz.app.theme import faint
from handviz.app.view_options import REFINE_SOLVERS
from handviz.app.watch import WatchState, iterate_words, term_names, term_title, term_words, terms_line, verdict_words
from handviz.app.widgets import NumberBox, WordsOrContent
from handviz.arguments import REFINE_ITERATIONS
from handviz.hand.palette import RGB

if TYPE_CHECKING:
    from handviz.fit.refinement import RefinementTrace

CONTROLS_WIDTH = 380
FRAME_MS, MOST_FRAMES = 60, 50
# A refinement that diverges would squash everything else onto the axis.
MOST_PERCENT = 250.0
TOTAL = "total"
# Starts near zero, because it pulls towards the start: drawn relative to the start of the total, of which it is a part.
OF_TOTAL = ("priors",)
SOLVER_TIPS = (
    "newton: damped least squares on joints and depths, a fraction of a millisecond per step.\n"
    "paper: plain gradient steps on joints, features and Laplacian, as published."
)


class LossChart(Chart):
    """Total and terms against steps, in percent of their values at the start; a click or a drag chooses a step."""

    scrubbed = Signal(int)

    def __init__(self) -> None:
        super().__init__("% of start", {}, span=(0.0, 1.0))
        self.getPlotItem().vb.setLimits(yMax=MOST_PERCENT)
        self._raw: dict[str, Any] = {}
        self.best = pg.InfiniteLine(angle=90)
        self.here = pg.InfiniteLine(angle=90, movable=True)
        for line in (self.best, self.here):
            line.setZValue(20)
            self.addItem(line, ignoreBounds=True)
        self.here.sigDragged.connect(lambda line: self.scrubbed.emit(round(line.value())))
        self.scene().sigMouseClicked.connect(self._clicked)

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        super().set_palette(palette)
        self.best.setPen(pg.mkPen(QColor(*palette.good), width=1.2, style=Qt.PenStyle.DashLine))
        self.here.setPen(pg.mkPen(QColor(*palette.text), width=1.4))

    def show_trace(self, trace: RefinementTrace) -> dict[str, RGB]:
        """Draw a trace; returns the colours of its curves."""
        values = {TOTAL: [it.total for it in trace.iterates]}
        values |= {name: [it.terms[name] for it in trace.iterates] for name in term_names(trace)}
        self._raw = {name: np.array(curve, float) for name, curve in values.items()}
        colours = {name: SERIES_COLOURS[place % len(SERIES_COLOURS)] for place, name in enumerate(self._raw)}
        for name in [name for name in self.series if name not in self._raw]:
            self.removeItem(self.series.pop(name))
        steps = np.arange(len(trace.iterates), dtype=float)
        for name, curve in self._raw.items():
            if name not in self.series:
                self.add_series(name, colours[name])
            whole = self._raw[TOTAL if name in OF_TOTAL else name][0]
            start = whole if np.isfinite(whole) and whole > 0 else np.nan
            self.draw(name, steps, np.where(np.isfinite(curve), 100 * curve / start, np.nan))
        self.set_span(0.0, max(float(steps[-1]), 1.0))
        self.best.setPos(trace.best)
        return colours

    def value_text(self, x: float, y: float) -> str:
        """Name, step and value of the curve nearest to a place."""
        text = super().value_text(x, y)
        name = text.split("  ")[0]
        if name not in self._raw:
            return text
        step = int(np.clip(round(x), 0, len(self._raw[name]) - 1))
        text = text.replace(name, term_title(name), 1).removesuffix(" of start")
        return f"{text}, {term_words(name, float(self._raw[name][step]))} at step {step}"

    def _clicked(self, event: Any) -> None:
        box = self.getPlotItem().vb
        if self._raw and box.sceneBoundingRect().contains(event.scenePos()):
            self.scrubbed.emit(round(box.mapSceneToView(event.scenePos()).x()))


class RefinementPage(QWidget):
    """Shows a ``WatchState`` and signals what the user asks for. ``viewed`` carries a view option's name and its new value."""

    opened = Signal(bool)
    scrubbed = Signal(int)
    chosen = Signal(int)
    viewed = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.state = WatchState()
        self.chart = LossChart()
        self.chart.scrubbed.connect(self.scrubbed)
        self.legend = Legend()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._next_frame)
        self._build()

    def _build(self) -> None:
        curves = QWidget()
        left = QVBoxLayout(curves)
        left.setContentsMargins(8, 4, 8, 2)
        left.setSpacing(0)
        left.addWidget(self.legend)
        left.addWidget(self.chart, 1)
        self.frame = WordsOrContent(curves, self._controls(), CONTROLS_WIDTH)
        self.frame.show_words(self.state.words)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.frame)

    def _controls(self) -> QVBoxLayout:
        rows = QVBoxLayout()
        rows.setSpacing(4)
        rows.addLayout(self._choices())
        rows.addLayout(self._scrub())
        self.iterate, self.terms, self.verdict = QLabel(), QLabel(), QLabel()
        self.terms.setObjectName("muted")
        self.verdict.setObjectName("muted")
        for label in (self.iterate, self.terms, self.verdict):
            label.setWordWrap(True)
            rows.addWidget(label)
        return rows

    def _choices(self) -> QHBoxLayout:
        self.solver = QComboBox()
        self.solver.addItems(REFINE_SOLVERS)
        self.solver.setToolTip(SOLVER_TIPS)
        self.solver.activated.connect(lambda: self.viewed.emit("refine_solver", self.solver.currentText()))
        self.steps = NumberBox()
        self.steps.setRange(*REFINE_ITERATIONS)
        self.steps.setKeyboardTracking(False)
        self.steps.setToolTip("How many steps to watch on this frame; the slider in the panel sets how many each live frame gets")
        self.steps.valueChanged.connect(lambda count: self.viewed.emit("refine_steps", count))
        self.hand = QComboBox()
        self.hand.setToolTip("Which hand of the picture is refined")
        self.hand.activated.connect(lambda: self.chosen.emit(self.hand.currentData()))
        row = QHBoxLayout()
        for words, widget in (("Solver", self.solver), ("Steps", self.steps)):
            label = QLabel(words)
            label.setBuddy(widget)
            row.addWidget(label)
            row.addWidget(widget)
            row.addSpacing(8)
        row.addWidget(self.hand)
        row.addStretch(1)
        return row

    def _scrub(self) -> QHBoxLayout:
        self.play = QToolButton()
        self.play.setToolTip("Play the steps: see the mesh settle")
        self.play.clicked.connect(self._play)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("The step that is shown, over the picture and in 3D")
        self.slider.valueChanged.connect(self.scrubbed)
        row = QHBoxLayout()
        row.addWidget(self.play)
        row.addWidget(self.slider, 1)
        return row

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self.chart.set_palette(palette)
        self.play.setIcon(icon("play", palette.text, faint(palette)))

    # Showing

    def show_state(self, state: WatchState) -> None:
        """Show a state, without echoing it."""
        old, self.state = self.state, state
        if state.trace is not None and state.trace is not old.trace:
            self.legend.show_series({term_title(name): colour for name, colour in self.chart.show_trace(state.trace).items()})
        self.frame.show_words((state.words or "") if state.trace is None else None)
        self._show_choices(state)
        self._show_iterate(state)

    def _show_choices(self, state: WatchState) -> None:
        self.solver.setCurrentText(state.solver)
        # Setting even the same value would discard what is being typed.
        self.steps.show_number(state.steps)
        if [self.hand.itemData(i) for i in range(self.hand.count())] != [track for track, _ in state.hands]:
            self.hand.clear()
            for track, words in state.hands:
                self.hand.addItem(words, track)
        self.hand.setCurrentIndex(self.hand.findData(state.track))
        self.hand.setVisible(len(state.hands) > 1)
        for widget in (self.solver, self.steps, self.hand):
            widget.setEnabled(state.enabled)

    def _show_iterate(self, state: WatchState) -> None:
        there = state.trace is not None
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, len(state.trace.iterates) - 1 if state.trace is not None else 0)
            self.slider.setValue(state.place)
        for widget in (self.slider, self.play):
            widget.setEnabled(there)
        with QSignalBlocker(self.chart.here):
            self.chart.here.setPos(state.place)
        self.iterate.setText(iterate_words(state))
        self.terms.setText(terms_line(state))
        self.verdict.setText(verdict_words(state))

    def _play(self) -> None:
        """Run through the steps from the first one; a second click stops."""
        if self._timer.isActive() or self.state.trace is None:
            self._timer.stop()
            return
        self.scrubbed.emit(0)
        self._timer.start(FRAME_MS)

    def _next_frame(self) -> None:
        last = self.slider.maximum()
        stride = max(1, round(last / MOST_FRAMES))
        if self.state.trace is None or self.state.place >= last:
            self._timer.stop()
        else:
            self.scrubbed.emit(min(self.state.place + stride, last))

    # Events

    def showEvent(self, event: QShowEvent) -> None:
        """Signal that the page is visible."""
        super().showEvent(event)
        self.opened.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        """Signal that the page is no longer visible."""
        super().hideEvent(event)
        self._timer.stop()
        self.opened.emit(False)
