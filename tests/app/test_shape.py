"""The person's hand shape: averaged over time, shown at rest, held and released."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from handviz.app.application import App
from handviz.app.settings import Settings, SettingsError, load, save
from handviz.app.shape_memory import NO_LOOK, NO_MESH, ShapeMemory, ShapeState
from handviz.app.shape_page import ShapePage
from handviz.app.shape_view import rest_picture, shape_names
from handviz.app.state import Wish
from handviz.capture.base import SourceSpec
from handviz.hand.model import load_hand_model
from handviz.pipeline.config import SessionConfig
from handviz.records import FrameResult, HandEstimate
from tests.app.conftest import SMALL

pytestmark = pytest.mark.gui
VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))
SHAPE = np.linspace(-1, 1, 10)


def with_shape(hand: HandEstimate, shape: np.ndarray) -> HandEstimate:
    assert hand.mesh is not None
    return replace(hand, mesh=replace(hand.mesh, params=replace(hand.mesh.params, shape=shape)))


def test_a_picture_without_an_answer_yet_is_of_no_estimator(results: Any) -> None:
    """As a camera's pictures are while the networks load."""
    unanswered = replace(results(0, ()), estimator="")
    assert ShapeMemory().state(unanswered, SessionConfig(estimator="groups-fit")).words == NO_LOOK


class Makes:
    """Makes sessions whose hand's shape swings around ``SHAPE``; its left hand's is the negative."""

    def __init__(self, plain: Any, hands: Any) -> None:
        self.plain, self.hands, self.two = plain, hands, False

    def __call__(self, spec: SourceSpec, config: SessionConfig) -> Any:
        made = self.plain(spec, config)
        latest = made.latest

        def with_hands() -> FrameResult | None:
            result = latest()
            if result is None:
                return None
            held = made.config.hand_shape
            swing = 0.5 if result.frame.index % 2 else -0.5
            shape = SHAPE + swing if held is None else np.array(held)
            shown = [with_shape(self.hands(result.frame.index), shape)]
            if self.two:
                left = self.hands(result.frame.index, place=(0.14, 0.05, 0.5), track=2)
                shown.append(with_shape(left, -SHAPE if held is None else np.array(held)))
            if made.config.estimator == "mediapipe":
                shown = [replace(hand, mesh=None) for hand in shown]
            return replace(result, hands=tuple(shown), estimator=made.config.estimator)

        made.latest = with_hands
        return made


@pytest.fixture
def session(factory: Any, hands: Any) -> Makes:
    return Makes(factory, hands)


@pytest.fixture
def app(qtbot: Any, session: Makes) -> Iterator[App]:
    made = App(Wish(source=VIDEO, config=SessionConfig(estimator="fit")), session)
    made.window.arrange(SMALL)
    made.start()
    made.window.plots.tabs.setCurrentWidget(made.window.plots.shape)
    qtbot.waitUntil(lambda: made.window.plots.shape.state.looks >= 4, timeout=60_000)
    yield made
    made.window.close()
    made.window.deleteLater()
    QApplication.processEvents()


def frame(results: Any, hands: Any, index: int, *shown: tuple[int, np.ndarray], score: float = 0.9) -> FrameResult:
    both = tuple(replace(with_shape(hands(index, track=track), shape), score=score) for track, shape in shown)
    return replace(results(index, both), estimator="fit")


def test_looks_are_averaged_over_all_hands_or_one(results: Any, hands: Any) -> None:
    memory, config = ShapeMemory(), SessionConfig(estimator="fit")
    assert memory.mean() is None and memory.state(None, config).words == NO_LOOK
    for index in range(4):
        memory.add(frame(results, hands, index, (1, SHAPE + index), (2, -SHAPE)), config)
    state = memory.state(frame(results, hands, 3, (1, SHAPE)), config)
    assert state.looks == 8 and state.words is None and state.spread is not None and state.values is not None
    np.testing.assert_allclose(state.values, (SHAPE * 4 + 6 - 4 * SHAPE) / 8)
    memory.choose(1)
    assert memory.mean() == pytest.approx(SHAPE + 1.5, abs=1e-4)
    assert memory.state(None, config).tracks == ((1, "#1"),)
    memory.clear()
    assert memory.mean() is None and memory.track is None


