"""How large the user's hand is: measured at a known distance, typed, kept, and said in the status line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication, QLabel

from handviz.app.application import App
from handviz.app.hand_dialog import HELD, NO_PICTURE, HandDialog
from handviz.app.hand_measure import ENOUGH_LOOKS, HandMeasure, facing, palm_at
from handviz.app.settings import Settings, load, save, settings_path
from handviz.app.state import Wish
from handviz.arguments import HAND_SIZE_M
from handviz.capture.base import SourceSpec
from handviz.hand.skeleton import palm_length
from handviz.records import FrameResult, HandEstimate

CAMERA = SourceSpec(kind="camera", camera=0)
Hands = Callable[..., HandEstimate]


def flat(hands: Hands, scale: float = 1.0) -> HandEstimate:
    """The stand-in's open hand, flat to the camera; ``scale`` makes it larger and further away, so that it looks the same."""
    hand = hands(0)
    return replace(hand, joints=replace(hand.joints, joints_camera_m=hand.joints.joints_camera_m * scale))


def look(results: Any, index: int, *shown: HandEstimate) -> FrameResult:
    return results(index, shown)


def turned(hand: HandEstimate, degrees: float) -> HandEstimate:
    """The hand turned about its own upright axis."""
    joints = hand.joints.joints_camera_m
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    R = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    middle = joints.mean(0)
    return replace(hand, joints=replace(hand.joints, joints_camera_m=(joints - middle) @ R.T + middle))


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_palm_follows_from_the_distance_whatever_size_was_estimated(results: Any, hands: Hands, scale: float) -> None:
    true = flat(hands).joints.joints_camera_m
    distance_m = float(np.linalg.norm((true[0] + true[9]) / 2))
    assert palm_at(true * scale, distance_m) == pytest.approx(float(palm_length(true)))
    measure = HandMeasure(distance_m)
    for index in range(60):
        measure.add(look(results, index, flat(hands, scale)))
    assert measure.palm_m == pytest.approx(float(palm_length(true))) and measure.progress == 1.0


def test_looks_must_last_and_a_repeated_one_counts_once(results: Any, hands: Hands) -> None:
    measure = HandMeasure(0.5)
    for _ in range(5 * ENOUGH_LOOKS):
        measure.add(look(results, 3, flat(hands)))
    assert measure.palm_m is None and measure.progress < 0.1


def test_says_what_to_do(results: Any, hands: Hands) -> None:
    open_hand = flat(hands)
    fist = hands(16)
    for shown, words in (
        ((), "Show one hand"),
        ((open_hand, hands(0, track=2)), "one hand only"),
        ((fist,), "Straighten your fingers"),
        ((turned(open_hand, 60),), "Turn your palm"),
        ((open_hand,), "keep it there"),
    ):
        measure = HandMeasure(0.5)
        measure.add(look(results, 0, *shown))
        assert words in measure.words


def test_a_hand_that_moves_or_can_not_be_is_not_taken(results: Any, hands: Hands) -> None:
    moving, far = HandMeasure(0.5), HandMeasure(2.0)
    for index in range(100):
        moving.add(look(results, index, flat(hands, 1.0 + 0.2 * np.sin(index)) if index % 2 else hands(0, place=(0, 0.05, 0.4))))
        far.add(look(results, index, flat(hands)))
    assert moving.palm_m is None and "still" in moving.words
    assert far.palm_m is None and "Is the distance right?" in far.words


def test_facing(hands: Hands) -> None:
    open_hand = flat(hands)
    assert facing(open_hand.joints.joints_camera_m) > 0.95
    assert facing(turned(open_hand, 80).joints.joints_camera_m) < 0.4


@pytest.fixture
def app(open_app: Callable[..., App]) -> App:
    return open_app(Wish(source=CAMERA))


def dialog_of(app: App) -> HandDialog:
    app.window.panel.model.hand_size.click()
    (dialog,) = (child for child in app.window.findChildren(HandDialog) if child.isVisible())
    return dialog


@pytest.mark.gui
def test_typed_length_is_used_kept_and_forgotten(app: App, qtbot: Any) -> None:
    dialog = dialog_of(app)
    dialog.palm.setValue(101)
    dialog.use_button.click()
    assert app.controller.wish.config.hand_scale_m == pytest.approx(0.101)
    assert app.window.panel.model.hand_size.text() == "101 mm palm…"
    save(Settings(wish=app.controller.wish), settings_path())
    assert load(settings_path()).wish.config.hand_scale_m == pytest.approx(0.101)
    again = dialog_of(app)
    assert again.palm.value() == 101
    again.forget_button.click()
    assert app.controller.wish.config.hand_scale_m is None
    assert app.window.panel.model.hand_size.text() == "not given…"


@pytest.mark.gui
def test_measured_length_is_filled_in(app: App, qtbot: Any, results: Any, hands: Hands) -> None:
    true = flat(hands).joints.joints_camera_m
    number = iter(range(1000))
    dialog = HandDialog(app.window, None, lambda: look(results, next(number), flat(hands)))
    chosen: list[float | None] = []
    dialog.chosen.connect(chosen.append)
    dialog.distance.setValue(100 * float(np.linalg.norm((true[0] + true[9]) / 2)))
    dialog.start_button.click()
    qtbot.waitUntil(lambda: dialog.bar.value() == dialog.bar.maximum(), timeout=60_000)
    # The distance is taken in whole centimetres, the palm in whole millimetres.
    assert dialog.palm.value() == pytest.approx(1e3 * float(palm_length(true)), abs=2)
    assert "measurements" in dialog.words.text()
    dialog.use_button.click()
    assert chosen == [pytest.approx(dialog.palm.value() / 1e3)]
    dialog.deleteLater()


@pytest.mark.gui
def test_without_a_picture_it_says_so(app: App) -> None:
    dialog = HandDialog(app.window, None, lambda: None)
    dialog.start_button.click()
    assert dialog.words.text() == NO_PICTURE
    dialog.close()
    dialog.deleteLater()


@pytest.mark.gui
@pytest.mark.parametrize("palm_m", HAND_SIZE_M)
def test_a_size_that_the_command_line_takes_stays_what_it_is(app: App, palm_m: float) -> None:
    dialog, chosen = HandDialog(app.window, palm_m, lambda: None), []
    dialog.chosen.connect(chosen.append)
    dialog.use_button.click()
    assert chosen == [pytest.approx(palm_m)]
    dialog.deleteLater()


@pytest.mark.gui
def test_words_have_room_once_it_measures(app: App) -> None:
    dialog = dialog_of(app)
    dialog.start_button.click()
    QApplication.processEvents()
    for label in (label for label in dialog.findChildren(QLabel) if label.wordWrap()):
        assert label.height() >= label.heightForWidth(label.width()) - 1
    dialog.close()


@pytest.mark.gui
def test_a_held_picture_is_not_measured_for_ever(app: App) -> None:
    app.controller.playback.play_pause()
    dialog = dialog_of(app)
    dialog.start_button.click()
    assert dialog.words.text() == HELD
    dialog.close()


@pytest.mark.gui
def test_the_status_line_says_whose_size_is_in_force(app: App, qtbot: Any) -> None:
    app.controller.configure(hand_scale_m=0.094)
    result = app.controller.result
    assert result is not None
    own = tuple(replace(hand, joints=replace(hand.joints, scale_source="user")) for hand in result.hands)
    app.controller.playback.play_pause()
    app.controller.result = replace(result, hands=own)
    app.controller.refresh()
    assert any("scale from your hand (94 mm)" in text for text in app.window.status.shown_texts())
