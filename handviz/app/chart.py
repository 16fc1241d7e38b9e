"""A plot of named curves with its legend, in the window's colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGraphicsItem, QLabel, QVBoxLayout, QWidget

from handviz.app.colours import Palette, css
from handviz.geometry.camera import FloatArray
from handviz.hand.palette import RGB

SECONDS = 12.0
# Values further apart in time than this belong to separate stretches of playback: no line joins them.
GAP_S = 1.0
# Values above this many times the median are cut off at the top: one slow frame, as after loading, would squash all others.
PEAK = 8.0
# The share of that height left below zero, for the label of zero.
BELOW = 0.04
DOT = 5.0


class UnitAxis(pg.AxisItem):
    """The lower axis, with a unit after each number."""

    def __init__(self, unit: str) -> None:
        super().__init__("bottom")
        self._unit = unit

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return the labels of the ticks."""
        return [f"{text} {self._unit}".rstrip() for text in super().tickStrings(values, scale, spacing)]


class Chart(pg.PlotWidget):
    """A plot of named series over a span that is always fully shown, from zero to at least ``top``.

    It shows the value under the pointer. An isolated value, which makes no line, is a dot; values further than ``gap`` apart
    are not joined.
    """

    def __init__(
        self,
        unit: str,
        series: dict[str, RGB],
        *,
        span: tuple[float, float],
        x_unit: str = "",
        top: float = 1.0,
        filled: bool = False,
        gap: float = np.inf,
    ) -> None:
        super().__init__(axisItems={"bottom": UnitAxis(x_unit)}, enableMenu=False)
        self.unit = unit
        self.filled = filled
        self.series: dict[str, Any] = {}
        self._gap = gap
        # For each series: its x values, its plotted heights, and the values shown in words.
        self._values: dict[str, tuple[FloatArray, FloatArray, FloatArray]] = {}
        self._pointer: Any = None
        # It handles no keys itself.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.getPlotItem().setContentsMargins(0, 4, 6, 0)
        self.getAxis("left").setWidth(50)
        self.getAxis("left").enableAutoSIPrefix(False)
        self.setLabel("left", unit)
        # The axes seldom change, and repainting them costs as much as painting the curves.
        for side in ("left", "bottom"):
            self.getAxis(side).setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)
        for name, colour in series.items():
            self.add_series(name, colour)
        # Invisible, but it keeps zero, the top and the whole span in view.
        self._top = top
        self._span = self.plot(span, [0.0, top], pen=pg.mkPen(0, 0, 0, 0))
        self.hover = pg.TextItem(anchor=(0, 1))
        self.hover.setZValue(50)
        self.addItem(self.hover, ignoreBounds=True)
        self.hover.hide()
        self.scene().sigMouseMoved.connect(self._moved)

    def add_series(self, name: str, colour: RGB) -> None:
        """Add an empty series."""
        pen = pg.mkPen(QColor(*colour), width=1.0 if self.filled else 1.6)
        extra: dict[str, Any] = {"fillLevel": 0, "brush": QColor(*colour)} if self.filled else {}
        curve = self.plot([], [], pen=pen, connect="finite", **extra)
        # In a stack, lower layers are drawn in front of higher ones.
        curve.setZValue(-len(self.series) if self.filled else 0)
        self.series[name] = curve
        self._values[name] = (np.zeros(0),) * 3

    def set_span(self, first: float, last: float) -> None:
        """Show another span in full."""
        self._span.setData([first, last], [0.0, self._top])

    def limit_to(self, y: FloatArray) -> None:
        """Limit the height so that all of these values but the peaks are readable, with zero at the bottom."""
        highest = max(PEAK * float(np.median(y[np.isfinite(y)])), self._top) if np.isfinite(y).any() else np.inf
        # With an upper limit alone a peak would push zero up to the middle.
        self.getPlotItem().vb.setLimits(yMin=-BELOW * highest, yMax=highest)

    def draw(self, name: str, x: FloatArray, y: FloatArray, told: FloatArray | None = None) -> None:
        """Replace a series; ``told`` are the values to show in words if they are not the heights, as in a stack."""
        self._values[name] = x, y, y if told is None else told
        x, y = with_gaps(x, y, self._gap, 0.0 if self.filled else np.nan)
        curve, alone = self.series[name], stands_alone(y)
        dots: dict[str, Any] = {"symbol": None}
        if alone.any():
            colour = curve.opts["pen"].color()
            dots = {"symbol": "o", "symbolSize": np.where(alone, DOT, 0.0), "symbolPen": None, "symbolBrush": colour}
        curve.setData(x, y, **dots)
        self._say()

    def set_palette(self, palette: Palette) -> None:
        """Use a theme's colours."""
        self.setBackground(QColor(*palette.panel))
        for side in ("left", "bottom"):
            self.getAxis(side).setPen(QColor(*palette.border))
            self.getAxis(side).setTextPen(QColor(*palette.muted))
        self.setLabel("left", self.unit, color=css(palette.muted))
        self.showGrid(x=False, y=True, alpha=0.18)
        self.hover.setColor(QColor(*palette.text))
        self.hover.fill = pg.mkBrush(QColor(*palette.field))

    def leaveEvent(self, event: QEvent) -> None:
        """Hide the value."""
        super().leaveEvent(event)
        self._moved(None)

    def _moved(self, place: Any) -> None:
        box = self.getPlotItem().vb
        self._pointer = place if place is not None and box.sceneBoundingRect().contains(place) else None
        self._say()

    def _say(self) -> None:
        if self._pointer is None:
            self.hover.hide()
            return
        box = self.getPlotItem().vb
        point = box.mapSceneToView(self._pointer)
        # The further right the pointer is, the further left the text begins, so that no edge cuts it off.
        self.hover.setAnchor(((point.x() - box.viewRect().left()) / box.viewRect().width(), 1))
        text = self.value_text(point.x(), point.y())
        self.hover.setText(text)
        self.hover.setPos(point)
        self.hover.setVisible(bool(text))

    def value_text(self, x: float, y: float) -> str:
        """Name and value of the series nearest to a place; in a stack, of the one that contains the place."""
        nearest: tuple[tuple[bool, float], str] | None = None
        for name in self.series:
            xs, heights, told = self._values[name]
            if not len(xs):
                continue
            place = int(np.argmin(np.abs(xs - x)))
            height = float(heights[place])
            if not np.isfinite(height) or abs(float(xs[place]) - x) > self._gap / 2:
                continue
            distance = (self.filled and height < y, abs(height - y))
            if nearest is None or distance < nearest[0]:
                nearest = (distance, f"{name}  {told[place]:.1f} {self.unit}")
        return "" if nearest is None else nearest[1]


