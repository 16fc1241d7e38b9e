"""The window by keyboard: a control that has the focus has its own keys, everything else is the window's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QSlider,
    QSpinBox,
    QStyle,
    QStyleOptionSpinBox,
    QWidget,
)

from handviz.app.application import App
from handviz.app.keyboard import name_in
from handviz.app.resolve import resolve
from handviz.app.state import Contents, Offer, Wish
from handviz.capture.base import SourceSpec
from handviz.geometry.camera import DEFAULT_FOV_DEG

pytestmark = pytest.mark.gui
Key = Qt.Key


@pytest.fixture
def app(open_app: Callable[..., App], qtbot: Any) -> App:
    made = open_app(Wish(source=SourceSpec(kind="video", path=Path("hand.mp4"))))
    made.controller.playback.play_pause()
    made.controller.playback.seek(12)
    qtbot.waitUntil(lambda: position(made) == 12 and made.window.transport.next.isEnabled(), timeout=60_000)
    return made


def position(app: App) -> int:
    assert app.controller.session is not None
    return app.controller.session.state().position


def playing(app: App) -> bool:
    assert app.controller.session is not None
    return app.controller.session.state().playing


def focused(app: App, control: QWidget) -> QWidget:
    control.setFocus(Qt.FocusReason.TabFocusReason)
    assert app.window.focusWidget() is control
    return control


def test_space_presses_the_button_that_has_the_focus(app: App, qtbot: Any) -> None:
    panel = app.window.panel
    for control, state in (
        (panel.smoothing, lambda: app.controller.wish.config.smoothing),
        (panel.chips["grid"], lambda: app.controller.wish.view.grid),
        (app.window.transport.loop, lambda: app.controller.session.state().loop),
    ):
        before = state()
        qtbot.keyClick(focused(app, control), Key.Key_Space)
        assert state() != before and not playing(app)


def test_arrows_move_the_slider_and_the_choice_that_have_the_focus(app: App, qtbot: Any) -> None:
    panel, speed = app.window.panel, app.window.transport.speed
    qtbot.keyClick(focused(app, panel.strength), Key.Key_Right)
    assert app.controller.wish.config.smoothing_strength == pytest.approx(0.51)
    qtbot.keyClick(focused(app, panel.strength), Key.Key_Home)
    assert app.controller.wish.config.smoothing_strength == 0.0
    chosen = speed.currentIndex()
    qtbot.keyClick(focused(app, speed), Key.Key_Down)
    assert speed.currentIndex() == chosen + 1
    tabs = app.window.plots.tabs
    qtbot.keyClick(focused(app, tabs.tabBar()), Key.Key_Right)
    assert tabs.currentIndex() == 1
    assert position(app) == 12 and not playing(app)


def test_arrows_go_from_button_to_button(app: App, qtbot: Any) -> None:
    qtbot.keyClick(focused(app, app.window.transport.play), Key.Key_Right)
    assert app.window.focusWidget() is app.window.transport.next and position(app) == 12


def test_other_keys_stay_the_window_s(app: App, qtbot: Any) -> None:
    strength = focused(app, app.window.panel.strength)
    qtbot.keyClick(strength, Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert position(app) == 22
    qtbot.keyClick(strength, Key.Key_X)
    assert not app.controller.wish.config.smoothing
    qtbot.keyClick(strength, Key.Key_Space)
    assert playing(app)


def test_a_click_leaves_space_to_the_player(app: App, qtbot: Any) -> None:
    window = app.window
    assert window.focusWidget() is window.centralWidget(), "no control has it at the start"
    for control in (window.transport.loop, window.panel.smoothing, window.panel.strength):
        focused(app, window.panel.chips["boxes"])
        qtbot.mouseClick(control, Qt.MouseButton.LeftButton, pos=control.rect().center())
        assert window.focusWidget() is window.centralWidget()
    qtbot.keyClick(window.focusWidget(), Key.Key_Space)
    assert playing(app)


def click_plus(spin: QSpinBox) -> None:
    option = QStyleOptionSpinBox()
    spin.initStyleOption(option)
    control, part = QStyle.ComplexControl.CC_SpinBox, QStyle.SubControl.SC_SpinBoxUp
    place = spin.style().subControlRect(control, option, part, spin).center()
    QTest.mouseClick(spin, Qt.MouseButton.LeftButton, pos=place)


def test_a_click_on_plus_leaves_the_keys_to_the_window(app: App, qtbot: Any) -> None:
    window = app.window
    window.plots.tabs.setCurrentWidget(window.plots.refinement)
    for spin in (window.panel.model.max_hands, window.panel.model.fov, window.plots.refinement.steps):
        spin.setEnabled(True)
        spin.setValue(spin.minimum())
        click_plus(spin)
        assert spin.value() == spin.minimum() + 1
        assert window.focusWidget() is window.centralWidget()
    qtbot.keyClick(window.focusWidget(), Key.Key_Right)
    assert position(app) == 13
    qtbot.keyClick(window.focusWidget(), Key.Key_Space)
    assert playing(app)


def test_a_number_is_typed_and_what_is_no_part_of_one_stays_the_window_s(app: App, qtbot: Any) -> None:
    fov, loop = app.window.panel.model.fov, app.window.transport.loop
    QTest.mouseClick(fov.lineEdit(), Qt.MouseButton.LeftButton)
    assert app.window.focusWidget() is fov
    fov.selectAll()
    qtbot.keyClicks(fov, "75")
    qtbot.keyClick(fov, Key.Key_Space)
    assert playing(app)
    qtbot.keyClick(fov, Key.Key_R)
    assert app.controller.session.state().loop and loop.isChecked()
    qtbot.keyClick(fov, Key.Key_Q)
    assert fov.cleanText() == "75", "nor does a key that is no shortcut come into it"
    qtbot.keyClick(fov, Key.Key_Backspace)
    qtbot.keyClick(fov, Key.Key_2)
    qtbot.keyClick(fov, Key.Key_Return)
    assert app.controller.wish.config.fov_deg == 72.0
    qtbot.keyClick(fov, Key.Key_Up)
    assert app.controller.wish.config.fov_deg == 73.0


@pytest.mark.parametrize("left_by", ["Return", "a click elsewhere"])
def test_a_field_of_view_is_given_up_by_emptying_its_field(app: App, qtbot: Any, left_by: str) -> None:
    fov, wish = app.window.panel.model.fov, lambda: app.controller.wish
    assert fov.text() == "auto: 60°"
    QTest.mouseClick(fov.lineEdit(), Qt.MouseButton.LeftButton)
    fov.selectAll()
    qtbot.keyClicks(fov, "75")
    qtbot.keyClick(fov, Key.Key_Return)
    assert wish().config.fov_deg == 75.0 and fov.text() == "75°"
    fov.selectAll()
    qtbot.keyClick(fov, Key.Key_Backspace)
    assert wish().config.fov_deg == 75.0, "another may be typed"
    if left_by == "Return":
        qtbot.keyClick(fov, Key.Key_Return)
    else:
        app.window.centralWidget().setFocus()
    assert wish().config.fov_deg is None and fov.text() == "auto: 60°"
    click_plus(fov)
    assert wish().config.fov_deg == 61.0 and fov.text() == "61°"


def test_an_emptied_number_that_must_be_given_is_put_back(app: App, qtbot: Any) -> None:
    hands = app.window.panel.model.max_hands
    QTest.mouseClick(hands.lineEdit(), Qt.MouseButton.LeftButton)
    hands.selectAll()
    qtbot.keyClick(hands, Key.Key_Backspace)
    qtbot.keyClick(hands, Key.Key_Return)
    assert hands.text() == "2" and app.controller.wish.config.max_hands == 2


@pytest.mark.parametrize(("keys", "kept"), [("75", 75), ("", 41)])
def test_what_is_typed_is_not_lost_as_other_pictures_come(app: App, qtbot: Any, keys: str, kept: int) -> None:
    controls = resolve(app.controller.wish, Offer(contents=Contents(fov_deg=60.0))).controls
    fov, hands = app.window.panel.model.fov, app.window.panel.model.max_hands
    app.window.show_controls(controls)
    QTest.mouseClick(fov.lineEdit(), Qt.MouseButton.LeftButton)
    fov.selectAll()
    qtbot.keyClick(fov, Key.Key_Backspace)
    qtbot.keyClicks(fov, keys)
    for degrees in (60.0, 50.0, 41.0):
        app.window.show_controls(replace(controls, fov_deg=degrees, config=replace(controls.config, max_hands=4)))
        assert fov.cleanText() == keys and hands.value() == 4
    app.window.centralWidget().setFocus()
    assert fov.value() == kept


@pytest.mark.parametrize("checked", [False, True])
def test_the_focus_can_be_seen(app: App, checked: bool) -> None:
    app.window.activateWindow()
    for control in (app.window.panel.chips["boxes"], app.window.transport.loop):
        control.setChecked(checked)
        app.window.centralWidget().setFocus()
        before = control.grab().toImage()
        assert before != focused(app, control).grab().toImage()


def turn_wheel(control: QWidget) -> None:
    """One notch towards the user, with the pointer over the control."""
    window = control.window()
    QTest.wheelEvent(window.windowHandle(), QPointF(control.mapTo(window, control.rect().center())), QPoint(0, -120))
    QApplication.processEvents()


def test_the_wheel_scrolls_and_changes_only_what_has_the_focus(app: App) -> None:
    window, panel = app.window, app.window.panel
    window.resize(1024, 700)
    QApplication.processEvents()
    assert panel.verticalScrollBar().maximum() > 0
    before = app.controller.wish.config
    for control in (panel.model.max_hands, panel.model.fov, panel.model.estimator, panel.strength):
        panel.verticalScrollBar().setValue(0)
        turn_wheel(control)
        assert app.controller.wish.config == before and panel.verticalScrollBar().value() > 0
    turn_wheel(focused(app, panel.model.fov))
    assert before.fov_deg is None and app.controller.wish.config.fov_deg == DEFAULT_FOV_DEG - 1


def test_every_control_has_a_name(app: App) -> None:
    window = app.window
    labelled = {label.buddy() for label in window.findChildren(QLabel)}
    controls = [
        control
        for control in window.findChildren(QWidget)
        if isinstance(control, (QAbstractButton, QComboBox, QSlider, QAbstractSpinBox))
        and not control.objectName().startswith("qt_")  # Qt's own
    ]
    assert len(controls) > 40
    for control in controls:
        text = control.text() if isinstance(control, QAbstractButton) else ""
        assert text or control.accessibleName() or control in labelled, control.toolTip()
    assert window.transport.play.accessibleName() == "Play or pause"


@pytest.mark.parametrize(
    ("tip", "name"),
    [
        ("Start of the range: this frame ([)", "Start of the range"),
        ("How strongly to smooth", "How strongly to smooth"),
        ("Stop; what is done so far is kept", "Stop"),
        ("Open a camera or a video (Ctrl+O). Files can be dropped", "Open a camera or a video"),
    ],
)
def test_names_are_what_tips_begin_with(tip: str, name: str) -> None:
    assert name_in(tip) == name


@pytest.mark.parametrize("command", ["hand_size", "camera_settings", "calibrate"])
def test_dialogs_are_named_and_keep_the_wheel_from_what_has_no_focus(
    open_app: Callable[..., App], qtbot: Any, command: str
) -> None:
    app = open_app(Wish(source=SourceSpec(kind="camera", camera=0)))
    qtbot.waitUntil(lambda: app.controller.result is not None, timeout=60_000)
    app.commands.run(command)
    (dialog,) = app.window.findChildren(QDialog)
    labelled = {label.buddy() for label in dialog.findChildren(QLabel)}
    for control in dialog.findChildren(QWidget):
        if isinstance(control, (QComboBox, QSlider, QAbstractSpinBox)):
            assert control.accessibleName() or control in labelled
        if isinstance(control, QComboBox):
            dialog.setFocus()
            before = control.currentIndex()
            turn_wheel(control)
            assert control.currentIndex() == before
    dialog.reject()
