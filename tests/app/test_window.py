"""The real window, off screen, over a stand-in session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shiboken6
from PySide6.QtCore import QMimeData, QPointF, QSize, Qt, QUrl
from PySide6.QtGui import QDropEvent, QImage, QScreen
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QScrollArea, QWidget

from handviz.app.application import App
from handviz.app.groups_page import LEFT, TITLE
from handviz.app.help_page import HelpPage
from handviz.app.quitting import GO_ON, QUIT
from handviz.app.resolve import resolve
from handviz.app.settings import WindowLayout
from handviz.app.shortcuts import SHORTCUTS
from handviz.app.state import Contents, JobState, Offer, Wish
from handviz.app.view_options import MESH_STYLES, TOGGLES
from handviz.app.widgets import native
from handviz.capture.base import SourceSpec
from handviz.pipeline.config import SessionConfig

pytestmark = pytest.mark.gui
VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))


@pytest.fixture
def app(open_app: Callable[..., App]) -> App:
    return open_app(Wish(source=VIDEO))


def picture(widget: Any) -> QImage:
    return widget.grab().toImage()


def differs(first: QImage, second: QImage) -> bool:
    """Whether more than a few pixels along edges differ."""
    a, b = (np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4) for image in (first, second))
    return a.shape != b.shape or float((a != b).any(-1).mean()) > 1e-3


def paused(app: App, qtbot: Any, frame: int = 12) -> None:
    app.controller.playback.play_pause()
    app.controller.playback.seek(frame)
    qtbot.waitUntil(lambda: app.controller.result is not None and app.controller.result.frame.index == frame, timeout=60_000)
    qtbot.waitUntil(lambda: not app.window.viewport.resizing, timeout=60_000)


def test_shows_picture_and_scene(app: App, qtbot: Any) -> None:
    assert app.window.viewport.problem is None, app.window.viewport.problem
    paused(app, qtbot)
    video = picture(app.window.video)
    colours = {video.pixelColor(x, y).rgb() for x in range(0, video.width(), 3) for y in range(0, video.height(), 3)}
    assert len(colours) > 20
    scene = picture(app.window.viewport)
    colours = {scene.pixelColor(x, y).rgb() for x in range(0, scene.width(), 3) for y in range(0, scene.height(), 3)}
    assert len(colours) > 50


# What the stand-in's hands do not carry, or what needs time, has tests of its own.
ELSEWHERE = ("heatmaps", "seen_mask", "features", "follow", "trails")


@pytest.mark.parametrize("place", ["video", "scene"])
def test_every_toggle_changes_its_view(app: App, qtbot: Any, place: str) -> None:
    paused(app, qtbot)
    app.controller.change_view(follow=False)
    view = app.window.video if place == "video" else app.window.viewport
    toggles = [toggle.name for toggle in TOGGLES if toggle.place == place and toggle.name not in ELSEWHERE]
    assert len(toggles) >= 4
    for name in toggles:
        if name == "side_by_side":
            app.controller.configure(compare_with="groups")
            qtbot.waitUntil(lambda: bool(app.controller.result and app.controller.result.compared), timeout=60_000)
        before = picture(view)
        app.window.panel.chips[name].click()
        assert differs(before, picture(view)), name
        app.window.panel.chips[name].click()
        assert not differs(before, picture(view)), name


def test_comparison_is_drawn_and_measured(app: App, qtbot: Any) -> None:
    paused(app, qtbot)
    alone = picture(app.window.video), picture(app.window.viewport)
    app.controller.configure(compare_with="groups")
    qtbot.waitUntil(lambda: bool(app.controller.result and app.controller.result.compared), timeout=60_000)
    assert differs(alone[0], picture(app.window.video)) and differs(alone[1], picture(app.window.viewport))
    # Both hands have one shape, so with wrists aligned no difference is left.
    qtbot.waitUntil(lambda: "groups differs by 0.0 mm" in app.window.status.shown_texts(), timeout=60_000)


def test_hands_beside_each_other_are_named_in_3d_too(app: App, qtbot: Any) -> None:
    paused(app, qtbot)
    app.controller.configure(compare_with="groups")
    qtbot.waitUntil(lambda: bool(app.controller.result and app.controller.result.compared), timeout=60_000)
    viewport = app.window.viewport
    assert viewport.names() == []
    app.controller.toggle("side_by_side")
    (own, left), (other, right) = viewport.names()
    assert (own, other) == ("mediapipe", "groups") and left.x() < right.x()
    assert viewport.rect().contains(left.toPoint()) and viewport.rect().contains(right.toPoint())
    named = picture(viewport)
    viewport.show_result(replace(app.controller.result, compared_by="dense"), viewport.options)
    assert named != picture(viewport)
    app.window.viewport.look("side")
    assert len(viewport.names()) == 2


def brightest(widget: QWidget) -> int:
    image = widget.grab().toImage()
    return max(image.pixelColor(x, y).blue() for x in range(image.width()) for y in range(image.height()))


def test_a_switch_without_effect_does_not_look_switched_on(app: App, qtbot: Any) -> None:
    chip = app.window.panel.chips["skeleton"]
    chip.setChecked(True)
    switched_on = brightest(chip)
    chip.setEnabled(False)
    assert brightest(chip) < 0.6 * switched_on


def test_the_number_of_a_slider_without_effect_is_greyed_with_it(app: App) -> None:
    panel = app.window.panel
    in_force = brightest(panel.strength_value)
    app.controller.configure(smoothing=False)
    assert not panel.strength.isEnabled()
    assert brightest(panel.strength_value) < 0.8 * in_force


def test_trails_grow(app: App, qtbot: Any) -> None:
    app.controller.change_view(trails=True)
    qtbot.waitUntil(lambda: any(len(paths[0]) > 5 for paths in app.controller.history.trails().values()), timeout=60_000)


def test_mesh_styles_differ(app: App, qtbot: Any) -> None:
    paused(app, qtbot)
    seen = [picture(app.window.viewport)]
    for style in MESH_STYLES[1:]:
        app.controller.change_view(mesh_style=style)
        seen.append(picture(app.window.viewport))
        assert all(differs(earlier, seen[-1]) for earlier in seen[:-1]), style


def test_named_views_differ(app: App, qtbot: Any) -> None:
    paused(app, qtbot)
    seen = [picture(app.window.viewport)]
    for view in ("front", "side", "top", "camera"):
        app.window.look_buttons[view].click()
        seen.append(picture(app.window.viewport))
        assert all(differs(earlier, seen[-1]) for earlier in seen[:-1]), view


def test_orbit_by_mouse(app: App, qtbot: Any) -> None:
    paused(app, qtbot)
    viewport = app.window.viewport
    yaw, distance = viewport.orbit.yaw, viewport.orbit.distance
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=viewport.rect().center())
    qtbot.mouseMove(viewport, viewport.rect().center() + (viewport.rect().topLeft() - viewport.rect().center()) / 4)
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton)
    assert viewport.orbit.distance == distance
    assert abs(viewport.orbit.yaw - yaw) > 0.1
    app.commands.run("look:front")
    assert viewport.orbit.yaw == 0.0 != yaw
    app.commands.run("reset_view")
    assert viewport.orbit.yaw == pytest.approx(yaw)


@pytest.mark.parametrize("software", [True, False])
def test_the_processor_draws_half_the_pixels(app: App, qtbot: Any, monkeypatch: pytest.MonkeyPatch, software: bool) -> None:
    paused(app, qtbot)
    viewport, renderer = app.window.viewport, app.window.viewport.scene.renderer
    monkeypatch.setattr("handviz.app.viewport.renderer.drawn_in_software", lambda: software)
    renderer.close()
    viewport.refresh()
    assert renderer.software == software and renderer.size is not None
    width, height = renderer.size
    assert width * height == pytest.approx(viewport.width() * viewport.height() * (0.5 if software else 1.0), rel=0.01)
    colours = {picture(viewport).pixelColor(x, viewport.height() // 2).rgb() for x in range(viewport.width())}
    assert len(colours) > 10
    renderer.close()


def test_every_shortcut_runs(app: App, qtbot: Any) -> None:
    asks = {"open_file", "open_folder", "snapshot", "quit", "help", "save_preset", "record", "analyse"}
    for shortcut in SHORTCUTS:
        if shortcut.command not in asks:
            app.commands.run(shortcut.command)
    assert app.window.banner.words.text() == ""


def test_space_and_arrows(app: App, qtbot: Any) -> None:
    qtbot.keyClick(app.window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: app.window.status.shown_texts()[0] == "Paused", timeout=60_000)
    before = app.controller.result
    assert before is not None
    qtbot.keyClick(app.window, Qt.Key.Key_Right)
    qtbot.waitUntil(
        lambda: app.controller.result is not None and app.controller.result.frame.index == before.frame.index + 1, timeout=60_000
    )


def test_seek_bar_clicks_seek(app: App, qtbot: Any) -> None:
    bar = app.window.transport.seek_bar
    app.controller.playback.play_pause()
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.rect().center())
    middle = bar.frame_at(bar.rect().center().x())
    qtbot.waitUntil(lambda: app.controller.result is not None and app.controller.result.frame.index == middle, timeout=60_000)


def test_an_ampersand_in_a_file_s_name_is_shown(app: App, qtbot: Any) -> None:
    app.controller.open(SourceSpec(kind="video", path=Path("dark & dim.mp4")))
    qtbot.waitUntil(lambda: app.window.windowTitle().startswith("dark"), timeout=60_000)
    # A single & would vanish and underline the next letter.
    assert app.window.panel.source_button.text() == "dark && dim.mp4"


def test_controls_reach_the_session(app: App, factory: Any) -> None:
    panel = app.window.panel
    panel.model.max_hands.setValue(1)
    panel.smoothing.click()
    panel.model.fov.setValue(75)
    config = factory.made[-1].config
    assert (config.max_hands, config.smoothing, config.fov_deg) == (1, False, 75.0)


@pytest.mark.parametrize(
    ("given", "calibrated", "shown"), [(None, False, 42), (75.0, False, 75), (None, True, 42), (75.0, True, 42)]
)
def test_the_field_of_view_that_is_shown_is_the_one_in_force(app: App, given: float | None, calibrated: bool, shown: int) -> None:
    offer = Offer(contents=Contents(fov_deg=41.8, calibrated=calibrated))
    app.window.show_controls(resolve(Wish(config=SessionConfig(fov_deg=given)), offer).controls)
    fov = app.window.panel.model.fov
    assert fov.value() == shown and fov.isEnabled() != calibrated


def test_banner_shows_and_closes(app: App) -> None:
    app.controller.report("camera 0: no picture arrives. Plug it in again")
    assert app.window.banner.isVisible()
    app.window.banner.closed.emit()
    assert not app.window.banner.isVisible()


def test_drop_opens(app: App, qtbot: Any, tmp_path: Path, factory: Any) -> None:
    dropped = tmp_path / "new.mp4"
    dropped.write_bytes(b"")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(dropped))])
    event = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    app.window.dropEvent(event)
    qtbot.waitUntil(lambda: app.window.windowTitle().startswith("new.mp4"), timeout=60_000)
    assert factory.made[0].stopped


def test_both_themes_and_sizes(app: App, qtbot: Any) -> None:
    dark = picture(app.window)
    app.controller.switch_theme()
    light = picture(app.window)
    assert light.pixelColor(4, 4).lightness() > dark.pixelColor(4, 4).lightness() + 60
    app.window.resize(1440, 900)
    QApplication.processEvents()
    assert (app.window.width(), app.window.height()) == (1440, 900)
    app.window.resize(1024, 700)
    QApplication.processEvents()
    assert (app.window.width(), app.window.height()) == (1024, 700)
    panel = app.window.panel
    assert panel.widget().width() <= panel.viewport().width()


@pytest.mark.parametrize("screen", [QSize(1280, 680), QSize(1097, 577), QSize(960, 500)])
def test_all_of_the_window_is_on_a_small_screen(app: App, qtbot: Any, screen: QSize) -> None:
    window = app.window
    window.arrange(WindowLayout(width=2560, height=1400, upright=(1000, 300)))
    window.fit(screen)
    window.show_banner("camera 0: no picture arrives. Choose another source.")
    window.show_job(JobState(words="Writing hand.mp4", done=3, total=9))
    QApplication.processEvents()
    assert window.width() < screen.width() and window.height() < screen.height()
    body = window.centralWidget()
    for part in (window.transport, window.panel, window.plots, window.video, window.viewport):
        corner = part.mapTo(body, part.rect().bottomRight())
        assert body.rect().contains(corner), part
    assert window.fontMetrics().horizontalAdvance(TITLE) <= window.plots.width() - LEFT


def test_the_page_of_keys_scrolls_where_the_screen_is_small(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QScreen, "availableSize", lambda screen: QSize(960, 500))
    app.commands.run("help")
    QApplication.processEvents()
    (page,) = app.window.findChildren(HelpPage)
    assert page.width() <= 960 and page.height() <= 500
    (close,) = page.findChildren(QPushButton)
    assert page.rect().contains(close.mapTo(page, close.rect().bottomRight()))
    page.reject()


def test_scroll_bars_are_the_theme_s_either_way(app: App) -> None:
    area = QScrollArea(app.window)
    assert area.horizontalScrollBar().sizeHint().height() == area.verticalScrollBar().sizeHint().width() == 10


def test_the_panel_has_room_for_a_large_font(app: App) -> None:
    panel = app.window.panel
    font = app.window.font()
    font.setPointSizeF(1.6 * font.pointSizeF())
    panel.hide()
    panel.setFont(font)
    panel.show()
    QApplication.processEvents()
    assert panel.widget().width() <= panel.viewport().width()


def test_plots_fill(app: App, qtbot: Any) -> None:
    plots = app.window.plots
    qtbot.waitUntil(lambda: "estimate" in plots.latency.chart.series, timeout=60_000)
    for page in range(plots.tabs.count()):
        plots.tabs.setCurrentIndex(page)
        app.controller.plot_tick()
    plots.tabs.setCurrentWidget(plots.angles)
    index = plots.angles.chart.series["index"]
    qtbot.waitUntil(lambda: len(index.getData()[0]) > 3, timeout=60_000)
    x, y = index.getData()
    assert y.max() > 0
    assert "index" in plots.angles.chart.value_text(float(x[-1]), float(y[-1])) or y[-1] == 0
    plots.pause_button.click()
    assert plots.angles.chart.getViewBox().state["mouseEnabled"] == [True, True]
    app.controller.plot_tick()
    assert len(plots.angles.chart.series["index"].getData()[0]) == len(x)


def test_charts_side_by_side_are_drawn_one_after_the_other(app: App, qtbot: Any) -> None:
    plots = app.window.plots
    (rate,) = plots.rate.chart.series.values()
    qtbot.waitUntil(lambda: rate.getData()[0] is not None and len(rate.getData()[0]) > 3, timeout=60_000)
    qtbot.waitUntil(lambda: not plots._waiting, timeout=60_000)
    rate.setData([], [])
    app.controller.plot_tick()
    assert rate.getData()[0] is None or not len(rate.getData()[0])
    qtbot.waitUntil(lambda: rate.getData()[0] is not None and len(rate.getData()[0]) > 3, timeout=60_000)


def test_snapshot_image(app: App, qtbot: Any) -> None:
    image = app.window.video.snapshot()
    assert image is not None and (image.width(), image.height()) == (320, 240)


def test_help_lists_every_key(app: App) -> None:
    page = HelpPage(app.window)
    from PySide6.QtWidgets import QLabel

    text = " ".join(label.text() for label in page.findChildren(QLabel))
    assert all(f"<b>{native(s.key)}</b>" in text for s in SHORTCUTS if s.key.isalnum())
    page.deleteLater()


def test_closing_leaves_nothing(qtbot: Any, factory: Any) -> None:
    before = threading.active_count()
    made = App(Wish(source=VIDEO), factory)
    made.start()
    qtbot.waitUntil(lambda: made.controller.result is not None, timeout=60_000)
    made.window.close()
    made.window.deleteLater()
    QApplication.processEvents()
    assert all(session.stopped for session in factory.made)
    assert threading.active_count() <= before
    assert not [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]


@pytest.fixture
def exporting(
    app: App, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Callable[..., Any]
) -> Iterator[App]:
    """A window in which an export takes its time."""

    def analyse(*_: object) -> Iterator[Any]:
        for index in range(5000):
            yield results(index)
            time.sleep(0.2)

    monkeypatch.setattr("handviz.app.jobs.analyse", analyse)
    app.controller.works.export(tmp_path / "out.jsonl")
    job = lambda: app.controller.works.exporting  # noqa: E731
    qtbot.waitUntil(lambda: (now := job()) is not None and now.done > 0, timeout=20_000)
    yield app
    app.quitting.close()


def test_closing_during_an_export_asks_first(
    exporting: App, qtbot: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = exporting.window
    for answer, stays in ((GO_ON, True), (QUIT, False)):
        for _ in range(2):
            assert not window.close() and window.isVisible()
        (box,) = [box for box in window.findChildren(QMessageBox) if box.isVisible()]
        assert box.defaultButton().text() == GO_ON and "Writing out.jsonl is under way" in box.text()
        next(button for button in box.buttons() if button.text() == answer).click()
        qtbot.waitUntil(lambda stays=stays, box=box: not shiboken6.isValid(box) and window.isVisible() == stays, timeout=20_000)
        assert (exporting.controller.works.exporting is not None) == stays
    assert told_of(tmp_path / "out.jsonl", capsys)


def test_closing_asks_nothing_once_the_export_was_told_to_stop(
    exporting: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exporting.controller.works.cancel()
    assert exporting.window.job_strip.words.text() == "Writing out.jsonl: stopping…"
    assert exporting.window.close() and not exporting.window.findChildren(QMessageBox)
    assert told_of(tmp_path / "out.jsonl", capsys)


def told_of(path: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether one line on standard error says how many frames a file holds."""
    count = len(path.read_text().splitlines())
    told = capsys.readouterr().err
    return told == f"handviz: Writing was stopped: {path} holds the first {count} of 50 frames.\n" and count > 0


def test_the_end_of_its_time_closes_a_window_without_a_question(
    exporting: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exporting.quitting.close()
    assert not exporting.window.isVisible() and not exporting.window.findChildren(QMessageBox)
    assert told_of(tmp_path / "out.jsonl", capsys)


def test_without_a_source_the_scene_has_its_floor(qtbot: Any, factory: Any) -> None:
    made = App(Wish(), factory)
    made.start()
    qtbot.waitUntil(lambda: not made.window.viewport.resizing, timeout=60_000)
    scene = picture(made.window.viewport)
    assert len({scene.pixelColor(x, y).rgb() for x in range(0, scene.width(), 3) for y in range(0, scene.height(), 3)}) > 10
    made.window.close()
    made.window.deleteLater()


def test_without_opengl_the_rest_goes_on(qtbot: Any, factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from handviz.app.viewport.renderer import Renderer

    monkeypatch.setattr(Renderer, "open", lambda self, width, height: False)
    made = App(Wish(source=VIDEO), factory)
    made.start()
    qtbot.waitUntil(lambda: made.controller.result is not None, timeout=60_000)
    assert "OpenGL" in (made.window.viewport.problem or "")
    assert made.window.video.snapshot() is not None
    made.window.close()
    made.window.deleteLater()