def test_what_tells_nothing_new_is_left_out(results: Any, hands: Any) -> None:
    memory, config = ShapeMemory(), SessionConfig(estimator="fit")
    first = frame(results, hands, 0, (1, SHAPE))
    memory.add(first, config)
    memory.add(first, config)
    memory.add(frame(results, hands, 1, (1, SHAPE + 9), score=0.2), config)
    memory.add(frame(results, hands, 2, (1, np.full(10, np.nan))), config)
    memory.add(frame(results, hands, 3, (1, SHAPE + 9)), replace(config, hand_shape=tuple(SHAPE)))
    assert memory.mean() == pytest.approx(SHAPE, abs=1e-4)
    other = frame(results, hands, 4, (1, SHAPE + 2))
    (hand,) = other.hands
    assert hand.mesh is not None
    params = replace(hand.mesh.params, hand_model="mine")
    memory.add(replace(other, hands=(replace(hand, mesh=replace(hand.mesh, params=params)),)), config)
    assert memory.mean() == pytest.approx(SHAPE + 2, abs=1e-4), "another hand model's numbers mean something else"


def test_the_rest_hand_is_drawn_upright_with_the_average_outline() -> None:
    drawn = rest_picture(np.zeros(10), "default", 120)
    covered = drawn.picture[..., 3] > 127
    rows, columns = np.nonzero(covered)
    assert (
        drawn.picture.shape == (120, 120, 4) and rows.min() > 1 and rows.max() < 118 and columns.min() > 1 and columns.max() < 118
    )
    assert rows.max() - rows.min() > 85, "it fills its place"
    # Fingers are thinner than the palm: the upper half of an upright hand covers less.
    middle = (rows.min() + rows.max()) // 2
    assert covered[:middle].sum() < 0.8 * covered[middle:].sum()
    # A right hand from the palm: the thumb, on the right, ends lower than the little finger on the left.
    assert rows[columns.argmax()] > rows[columns.argmin()] + 10 and len(drawn.average) == 1
    big = rest_picture(np.array([2.5, *np.zeros(9)]), "default", 120).picture[..., 3] > 127
    assert big.sum() > 1.05 * covered.sum()


@pytest.mark.parametrize("value", [-3.0, 3.0])
def test_no_hand_is_cut_off(value: float) -> None:
    for component in range(3):
        shape = np.zeros(10)
        shape[component] = value
        covered = rest_picture(shape, "default", 150).picture[..., 3] > 127
        assert covered.sum() > 2000 and not (covered[0].any() or covered[-1].any() or covered[:, 0].any() or covered[:, -1].any())


def test_a_hand_model_that_is_gone_is_told_and_comes_back(qtbot: Any) -> None:
    page = ShapePage()
    qtbot.addWidget(page)
    page.show_state(ShapeState(held=np.zeros(10), hand_model="gone"))
    assert "no hand model 'gone'" in (page.frame.words or "")
    page.resize(500, 200)
    page.show_state(ShapeState(held=np.zeros(10), hand_model="default"))
    assert page.frame.words is None and len(page.bars.names) == 10


def test_values_have_the_hand_models_names() -> None:
    assert shape_names("default") == load_hand_model().shape_names and len(shape_names("default")) == 10


