"""Watching a refinement in the real window, off screen: a stand-in session, the real estimator with a tiny network."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication

from handviz.app.application import App
from handviz.app.colours import DARK
from handviz.app.plots import Plots
from handviz.app.refinement_page import MOST_PERCENT, RefinementPage
from handviz.app.state import Wish
from handviz.app.view_options import REFINE_SOLVERS, ViewOptions
from handviz.app.watch import (
    CHOOSE,
    NO_HAND,
    NO_SOURCE,
    PAUSE,
    REFINING,
    WAITING,
    Watch,
    WatchState,
    iterate_words,
    verdict_words,
)
from handviz.capture.base import SourceSpec
from handviz.estimate.base import EstimatorOptions
from handviz.estimate.dense import DenseEstimator
from handviz.fit.refinement import Iterate, RefinementTrace, Solver
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_checkpoint import save_dense
from handviz.models.groups import GroupsConfig
from handviz.models.hourglass import HourglassConfig
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.refiner import Refiner
from handviz.records import HandParams
from tests.app.conftest import SMALL

pytestmark = pytest.mark.gui
VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))
STEPS = 6


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network; what it answers is refined like any other answer."""
    torch.manual_seed(3)
    hourglass = HourglassConfig(
        block="postactivation", stem_width=4, light_stem=True, level_widths=(8, 8, 8), level_modules=(1, 1, 1)
    )
    groups = GroupsConfig(
        input_size=32, hourglass=hourglass, neck_widths=(8, 8), branch_widths=(8, 8, 8), lift=True, presence=True
    )
    network = DenseNetwork(DenseConfig(input_size=32, evidence="live", groups=groups, hidden=(16,), skeleton="chain", mask=True))
    with torch.no_grad():
        network.J3D[-1].weight.normal_(std=0.02)
    path = tmp_path_factory.mktemp("weights") / "dense.safetensors"
    save_dense(path, network, {})
    return path


class Makes:
    """Makes sessions whose results are of the chosen estimator, with these hands."""

    def __init__(self, plain: Any, hands: tuple[Any, ...]) -> None:
        self.plain, self.hands = plain, hands

    def __call__(self, spec: SourceSpec, config: SessionConfig) -> Any:
        made = self.plain(spec, config)
        latest = made.latest

        def with_hands() -> Any:
            result = latest()
            return result and replace(result, hands=self.hands, estimator=made.config.estimator)

        made.latest = with_hands
        return made


@pytest.fixture
def session(factory: Any, hands: Any) -> Makes:
    return Makes(factory, (hands(3), hands(3, place=(0.14, 0.05, 0.5), track=2)))


@pytest.fixture(scope="module")
def network(weights: Path) -> DenseEstimator:
    """Loaded once: that takes longer than all else here."""
    return DenseEstimator(EstimatorOptions(weights=weights, device="cpu"))


