"""What charts draw, and what they say of the value under the pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF
from PySide6.QtWidgets import QApplication

from handviz.app.chart import Chart, ChartPage, with_gaps
from handviz.app.colours import DARK
from handviz.app.history import History
from handviz.app.plots import Plots
from handviz.app.shape_memory import ShapeState
from handviz.app.theme import apply_theme
from handviz.pipeline.stats import SessionStats, StatsPoint

pytestmark = pytest.mark.gui


def played(*times_s: float) -> SessionStats:
    points = tuple(StatsPoint(frame=0, t_s=t, stage_ms={"detect": 10.0, "smooth": 0.2}, age_ms=30.0) for t in times_s)
    return SessionStats(history=points)


@pytest.fixture
def plots(qtbot: Any) -> Plots:
    made = Plots()
    qtbot.addWidget(made)
    made.resize(900, 200)
    made.show()
    return made


@pytest.fixture
def show(plots: Plots, qtbot: Any) -> Callable[[SessionStats], None]:
    def showing(stats: SessionStats) -> None:
        plots.show_data(History(), stats)
        qtbot.waitUntil(lambda: not plots._waiting, timeout=60_000)

    return showing


def point_at(chart: Chart, x: float, y: float) -> None:
    chart._moved(chart.getPlotItem().vb.mapViewToScene(QPointF(x, y)))


def test_a_stack_tells_the_stage_under_the_pointer(plots: Plots, show: Callable[[SessionStats], None]) -> None:
    show(played(0.0, 0.1, 0.2))
    chart = plots.latency.chart
    assert chart.value_text(0.0, 9.0) == "detect  10.0 ms"
    assert chart.value_text(0.0, 10.1) == "smooth  0.2 ms"


def test_what_is_said_follows_the_values_and_ends_with_the_pointer(qtbot: Any) -> None:
    page = ChartPage("ms", {"age": (255, 0, 0)})
    qtbot.addWidget(page)
    page.resize(400, 200)
    page.show()
    chart, seconds = page.chart, np.array([-2.0, -1.5, -1.0])
    chart.draw("age", seconds, np.full(3, 0.5))
    qtbot.waitUntil(lambda: chart.getPlotItem().vb.viewRect().left() < -11, timeout=60_000)
    point_at(chart, -1.5, 0.5)
    assert chart.hover.isVisible() and chart.hover.toPlainText() == "age  0.5 ms"
    chart.draw("age", seconds, np.full(3, 0.7))
    assert chart.hover.toPlainText() == "age  0.7 ms"
    QApplication.sendEvent(chart, QEvent(QEvent.Type.Leave))
    assert not chart.hover.isVisible()
    chart.draw("age", seconds, np.full(3, 0.9))
    assert not chart.hover.isVisible()


def test_a_pause_is_a_gap(plots: Plots, show: Callable[[SessionStats], None]) -> None:
    show(played(*np.arange(0, 1, 0.1), *np.arange(5, 6, 0.1)))
    (age,) = plots.age.chart.series.values()
    (rate,) = plots.rate.chart.series.values()
    for curve in (age, rate):
        x, y = curve.getData()
        assert np.isnan(y[(x > -4) & (x < -0.9)]).all(), "no line over the pause"
    rates = rate.getData()[1]
    np.testing.assert_allclose(rates[np.isfinite(rates)], 10.0, rtol=1e-6)
    x, y = plots.latency.chart.series["smooth"].getData()
    assert (y == 0).sum() == 2 and y.max() == pytest.approx(10.2)
    assert plots.latency.chart.value_text(-3.0, 5.0) == ""


def test_a_tab_that_is_chosen_while_plots_are_held_is_drawn_once(plots: Plots, results: Any, hands: Any) -> None:
    history = History()
    history.add(results(0, (hands(0, track=1),)))
    plots.tabs.setCurrentWidget(plots.pinch)
    plots.show_data(history, SessionStats())
    plots.pause_button.click()
    plots.tabs.setCurrentWidget(plots.angles)
    for index in (1, 2):
        plots.show_data(history, SessionStats())
        history.add(results(index, (hands(index, track=1),)))
    plots.tabs.setCurrentWidget(plots.pinch)
    plots.show_data(history, SessionStats())
    for page in (plots.angles, plots.pinch):
        assert {len(curve.getData()[0]) for curve in page.chart.series.values()} == {1}
    plots.pause_button.click()
    plots.show_data(history, SessionStats())
    (pinch,) = plots.pinch.chart.series.values()
    assert len(pinch.getData()[0]) == 3


def test_a_shape_that_is_chosen_while_plots_are_held_is_shown_once(plots: Plots, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[ShapeState] = []
    monkeypatch.setattr(plots.shape, "show_state", shown.append)
    plots.pause_button.click()
    plots.tabs.setCurrentWidget(plots.shape)
    for _ in range(2):
        plots.show_data(History(), SessionStats())
        plots.show_shape(ShapeState())
    assert len(shown) == 1


def test_a_button_that_holds_the_plots_shows_that_it_is_on(plots: Plots) -> None:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    apply_theme(application, DARK)
    plots.set_palette()
    before = plots.pause_button.grab().toImage()
    plots.pause_button.setChecked(True)
    assert plots.pause_button.grab().toImage() != before


def test_a_gap_has_two_ends() -> None:
    x, y = with_gaps(np.array([0.0, 1.0, 5.0]), np.array([7.0, 8.0, 9.0]), 2.0, 0.0)
    assert x.tolist() == [0, 1, 1, 5, 5] and y.tolist() == [7, 8, 0, 0, 9]


def test_one_slow_frame_does_not_squeeze_the_others(plots: Plots, show: Callable[[SessionStats], None], qtbot: Any) -> None:
    usual = played(*np.arange(0, 2, 0.1)).history
    slow = StatsPoint(frame=0, t_s=2.0, stage_ms={"detect": 13_000.0}, age_ms=13_000.0)
    show(SessionStats(history=(*usual, slow)))
    for page in (plots.latency, plots.age):
        box = page.chart.getPlotItem().vb
        qtbot.waitUntil(lambda box=box: 10 < box.viewRect().bottom() < 300, timeout=60_000)
        assert -0.1 < box.viewRect().top() / box.viewRect().bottom() <= 0
    assert plots.latency.chart.value_text(0.0, 200.0) == "detect  13000.0 ms"
    show(SessionStats())


def test_a_closed_source_leaves_no_curves(plots: Plots, show: Callable[[SessionStats], None]) -> None:
    show(played(0.0, 0.1, 0.2))
    show(SessionStats())
    charts = (plots.latency.chart, plots.age.chart, plots.rate.chart)
    for curve in (curve for chart in charts for curve in chart.series.values()):
        assert curve.getData()[0] is None


def test_charts_of_a_hand_say_whose_they_are(plots: Plots, results: Any, hands: Any) -> None:
    history = History()
    plots.tabs.setCurrentWidget(plots.angles)
    plots.show_data(history, SessionStats())
    assert "no hand yet" in plots.angles.legend.text()
    history.add(results(0, (hands(0, track=1), hands(0, track=2))))
    plots.show_data(history, SessionStats())
    assert "right #1" in plots.angles.legend.text()


def test_an_empty_silhouette_says_why(plots: Plots, results: Any) -> None:
    history = History()
    plots.tabs.setCurrentWidget(plots.overlap)
    plots.show_data(history, SessionStats())
    assert "no hand yet" in plots.overlap.legend.text()
    history.add(results(0))
    plots.show_data(history, SessionStats())
    assert "dense" in plots.overlap.legend.text()


def test_charts_side_by_side_are_equally_wide_whatever_their_legends_say(
    plots: Plots, show: Callable[[SessionStats], None]
) -> None:
    plots.resize(752, 190)
    stages = dict.fromkeys(("detect", "crop", "estimate", "smooth", "compare"), 1.0)
    show(SessionStats(history=(StatsPoint(frame=0, t_s=0.0, stage_ms=stages, age_ms=30.0),)))
    QApplication.processEvents()
    widths = [page.width() for page in (plots.latency, plots.age, plots.rate)]
    assert max(widths) - min(widths) <= 1
    assert plots.width() == 752


def test_buttons_beside_the_tabs_are_whole(plots: Plots) -> None:
    apply_theme(QApplication.instance(), DARK)
    plots.set_palette()
    QApplication.processEvents()
    for button in (plots.pause_button, plots.csv_button):
        assert button.parentWidget().rect().contains(button.geometry())
        middle = button.mapTo(plots.tabs, button.rect().center()).y()
        assert abs(middle - plots.tabs.tabBar().geometry().center().y()) <= 1