def test_holding_and_releasing(app: App, qtbot: Any, session: Makes) -> None:
    page = app.window.plots.shape
    assert "Mean of" in page.status.text() and page.hold.text() == "Hold this shape"
    assert page.state.values == pytest.approx(SHAPE, abs=0.3) and page.state.spread.max() > 0.3
    page.hold.click()
    held = app.controller.wish.config.hand_shape
    assert held == pytest.approx(SHAPE, abs=0.3) and session.plain.made[-1].config.hand_shape == held
    qtbot.waitUntil(lambda: page.state.held is not None and page.hold.text() == "Release the shape", timeout=60_000)
    assert "held" in page.status.text() and page.bars.value_text(9) == f"{held[9]:+.2f}"
    looks = page.state.looks
    frame = app.controller.result.frame.index
    qtbot.waitUntil(lambda: app.controller.result.frame.index != frame, timeout=60_000)
    assert page.state.looks == looks
    app.commands.run("hold_shape")
    assert app.controller.wish.config.hand_shape is None
    qtbot.waitUntil(lambda: page.hold.text() == "Hold this shape" and page.state.looks > looks, timeout=60_000)


def test_another_hand_model_releases_it(app: App) -> None:
    app.window.plots.shape.hold.click()
    app.controller.configure(smoothing=False)
    assert app.controller.wish.config.hand_shape is not None
    app.controller.configure(hand_model="mine")
    assert app.controller.wish.config.hand_shape is None


def test_two_hands_are_told_apart_when_asked(app: App, qtbot: Any, session: Makes) -> None:
    page = app.window.plots.shape
    assert not page.hand.isVisible()
    session.two = True
    qtbot.waitUntil(lambda: len(page.state.tracks) == 2, timeout=60_000)
    assert page.hand.isVisible() and page.hand.itemText(2) == "left #2"
    page.hand.setCurrentIndex(2)
    page.hand.activated.emit(2)
    qtbot.waitUntil(lambda: page.state.track == 2, timeout=60_000)
    assert page.state.values == pytest.approx(-SHAPE, abs=1e-6)


def test_without_a_mesh_it_is_said(app: App, qtbot: Any) -> None:
    page = app.window.plots.shape
    app.controller.configure(estimator="mediapipe")
    qtbot.waitUntil(lambda: page.frame.words == NO_MESH, timeout=60_000)
    assert page.frame.words is not None and not page.hold.isEnabled()
    app.commands.run("hold_shape")
    assert "no hand shape yet" in app.window.banner.words.text()


def test_it_is_drawn_in_both_themes_and_values_are_told(app: App, qtbot: Any) -> None:
    page = app.window.plots.shape

    def picture() -> QImage:
        return page.grab().toImage()

    dark = picture()
    colours = {dark.pixelColor(x, y).rgb() for x in range(0, dark.width(), 5) for y in range(0, dark.height(), 5)}
    assert len(colours) > 30
    app.controller.switch_theme()
    assert picture().pixelColor(4, 4).lightness() > dark.pixelColor(4, 4).lightness() + 60
    qtbot.mouseMove(page.bars, QPointF(page.bars.width() / 2, page.bars.height() - 3).toPoint())
    qtbot.waitUntil(lambda: shape_names("default")[9] in page.bars.toolTip(), timeout=60_000)
    assert "±" in page.bars.toolTip()


def test_the_values_are_saved(app: App, tmp_path: Path, save_as: Callable[[Path], None]) -> None:
    path = tmp_path / "shape.csv"
    save_as(path)
    app.window.plots.csv_button.click()
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["shape"] for row in rows] == list(shape_names("default")) and rows[0]["held"] == "nan"
    assert float(rows[9]["mean"]) == pytest.approx(SHAPE[9], abs=0.3)


def test_a_held_shape_is_kept_between_runs_and_a_wrong_one_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    wish = Wish(config=SessionConfig(hand_shape=tuple(SHAPE.round(3))))
    save(Settings(wish=wish), path)
    assert load(path).wish.config.hand_shape == tuple(SHAPE.round(3))
    data = json.loads(path.read_text())
    data["analysis"]["hand_shape"] = [1.0, 2.0]
    path.write_text(json.dumps(data))
    with pytest.raises(SettingsError, match='"hand_shape" has 2 values, not 10'):
        load(path)