@pytest.fixture
def app(qtbot: Any, session: Makes, weights: Path, network: DenseEstimator, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    def build(options: EstimatorOptions) -> DenseEstimator:
        return network if network.adjust(options) else DenseEstimator(options)

    monkeypatch.setattr("handviz.app.watch.Refiner", partial(Refiner, build))
    config = SessionConfig(estimator="dense", dense_weights=weights, device="cpu")
    made = App(Wish(source=VIDEO, config=config, view=ViewOptions(refine_steps=STEPS)), session)
    made.window.arrange(SMALL)
    made.start()
    qtbot.waitUntil(lambda: made.controller.result is not None, timeout=60_000)
    yield made
    made.window.close()
    made.window.deleteLater()
    QApplication.processEvents()


def page_of(app: App) -> Any:
    return app.window.plots.refinement


def open_page(app: App) -> Any:
    app.window.plots.tabs.setCurrentWidget(page_of(app))
    return page_of(app)


def paused(app: App, qtbot: Any, frame: int = 12) -> Any:
    """Open the page and hold a frame until its refinement is there."""
    page = open_page(app)
    app.controller.playback.play_pause()
    app.controller.playback.seek(frame)
    qtbot.waitUntil(lambda: app.controller.result is not None and app.controller.result.frame.index == frame, timeout=60_000)
    qtbot.waitUntil(lambda: page.state.trace is not None and not page.state.busy, timeout=60_000)
    return page


def shown_hand(app: App, track: int = 1) -> Any:
    result = app.window.viewport._result
    assert result is not None
    return next(hand for hand in result.hands if hand.track_id == track)


def test_the_solvers_are_the_estimators() -> None:
    assert get_args(Solver) == REFINE_SOLVERS


def test_a_held_frame_is_refined_and_its_iterates_are_shown_on_both_sides(app: App, qtbot: Any) -> None:
    before = shown_hand(app)
    page = paused(app, qtbot)
    trace = page.state.trace
    assert len(trace.iterates) == STEPS + 1 and page.state.place == trace.best
    assert app.controller.wish.view.mesh_overlay, "the mesh is put over the picture as the page is opened"
    best = shown_hand(app)
    assert best.stage == "refined" and best is not before
    assert app.window.video._result is app.window.viewport._result
    page.slider.setValue(0)
    qtbot.waitUntil(lambda: page.state.place == 0, timeout=60_000)
    start = shown_hand(app)
    np.testing.assert_allclose(start.mesh.params.pose, trace.iterates[0].params.pose, atol=1e-6)
    assert np.abs(start.mesh.vertices_camera_m - best.mesh.vertices_camera_m).max() > 1e-4
    assert shown_hand(app, 2).stage != "refined", "the other hand stays as it was"
    assert "STEP 0 OF 6" in app.window.video_pane.title.text()
    assert "step 0 of 6" in page.iterate.text() and "ms" in page.iterate.text() and "Best: step" in page.verdict.text()


def test_going_on_and_leaving_the_page_show_the_live_hands_again(app: App, qtbot: Any) -> None:
    page = paused(app, qtbot)
    app.controller.playback.play_pause()
    qtbot.waitUntil(lambda: page.frame.words == PAUSE, timeout=60_000)
    assert shown_hand(app).stage != "refined" and app.window.video_pane.title.text() == "PICTURE"
    app.controller.playback.play_pause()
    qtbot.waitUntil(lambda: page.state.trace is not None, timeout=60_000)
    app.window.plots.tabs.setCurrentIndex(0)
    qtbot.waitUntil(lambda: shown_hand(app).stage != "refined", timeout=60_000)


def test_a_frozen_camera_is_refined_too(app: App, qtbot: Any) -> None:
    page = open_page(app)
    app.controller.open(SourceSpec(kind="camera", camera=0))
    qtbot.waitUntil(lambda: page.frame.words == PAUSE, timeout=60_000)
    app.controller.playback.play_pause()
    qtbot.waitUntil(lambda: page.state.trace is not None and shown_hand(app).stage == "refined", timeout=60_000)
    assert app.window.status.shown_texts()[0] == "Frozen"


def trace_of(totals: list[float], best: int, *, diverged: bool = False) -> RefinementTrace:
    still = HandParams(pose=np.zeros(45), shape=np.zeros(10), root_rotation=np.zeros(3), translation_m=np.zeros(3))
    iterates = tuple(
        Iterate(params=still, total=total, terms={"joints_px": total, "depth": 0.0}, t_ms=70.0 * step)
        for step, total in enumerate(totals)
    )
    return RefinementTrace(iterates=iterates, best=best, diverged=diverged, solver="paper")


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (trace_of([4.0, 3.0, 1.0], 2), "Best: step 2, 25 % of the start's total."),
        (trace_of([4.0, 5.0], 0), "No step was better than the start, which is kept."),
        (trace_of([4.0, 3.0, 4e5, np.inf], 1, diverged=True), "It diverged and was stopped; the best, step 1, is kept."),
    ],
)
def test_what_is_said_of_a_refinement(trace: RefinementTrace, said: str) -> None:
    state = WatchState(words=None, trace=trace, overlaps=(0.5,) * len(trace.iterates), place=trace.best)
    assert verdict_words(state) == said
    assert verdict_words(replace(state, busy=True)) == REFINING
    step = f"step {trace.best} of {len(trace.iterates) - 1} (best), total"
    assert iterate_words(state).startswith(step) and iterate_words(state).endswith("overlap 50%")


def test_a_refinement_that_ran_away_leaves_the_rest_readable(qtbot: Any) -> None:
    page = RefinementPage()
    qtbot.addWidget(page)
    page.set_palette(DARK)
    page.resize(900, 160)
    trace = trace_of([4.0, 3.0, 4e5, np.inf], 1, diverged=True)
    page.show_state(WatchState(words=None, trace=trace, overlaps=(None,) * 4, place=1, enabled=True))
    page.show()
    box = page.chart.getPlotItem().vb
    qtbot.waitUntil(lambda: box.viewRange()[1][1] > 100, timeout=60_000)
    assert box.viewRange()[1][1] <= MOST_PERCENT
    _, y = page.chart.series["total"].getData()
    assert y[1] == pytest.approx(75) and np.isnan(y[3])
    assert np.isnan(page.chart.series["depth"].getData()[1]).all(), "a term that starts at nothing has no share of its start"


