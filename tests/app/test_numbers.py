"""Plotted numbers, history, state and small painting helpers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QRectF

from handviz.app.chart import stands_alone
from handviz.app.heat_choice import ALL, chosen_joints, heat_choices
from handviz.app.heat_view import crop_corners, heat_picture
from handviz.app.history import COLUMNS, MOST_TRACKS, History
from handviz.app.measures import difference_mm, finger_bend_deg, flexion_deg, pinch_mm, tip_speeds
from handviz.app.resolve import resolve
from handviz.app.seek_bar import curve_columns, time_code
from handviz.app.shortcuts import SHORTCUTS
from handviz.app.state import Offer, Transport, Wish, compared_mm, contents_of
from handviz.app.status import status_items
from handviz.app.transport_bar import clock_text
from handviz.app.video_view import halves
from handviz.app.view_options import TOGGLES, ViewOptions
from handviz.capture.base import SourceSpec
from handviz.crop import CropWindow, cut_crop
from handviz.geometry.camera import camera_from_fov
from handviz.hand.palette import joint_colours
from handviz.hand.skeleton import FINGERS
from handviz.pipeline.auto import BEST_FIRST
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.estimators import RunningModel
from handviz.pipeline.stats import SessionStats

CAMERA = camera_from_fov(320, 240)
CAMERA_SOURCE = SourceSpec(kind="camera", camera=0)


def bent(angle: float) -> np.ndarray:
    """A hand whose index finger bends by one angle at its middle joint."""
    joints = np.zeros((21, 3))
    for finger in range(5):
        joints[1 + 4 * finger : 5 + 4 * finger, 1] = -np.arange(1, 5)
        joints[1 + 4 * finger : 5 + 4 * finger, 0] = 0.0
    direction = np.array([0, -np.cos(angle), -np.sin(angle)])
    for part in (7, 8):
        joints[part] = joints[part - 1] + direction
    return joints


def test_flexion_of_a_known_bend() -> None:
    degrees = flexion_deg(bent(np.radians(40)))
    assert degrees.shape == (5, 3)
    expected = np.zeros((5, 3))
    expected[FINGERS.index("index"), 1] = 40
    np.testing.assert_allclose(degrees, expected, atol=1e-5)
    assert finger_bend_deg(bent(0.5))[1] == pytest.approx(np.degrees(0.5))


def test_speed_pinch_difference() -> None:
    first, second = bent(0.0), bent(0.0) + [0.3, 0.0, 0.4]
    np.testing.assert_allclose(tip_speeds(first, second, 0.25), 2.0)
    assert np.isnan(tip_speeds(first, second, 0.0)).all()
    assert pinch_mm(first) == pytest.approx(0.0)
    assert difference_mm(first, second) == pytest.approx(0.0)
    lifted = first.copy()
    lifted[8] += [0.021, 0, 0]
    assert difference_mm(first, lifted) == pytest.approx(1.0)


def test_history_keeps_rows_and_forgets_on_a_jump(results: Any, tmp_path: Path) -> None:
    history = History()
    for index in range(5):
        history.add(results(index))
    table = history.table()
    assert table.shape == (5, len(COLUMNS))
    assert np.isnan(table[0, COLUMNS.index("index_tip_m_per_s")]) and table[1, COLUMNS.index("index_tip_m_per_s")] > 0
    assert len(history.trails()[1]) == 5 and history.trails()[1][0].shape == (5, 2)
    history.add(results(2))
    assert len(history.table()) == 1
    history.clear()
    assert history.table().shape == (0, len(COLUMNS)) and history.trails() == {}


def test_history_of_two_hands(results: Any, hands: Any, tmp_path: Path) -> None:
    history = History()
    for index in range(3):
        both = (hands(index), hands(index, track=2, place=(0.2, 0.0, 0.6)))
        history.add(results(index, both))
    assert set(history.trails()) == {1, 2}
    history.write_csv(tmp_path / "both.csv")
    assert len((tmp_path / "both.csv").read_text().splitlines()) == 7


def test_history_of_hands_that_come_and_go_stays_small(results: Any, hands: Any) -> None:
    history = History()
    for index in range(200):
        # One hand stays, another appears as a new one in every other frame.
        history.add(results(index, (hands(index), hands(index, track=10 + index // 2))))
    assert len(history.hands) == MOST_TRACKS and len(history.hands[1].rows) == 200
    assert sorted(history.hands) == [1, *range(110 - MOST_TRACKS + 1, 110)]


def test_time_codes() -> None:
    assert time_code(0, 25) == "0:00.000"
    assert time_code(1234, 25) == "0:49.360"
    assert time_code(25 * 3700, 25) == "1:01:40.000"
    assert time_code(7, 0) == "7"


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        (Transport(), "–"),
        (Transport(enabled=True, position=9), "live  ·  frame 9"),
        (Transport(enabled=True, position=2, frame_count=5), "3 of 5"),
        (Transport(enabled=True, position=30, frame_count=61, fps=30.0), "0:01.000 / 0:02.000  ·  30/60"),
    ],
)
def test_clock(transport: Transport, words: str) -> None:
    assert clock_text(transport) == words


def test_curve_is_thinned_to_means_and_gaps_stay() -> None:
    curve = np.array([0.0, 1.0, np.nan, np.nan, 0.5, np.nan])
    np.testing.assert_allclose(curve_columns(curve, 3), [0.5, np.nan, 0.5])


def test_halves_show_pictures_as_large_as_can_be() -> None:
    left, right = halves(QRectF(0, 0, 1000, 300), 4 / 3)
    assert left.right() == right.left() == 500
    top, bottom = halves(QRectF(0, 0, 500, 900), 4 / 3)
    assert top.bottom() == bottom.top() == 450


def heated_hand(hands: Any, side: str, joints: tuple[int, ...]) -> Any:
    """A hand whose crop lies around (150, 110); each joint's map has one hot cell below the centre, one further per joint."""
    crop = cut_crop(np.zeros((240, 320, 3), np.uint8), CAMERA, CropWindow(u=150, v=110, side=80), side, 64)  # type: ignore[arg-type]
    heatmaps = np.zeros((21, 16, 16), np.float32)
    for place, joint in enumerate(joints):
        heatmaps[joint, 8, 9 + 2 * place] = 1.0
    return replace(hands(0), crop=crop, heatmaps=heatmaps)


