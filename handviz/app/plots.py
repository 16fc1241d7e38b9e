"""The plots under the views: latency by stage and rate, angles, speeds, pinch, and what the networks learned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QTabWidget, QToolButton, QVBoxLayout, QWidget

from handviz.app.chart import GAP_S, SECONDS, ChartPage
from handviz.app.colours import DARK, SERIES_COLOURS, Palette
from handviz.app.groups_page import GroupsPage
from handviz.app.history import COLUMNS, History
from handviz.app.icons import icon
from handviz.app.refinement_page import RefinementPage
from handviz.app.shape_memory import ShapeState
from handviz.app.shape_page import ShapePage
from handviz.app.theme import faint
from handviz.geometry.camera import FloatArray
from handviz.hand.palette import FINGER_COLOURS, RGB
from handviz.hand.skeleton import FINGERS
from handviz.pipeline.stats import SessionStats, StatsPoint

RATE_WINDOW_S = 1.0
# Charts that are seen together are drawn one after the other, so that no frame waits for all of them.
NEXT_MS = 80
NO_MASK = "only the dense estimator predicts a mask"
NO_HAND = "no hand yet"


class Plots(QFrame):
    """The tabs. Only the one in front is updated; while the plots are frozen, only once after it is chosen."""

    csv_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plots")
        self.paused = False
        self._stages: dict[str, RGB] = {}
        self._waiting: list[Callable[[], None]] = []
        # The pages drawn since they were chosen or since the plots were frozen.
        self._drawn: set[QWidget] = set()
        self._next = QTimer(self)
        self._next.setSingleShot(True)
        self._next.setInterval(NEXT_MS)
        self._next.timeout.connect(self._draw_next)
        self.latency = ChartPage("ms", {}, filled=True)
        self.rate = ChartPage("1/s", {"results per second": SERIES_COLOURS[3]})
        self.age = ChartPage("ms", {"age of the picture when shown": SERIES_COLOURS[1]})
        self.angles = ChartPage("deg", FINGER_COLOURS)
        self.speeds = ChartPage("m/s", FINGER_COLOURS)
        self.pinch = ChartPage("mm", {"thumb to index": FINGER_COLOURS["index"]})
        self.overlap = ChartPage("%", {"overlap of mesh and mask": FINGER_COLOURS["middle"]}, top=100.0)
        self.groups = GroupsPage()
        self.refinement = RefinementPage()
        self.shape = ShapePage()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self._side_by_side(self.latency, self.age, self.rate), "Timing")
        self.tabs.addTab(self.angles, "Finger bend")
        self.tabs.addTab(self.speeds, "Fingertip speed")
        self.tabs.addTab(self.pinch, "Pinch")
        self.tabs.addTab(self.overlap, "Silhouette")
        self.tabs.addTab(self.groups, "Groups")
        self.tabs.addTab(self.refinement, "Refinement")
        self.tabs.addTab(self.shape, "Hand shape")
        self.tabs.currentChanged.connect(self._turn)
        self._add_corner()
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.tabs)
        # The texts of the refinement page are readable down to this height.
        self.setMinimumHeight(190)

    @property
    def pages(self) -> tuple[ChartPage, ...]:
        """All chart pages."""
        return self.latency, self.age, self.rate, self.angles, self.speeds, self.pinch, self.overlap

    def _side_by_side(self, *pages: ChartPage) -> QWidget:
        both = QWidget()
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for page in pages:
            row.addWidget(page, 1)
        return both

    def _add_corner(self) -> None:
        corner = QWidget()
        # It is as high as the tabs, and its buttons may be no higher.
        corner.setObjectName("corner")
        row = QHBoxLayout(corner)
        row.setContentsMargins(0, 0, 8, 0)
        self.pause_button = QToolButton()
        self.pause_button.setObjectName("flat")
        self.pause_button.setCheckable(True)
        self.pause_button.setToolTip("Freeze the plots, to zoom with the wheel and drag; the analysis continues")
        self.pause_button.clicked.connect(self._pause)
        self.csv_button = QToolButton()
        self.csv_button.setObjectName("flat")
        self.csv_button.setToolTip("Save what is plotted as CSV")
        self.csv_button.clicked.connect(lambda: self.csv_wanted.emit())
        row.addWidget(self.pause_button)
        row.addWidget(self.csv_button)
        self.tabs.setCornerWidget(corner, Qt.Corner.TopRightCorner)

    def _pause(self, on: bool) -> None:
        """Freeze the plots, and let the mouse zoom and drag; going on shows everything again."""
        self.paused = on
        if not on:
            self._drawn.clear()
        for page in self.pages:
            page.chart.setMouseEnabled(x=on, y=on)
            if not on:
                page.chart.enableAutoRange()

    def set_palette(self, palette: Palette = DARK) -> None:
        """Use a theme's colours."""
        for page in self.pages:
            page.chart.set_palette(palette)
        self.groups.set_palette(palette)
        self.refinement.set_palette(palette)
        self.shape.set_palette(palette)
        self.pause_button.setIcon(icon("pause", palette.muted, faint(palette)))
        self.csv_button.setIcon(icon("save", palette.muted, faint(palette)))

    def _turn(self) -> None:
        if not self.paused:
            self._drawn.clear()

    def _takes(self, page: QWidget) -> bool:
        """Say whether a page should be updated now, which then counts as done."""
        if not page.isVisible() or (self.paused and page in self._drawn):
            return False
        self._drawn.add(page)
        return True

    def show_data(self, history: History, stats: SessionStats) -> None:
        """Update the tab in front."""
        page = self.tabs.currentWidget()
        # These two are updated by ``show_shape`` and by the controller.
        if page in (self.shape, self.refinement) or not self._takes(page):
            return
        if page is self.groups:
            self.groups.show_selector(history.selector_JK)
        elif self.tabs.currentIndex() == 0:
            self._show_timing(stats)
        else:
            hand = history.newest()
            self._show_hand(history.table(), NO_HAND if hand is None else hand.name, page)

    def show_shape(self, state: ShapeState) -> None:
        """Update the hand shape if it is visible."""
        if self._takes(self.shape):
            self.shape.show_state(state)

    def _show_hand(self, table: FloatArray, name: str, page: QWidget | None) -> None:
        columns = {name: place for place, name in enumerate(COLUMNS)}
        seconds = table[:, 0] - table[-1, 0] if len(table) else table[:, 0]
        table, seconds = table[seconds >= -SECONDS], seconds[seconds >= -SECONDS]
        for finger in FINGERS:
            if page is self.angles:
                self.angles.chart.draw(finger, seconds, table[:, columns[f"{finger}_bend_deg"]])
            elif page is self.speeds:
                self.speeds.chart.draw(finger, seconds, table[:, columns[f"{finger}_tip_m_per_s"]])
        if page is self.overlap:
            overlap = table[:, columns["silhouette_overlap"]] * 100
            self.overlap.chart.draw("overlap of mesh and mask", seconds, overlap)
            name = name if np.isfinite(overlap).any() or not len(table) else NO_MASK
        if page is self.pinch:
            self.pinch.chart.draw("thumb to index", seconds, table[:, columns["pinch_mm"]])
        if isinstance(page, ChartPage):
            page.show_hint(name)

    def _show_timing(self, stats: SessionStats) -> None:
        if self._waiting:
            return
        now = stats.history[-1].t_s if stats.history else 0.0
        points = [point for point in stats.history if now - point.t_s <= SECONDS]
        seconds = np.array([point.t_s - now for point in points])
        self._waiting = [
            partial(self._show_stages, points, seconds),
            partial(self._show_ages, points, seconds),
            partial(self._show_rates, seconds),
        ]
        self._draw_next()

    def _draw_next(self) -> None:
        self._waiting.pop(0)()
        if self._waiting:
            self._next.start()

    def _show_ages(self, points: list[StatsPoint], seconds: FloatArray) -> None:
        ages = np.array([np.nan if point.age_ms is None else point.age_ms for point in points])
        (age,) = self.age.chart.series
        self.age.chart.limit_to(ages)
        self.age.chart.draw(age, seconds, ages)

    def _show_rates(self, seconds: FloatArray) -> None:
        place = np.arange(len(seconds))
        # Playback after a gap is counted from its own beginning.
        begin = np.maximum.accumulate(np.where(np.diff(seconds, prepend=-np.inf) > GAP_S, place, 0))
        counts = place - np.maximum(np.searchsorted(seconds, seconds - RATE_WINDOW_S), begin)
        covered = np.minimum(seconds - seconds[begin], RATE_WINDOW_S)
        rates = np.where(covered > 0.2, counts / np.maximum(covered, 1e-3), np.nan)
        self.rate.chart.draw("results per second", seconds, rates)

    def _show_stages(self, points: list[StatsPoint], seconds: FloatArray) -> None:
        for name in sorted({name for point in points for name in point.stage_ms}):
            if name not in self._stages:
                self._stages[name] = SERIES_COLOURS[len(self._stages) % len(SERIES_COLOURS)]
                self.latency.chart.add_series(name, self._stages[name])
                self.latency.legend.show_series(self._stages)
        total = np.zeros(len(points))
        for name in self._stages:
            took = np.array([point.stage_ms.get(name, 0.0) for point in points])
            total = total + took
            self.latency.chart.draw(name, seconds, total, took)
        self.latency.chart.limit_to(total)