@pytest.mark.gui
def test_a_term_that_only_comes_in_on_the_way_is_drawn_against_the_total(qtbot: Any) -> None:
    page = RefinementPage()
    qtbot.addWidget(page)
    plain = trace_of([50.0, 20.0], best=1)
    priors = (1e-7, 5.0)
    iterates = tuple(replace(it, terms={**it.terms, "priors": prior}) for it, prior in zip(plain.iterates, priors, strict=True))
    page.chart.show_trace(replace(plain, iterates=iterates))
    np.testing.assert_allclose(page.chart.series["priors"].getData()[1], [0.0, 10.0], atol=1e-5)
    np.testing.assert_allclose(page.chart.series["joints_px"].getData()[1], [100.0, 40.0])


@pytest.mark.gui
def test_another_frame_drops_the_old_answer(app: App, qtbot: Any) -> None:
    page = paused(app, qtbot)
    old = page.state.trace
    app.controller.playback.seek(20)
    qtbot.waitUntil(lambda: page.state.trace is not None and page.state.trace is not old, timeout=60_000)
    assert shown_hand(app).stage == "refined" and app.window.viewport._result.frame.index == 20


def test_solver_and_steps_are_chosen_here(app: App, qtbot: Any) -> None:
    page = paused(app, qtbot)
    page.solver.setCurrentText("paper")
    page.solver.activated.emit(1)
    page.steps.setValue(2)
    qtbot.waitUntil(lambda: page.state.trace is not None and page.state.trace.solver == "paper", timeout=60_000)
    qtbot.waitUntil(lambda: not page.state.busy and len(page.state.trace.iterates) == 3, timeout=60_000)
    assert set(page.chart.series) == {"total", "joints", "features", "laplacian"}
    assert "laplacian" in page.legend.text()
    page.steps.setValue(0)
    qtbot.waitUntil(lambda: not page.state.busy and len(page.state.trace.iterates) == 1, timeout=60_000)
    assert "No step was better" in page.verdict.text()


def test_the_left_hand_is_refined_in_its_place(app: App, qtbot: Any, session: Makes) -> None:
    page = paused(app, qtbot)
    assert page.hand.count() == 2 and page.hand.isVisible()
    page.hand.activated.emit(page.hand.setCurrentIndex(1) or 1)
    qtbot.waitUntil(lambda: page.state.track == 2 and page.state.trace is not None, timeout=60_000)
    left, right = shown_hand(app, 2), shown_hand(app, 1)
    assert left.stage == "refined" and right.stage != "refined" and left.side == "left"
    # Away from the hand's own pixels, its crop would not have been mapped back.
    renumbered = tuple(replace(hand, track_id=hand.track_id + 4) for hand in app.controller.result.hands)
    session.hands = renumbered
    app.controller.configure(smoothing=False)
    qtbot.waitUntil(lambda: page.state.track == 6 and page.state.trace is not None, timeout=60_000)
    there = shown_hand(app, 6).joints.joints_px.mean(0)
    other, own = (np.linalg.norm(there - hand.joints.joints_px.mean(0)) for hand in renumbered)
    assert own < 0.5 * other


def test_all_words_have_room_where_the_plots_are_smallest(qtbot: Any) -> None:
    plots = Plots()
    qtbot.addWidget(plots)
    plots.resize(752, plots.minimumHeight())
    plots.show()
    page = plots.refinement
    plots.tabs.setCurrentWidget(page)
    page.show_state(WatchState(words=None, hands=((110, "right #110"), (111, "left #111")), track=110, enabled=True, steps=100))
    page.iterate.setText("step 30 of 30 (best), total 0.0123, 12.1 ms, overlap 89%")
    page.terms.setText("joints 3.21 px, features 0.0123, Laplacian 0.123, priors 0.00123")
    page.verdict.setText("No step was better than the start, which is kept.")
    QApplication.processEvents()
    assert page.hand.width() >= page.hand.sizeHint().width()
    for label in (page.iterate, page.terms, page.verdict):
        assert label.height() >= label.heightForWidth(label.width())