def hottest(picture: np.ndarray) -> tuple[float, float]:
    v, u = np.unravel_index(int(picture[..., 3].argmax()), picture.shape[:2])
    return float(u), float(v)


@pytest.mark.parametrize(("side", "u"), [("right", 157.5), ("left", 142.5)])
def test_heatmap_lands_on_its_joint(hands: Any, side: str, u: float) -> None:
    # Cell (8, 9) is 6 crop pixels right of the crop's centre, 7.5 of the picture; a left hand's crop shows it mirrored.
    picture = heat_picture(heated_hand(hands, side, (8,)), (320, 240), (8,), joint_colours(None))
    found = hottest(picture)
    assert abs(found[0] - u) < 2 and abs(found[1] - 112.5) < 2


def test_heatmaps_of_one_joint_are_of_no_other(hands: Any) -> None:
    hand = heated_hand(hands, "right", (4, 8))
    first, second = (heat_picture(hand, (320, 240), (joint,), joint_colours(None)) for joint in (4, 8))
    both = heat_picture(hand, (320, 240), (4, 8), joint_colours(None))
    assert hottest(second)[0] - hottest(first)[0] == pytest.approx(10, abs=2)
    assert (both[..., 3] > 100).sum() > 1.5 * (first[..., 3] > 100).sum()


def test_crop_corners_frame_the_window() -> None:
    crop = cut_crop(np.zeros((240, 320, 3), np.uint8), CAMERA, CropWindow(u=150, v=110, side=80), "left", 64)
    corners = crop_corners(crop)
    np.testing.assert_allclose(corners.mean(0), [150, 110], atol=1)
    np.testing.assert_allclose(np.ptp(corners, axis=0), [80, 80], atol=2)


def test_choices_of_heatmaps() -> None:
    groups = np.array([0] * 5 + [2] * 16)
    values = [value for value, _ in heat_choices((0, 2))]
    assert len(set(values)) == 1 + 2 + 21 and "group 1" not in values
    assert all(chosen_joints(value, groups) for value in values)
    assert chosen_joints("group 0", groups) == (0, 1, 2, 3, 4) and chosen_joints("index_tip", None) == (8,)
    everything = tuple(range(21))
    # No joint has group 1, no network here has group 7, and a settings file may hold anything.
    assert all(chosen_joints(text, groups) == everything for text in (ALL, "group 1", "group 7", "group", "0", "elbow"))


def test_a_comparison_is_named_after_who_made_it(hands: Any, results: Any, factory: Any) -> None:
    """The name is that of the result's estimator: one chosen since may still be loading."""
    result = replace(results(0), compared=(hands(0, mesh=False),), compared_by="mediapipe")
    session = factory(SourceSpec(kind="video", path=Path("hand.mp4")), SessionConfig())
    session.start()
    offer = Offer(session=session.state(), contents=contents_of(result))
    texts = [item.text for item in status_items(Wish(config=SessionConfig(compare_with="dense")), offer)]
    assert "mediapipe differs by 0.0 mm" in texts