def with_gaps(x: FloatArray, y: FloatArray, gap: float, between: float) -> tuple[FloatArray, FloatArray]:
    """Return a series with the value ``between`` inserted at both ends of every step in ``x`` larger than ``gap``."""
    after = np.flatnonzero(np.diff(x) > gap) + 1
    ends = np.stack([x[after - 1], x[after]], 1).ravel()
    return np.insert(x, np.repeat(after, 2), ends), np.insert(y, np.repeat(after, 2), between)


def stands_alone(y: FloatArray) -> npt.NDArray[np.bool_]:
    """Return a mask (n,) of the values that have no neighbour to be joined to; NaN does not count as a value."""
    known = np.concatenate([[False], np.isfinite(y), [False]])
    return np.asarray(known[1:-1] & ~known[:-2] & ~known[2:])


class Legend(QLabel):
    """Coloured names in rich text, on one line if there is room. Their width does not affect the layout."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("muted")
        self.setWordWrap(True)
        self.setMinimumWidth(1)

    def show_series(self, series: dict[str, RGB], hint: str | None = None) -> None:
        """Show the names of a chart's series, and perhaps a hint: whose they are, or why there are none."""
        # Lines break between names only.
        names = [f'<span style="color:rgb{c}">●</span>&nbsp;{name.replace(" ", "&nbsp;")}' for name, c in series.items()]
        self.setText("&nbsp; ".join(names if hint is None else [*names, f"({hint})"]))


class ChartPage(QWidget):
    """A chart of the last seconds with its legend above it."""

    def __init__(self, unit: str, series: dict[str, RGB], *, top: float = 1.0, filled: bool = False) -> None:
        super().__init__()
        self._series = series
        self._hint: str | None = None
        self.chart = Chart(unit, series, span=(-SECONDS, 0.0), x_unit="s", top=top, filled=filled, gap=GAP_S)
        self.legend = Legend()
        self.legend.show_series(series)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(8, 4, 8, 2)
        rows.setSpacing(0)
        rows.addWidget(self.legend)
        rows.addWidget(self.chart, 1)

    def show_hint(self, hint: str) -> None:
        """Say whose curves these are, or why there are none."""
        if hint != self._hint:
            self._hint = hint
            self.legend.show_series(self._series, hint)