def test_curves_hover_and_scrub(app: App, qtbot: Any) -> None:
    page = paused(app, qtbot)
    x, y = page.chart.series["joints_px"].getData()
    assert list(x) == list(range(STEPS + 1)) and y[0] == pytest.approx(100)
    text = page.chart.value_text(2.2, float(y[2]))
    value = page.state.trace.iterates[2].terms["joints_px"]
    assert text.startswith("joints  ") and f"{value:.3g} px at step 2" in text
    page.chart.here.setValue(3)
    page.chart.here.sigDragged.emit(page.chart.here)
    qtbot.waitUntil(lambda: page.state.place == 3 and page.slider.value() == 3, timeout=60_000)
    box = page.chart.getPlotItem().vb
    place = page.chart.mapFromScene(box.mapViewToScene(QPointF(1.0, 50.0)))
    qtbot.mouseClick(page.chart.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: page.state.place == 1, timeout=60_000)
    page.play.click()
    qtbot.waitUntil(lambda: page.state.place == 0, timeout=60_000)
    qtbot.waitUntil(lambda: page.state.place == STEPS, timeout=60_000)


def test_the_curves_are_saved(app: App, qtbot: Any, tmp_path: Path, save_as: Callable[[Path], None]) -> None:
    path = tmp_path / "refinement.csv"
    save_as(path)
    open_page(app)
    app.window.plots.csv_button.click()
    assert not path.exists() and "no refinement to save" in app.window.banner.words.text()
    page = paused(app, qtbot)
    app.window.plots.csv_button.click()
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == STEPS + 1 and list(rows[0]) == [
        "step",
        "t_ms",
        "total",
        "joints_px",
        "depth",
        "priors",
        "silhouette_overlap",
        "best",
    ]
    assert float(rows[4]["total"]) == pytest.approx(page.state.trace.iterates[4].total, rel=1e-4)
    assert [row["best"] for row in rows].index("1") == page.state.trace.best


def test_why_there_is_nothing_to_watch_is_said(app: App, qtbot: Any, session: Makes) -> None:
    page = open_page(app)
    qtbot.waitUntil(lambda: page.frame.words == PAUSE, timeout=60_000)
    app.controller.configure(estimator="mediapipe")
    qtbot.waitUntil(lambda: page.frame.words == CHOOSE, timeout=60_000)
    assert not page.slider.isEnabled() and not page.solver.isEnabled() and not page.play.isEnabled()
    app.controller.configure(estimator="dense")
    session.hands = ()
    app.controller.playback.play_pause()
    app.controller.playback.seek(5)
    qtbot.waitUntil(lambda: page.frame.words == NO_HAND, timeout=60_000)
    app.controller.close_source()
    qtbot.waitUntil(lambda: page.frame.words == NO_SOURCE, timeout=60_000)


def test_missing_weights_are_said(app: App, qtbot: Any, tmp_path: Path) -> None:
    page = paused(app, qtbot)
    app.controller.configure(dense_weights=tmp_path / "none.safetensors")
    qtbot.waitUntil(lambda: "none.safetensors" in (page.frame.words or ""), timeout=60_000)
    assert page.state.trace is None and page.frame.words is not None


def test_an_answer_of_another_estimator_is_waited_for(results: Any) -> None:
    state = type("State", (), {"playing": False})()
    watch = Watch()
    watch.set_open(True)
    watch.look(results(0), ViewOptions(), SessionConfig(estimator="dense"), state)
    assert watch.state.words == WAITING and not watch.state.busy
    assert watch.applied(result := results(0)) is result


def test_both_themes(app: App, qtbot: Any) -> None:
    page = paused(app, qtbot)
    dark = page.grab().toImage()
    app.controller.switch_theme()
    light = page.grab().toImage()
    assert light.pixelColor(4, 4).lightness() > dark.pixelColor(4, 4).lightness() + 60


def test_what_is_typed_for_the_steps_is_not_overwritten(qtbot: Any) -> None:
    page = RefinementPage()
    qtbot.addWidget(page)
    state = WatchState(words=None, enabled=True, steps=30)
    page.show_state(state)
    page.steps.lineEdit().setText("5")
    page.show_state(replace(state, place=1))
    assert page.steps.lineEdit().text() == "5"
    page.show_state(replace(state, steps=12))
    assert page.steps.value() == 12
