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
# Values that are further apart in time belong to different plays: no line joins them.
GAP_S = 1.0
# Values so many times the median leave the chart at its top: one slow frame, as after loading, would squeeze all others.
PEAK = 8.0
# So much of that height is left below zero, for its label.
BELOW = 0.04
DOT = 5.0


class UnitAxis(pg.AxisItem):
    """The lower axis, with a unit behind each number."""

    def __init__(self, unit: str) -> None:
        super().__init__("bottom")
        self._unit = unit

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return what stands at the ticks."""
        return [f"{text} {self._unit}".rstrip() for text in super().tickStrings(values, scale, spacing)]


class Chart(pg.PlotWidget):
    """A plot of named series over a span that is always shown whole, from zero to ``top`` at least.

    It says the value under the pointer. A value that stands alone, which makes no line, is a dot; values further than ``gap``
    apart are not joined.
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
        # Of each series its places, its heights, and the values that are told.
        self._values: dict[str, tuple[FloatArray, FloatArray, FloatArray]] = {}
        self._pointer: Any = None
        # It has no keys of its own.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.getPlotItem().setContentsMargins(0, 4, 6, 0)
        self.getAxis("left").setWidth(50)
        self.getAxis("left").enableAutoSIPrefix(False)
        self.setLabel("left", unit)
        # Painting the axes anew, which change seldom, costs as much as the curves.
        for side in ("left", "bottom"):
            self.getAxis(side).setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)
        for name, colour in series.items():
            self.add_series(name, colour)
        # Nothing to see, but it keeps zero, the top and the whole span in the picture.
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
        # The lowest layer of a stack comes last to the front.
        curve.setZValue(-len(self.series) if self.filled else 0)
        self.series[name] = curve
        self._values[name] = (np.zeros(0),) * 3

    def set_span(self, first: float, last: float) -> None:
        """Show another span whole."""
        self._span.setData([first, last], [0.0, self._top])

    def limit_to(self, y: FloatArray) -> None:
        """Keep the height at which all but the peaks of these values are readable, with zero at the bottom."""
        highest = max(PEAK * float(np.median(y[np.isfinite(y)])), self._top) if np.isfinite(y).any() else np.inf
        # With an upper limit alone a peak would push zero up to the middle.
        self.getPlotItem().vb.setLimits(yMin=-BELOW * highest, yMax=highest)

    def draw(self, name: str, x: FloatArray, y: FloatArray, told: FloatArray | None = None) -> None:
        """Replace a series; ``told`` are its values where its heights are not, as in a stack."""
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
        """Say no value."""
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
        # Further to the left the further right the pointer is, so that no edge cuts it off.
        self.hover.setAnchor(((point.x() - box.viewRect().left()) / box.viewRect().width(), 1))
        text = self.value_text(point.x(), point.y())
        self.hover.setText(text)
        self.hover.setPos(point)
        self.hover.setVisible(bool(text))

    def value_text(self, x: float, y: float) -> str:
        """Name and value of the series nearest to a place; in a stack of the one that the place lies in."""
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
    """Return a series with this value ``between`` at both ends of every step in ``x`` that is larger than ``gap``."""
    after = np.flatnonzero(np.diff(x) > gap) + 1
    ends = np.stack([x[after - 1], x[after]], 1).ravel()
    return np.insert(x, np.repeat(after, 2), ends), np.insert(y, np.repeat(after, 2), between)


def stands_alone(y: FloatArray) -> npt.NDArray[np.bool_]:
    """Say (n,) which values have no neighbour to be joined with; NaN is none."""
    known = np.concatenate([[False], np.isfinite(y), [False]])
    return np.asarray(known[1:-1] & ~known[:-2] & ~known[2:])


class Legend(QLabel):
    """Coloured names in rich text, in one line if there is room. How wide they are decides about nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("muted")
        self.setWordWrap(True)
        self.setMinimumWidth(1)

    def show_series(self, series: dict[str, RGB], hint: str | None = None) -> None:
        """Show the names of a chart's series, and perhaps whose they are or why there is nothing to see."""
        # Lines break between names only.
        names = [f'<span style="color:rgb{c}">●</span>&nbsp;{name.replace(" ", "&nbsp;")}' for name, c in series.items()]
        self.setText("&nbsp; ".join(names if hint is None else [*names, f"({hint})"]))


class ChartPage(QWidget):
    """A chart over the last seconds with its legend over it."""

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