def test_toggles_and_keys_are_all_different() -> None:
    names = [toggle.name for toggle in TOGGLES]
    assert len(set(names)) == len(names) and all(hasattr(ViewOptions(), name) for name in names)
    keys = [shortcut.key for shortcut in SHORTCUTS]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("chosen", "running", "offered"),
    [
        ("groups", None, True),
        ("dense", "dense", True),
        ("fit", "fit", False),
        ("mediapipe", None, False),
        ("auto", None, True),
        ("auto", "groups", True),
        ("auto", "mediapipe", False),
    ],
)
def test_heatmaps_are_offered_where_the_estimator_has_some(chosen: str, running: str | None, offered: bool) -> None:
    model = None if running is None else RunningModel(estimator=running, device="cpu")
    shown = resolve(Wish(config=SessionConfig(estimator=chosen)), Offer(running=model))
    assert ("heatmaps" in shown.toggles) == offered


def test_difference_pairs_by_track(results: Any, hands: Any) -> None:
    result = results(0, (hands(0), hands(0, track=2)))
    assert compared_mm(result) is None
    other = hands(0, track=2)
    joints = other.joints.joints_camera_m.copy()
    joints[8, 0] += 0.021
    moved_hand = replace(other, joints=replace(other.joints, joints_camera_m=joints))
    assert compared_mm(replace(result, compared=(moved_hand,))) == pytest.approx(1.0)
    lost = replace(hands(0), joints=replace(hands(0).joints, joints_camera_m=np.full((21, 3), np.nan)))
    assert compared_mm(replace(result, compared=(moved_hand, lost))) == pytest.approx(1.0)
    assert compared_mm(replace(result, compared=(lost,))) is None


def test_a_value_without_neighbours_stands_alone() -> None:
    nan = np.nan
    assert stands_alone(np.array([1.0, nan, 2.0, 3.0, nan, 4.0])).tolist() == [True, False, False, False, False, True]
    assert stands_alone(np.array([7.0])).tolist() == [True]
    assert stands_alone(np.zeros(0)).tolist() == []


def test_a_frame_that_is_analysed_again_stays_one_row(results: Any, hands: Any) -> None:
    history, plain = History(), History()
    for index in range(4):
        history.add(results(index))
        plain.add(results(index))
    for _ in range(3):
        history.add(results(3, (hands(9),)))
    history.add(results(3))
    np.testing.assert_allclose(history.table(), plain.table())
    assert len(history.trails()[1][0]) == 4


def test_a_picture_has_no_pace(factory: Any) -> None:
    session = factory(SourceSpec(kind="image", path=Path("hand.jpg")), SessionConfig())
    session.start()
    session.change(fps_nominal=0.0, frame_count=1, ended=True, position=0)
    texts = [item.text for item in status_items(Wish(), Offer(session=session.state()))]
    assert texts[0] == "Picture" and not any("fps" in text or "results/s" in text or "dropped" in text for text in texts)


def loading(factory: Any, **changes: Any) -> list[str]:
    session = factory(SourceSpec(kind="video", path=Path("hand.mp4")), SessionConfig())
    session.start()
    session.change(ready=False)
    offer = Offer(session=replace(session.state(), **changes), stats=SessionStats(device="auto", age_ms_p50=1112.0, rss_mb=856.0))
    return [item.text for item in status_items(Wish(config=SessionConfig(estimator="auto")), offer)]


def test_an_estimator_that_is_made_ready_is_named_and_nothing_is_said_to_play(factory: Any) -> None:
    texts = loading(factory)
    assert texts[0] == "Loading" and f"loading {BEST_FIRST[0]}" in texts
    assert "Playing" not in texts and not any("auto" in text for text in texts)
    assert loading(factory, error="no weights are here")[0] == "Playing"


def test_nothing_is_said_of_a_rate_before_an_estimator_is_there(factory: Any) -> None:
    for error in (None, "no weights are here"):
        assert not any("results/s" in text or "dropped" in text for text in loading(factory, error=error))
    ready = loading(factory, ready=True)
    assert "0 results/s" in ready and "0 dropped" in ready


@pytest.mark.parametrize(("by", "words"), [("", []), ("groups-fit", ["no hand"])])
def test_no_hand_is_said_only_where_an_estimator_looked(factory: Any, results: Any, by: str, words: list[str]) -> None:
    """A camera's pictures are shown before the first estimator is there."""
    session = factory(CAMERA_SOURCE, SessionConfig())
    session.start()
    offer = Offer(session=session.state(), contents=contents_of(replace(results(0, ()), estimator=by)))
    texts = [item.text for item in status_items(Wish(), offer)]
    assert [text for text in texts if text.endswith(("hand", "hands"))] == words


def test_numbers_in_the_status_line_have_words(factory: Any) -> None:
    texts = loading(factory)
    assert "1112 ms old" in texts and "memory 856 MB" in texts
