"""What is saved of the picture: what the screen shows, un-mirrored, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage, QPainter

from handviz.app.colours import DARK
from handviz.app.overlay import MASK_COLOUR, OverlayContext, paint_hands
from handviz.app.picture import drawing, painted
from handviz.app.video_view import VideoView
from handviz.app.view_options import ViewOptions
from handviz.crop import CropWindow, cut_crop
from handviz.geometry.camera import camera_from_fov
from handviz.records import FrameResult

pytestmark = pytest.mark.gui

SIZE = (320, 240)
BARE = ViewOptions(skeleton=False, boxes=False)
VIEWS = ("skeleton", "boxes", "heatmaps", "features", "seen_mask", "mesh_overlay", "mask", "trails")
TRAILS = {1: [np.array([[20.0 + 9 * finger, 30], [60.0 + 9 * finger, 90]]) for finger in range(5)]}


@pytest.fixture
def result(hands: Any, results: Any) -> FrameResult:
    """A result that has everything there is to show."""
    crop = cut_crop(np.zeros((240, 320, 3), np.uint8), camera_from_fov(*SIZE), CropWindow(u=160, v=130, side=110), "right", 64)
    random = np.random.default_rng(0)
    features = random.integers(0, 255, (16, 16, 3)).astype(np.uint8)
    hand = replace(hands(0), crop=crop, mask=random.random((16, 16)), heatmaps=random.random((21, 16, 16)), features=features)
    return results(0, (hand,))


def test_what_the_picture_leaves_free_has_the_canvas_colour(qtbot: Any, results: Any) -> None:
    view = VideoView()
    qtbot.addWidget(view)
    view.setFixedSize(500, 300)
    view.show_result(results(0, ()), OverlayContext(BARE))
    image = view.grab().toImage()
    row = [image.pixelColor(x, 150) for x in range(500)]
    # 400 pixels wide in the middle.
    assert all(colour == QColor(*DARK.canvas) for colour in (*row[:50], *row[450:]))
    assert all(colour == QColor(60, 60, 60) for colour in row[51:449])


def test_a_frame_that_waits_is_dimmed_behind_the_message(qtbot: Any, results: Any) -> None:
    view = VideoView()
    qtbot.addWidget(view)
    view.setFixedSize(500, 300)
    bright = replace(results(0).frame, rgb=np.full((240, 320, 3), 250, np.uint8))
    view.show_message("", bright)
    image = view.grab().toImage()
    beside, within = image.pixelColor(20, 150), image.pixelColor(250, 40)
    assert beside == QColor(*DARK.canvas) and beside.value() < within.value() < 128
    assert view.snapshot() is None
    view.show_message("")
    assert view.grab().toImage().pixelColor(250, 40) == QColor(*DARK.canvas)


@pytest.fixture
def on_screen(qtbot: Any) -> Iterator[Callable[[FrameResult, OverlayContext], np.ndarray]]:
    """The pixels of a video view that is as large as the picture."""
    view = VideoView()
    view.setFixedSize(*SIZE)

    def grab(result: FrameResult, context: OverlayContext) -> np.ndarray:
        view.show_result(result, context)
        image = view.grab().toImage().convertToFormat(painted(result, context).format())
        return np.frombuffer(image.constBits(), np.uint8).reshape(240, 320, 3).copy()

    yield grab
    view.deleteLater()


def context(view: VideoView | None = None, **on: bool) -> OverlayContext:
    return OverlayContext(replace(BARE, **on), trails=TRAILS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_recorded_view_is_the_one_on_the_screen(result: FrameResult, on_screen: Any, qapp: Any, name: str) -> None:
    wanted = replace(context(**{name: True}), font=qapp.font())
    recorded, plain = drawing(wanted)(result), drawing(context())(result)
    assert recorded.shape == (240, 320, 3)
    assert (recorded != plain).any(-1).sum() > 100, "something is drawn"
    np.testing.assert_array_equal(plain, result.frame.rgb)
    apart = np.abs(recorded.astype(int) - on_screen(result, wanted).astype(int)).max(-1)
    assert (apart > 40).mean() < 0.002


def test_a_file_is_not_mirrored(result: FrameResult) -> None:
    shown = {name: True for name in VIEWS}
    np.testing.assert_array_equal(drawing(context(mirror=True, **shown))(result), drawing(context(**shown))(result))


def test_compared_estimators_stand_beside_each_other_where_they_do_on_the_screen(result: FrameResult, hands: Any) -> None:
    both = replace(result, compared=(hands(3, place=(0.03, 0.05, 0.5), mesh=False),), compared_by="fit")
    over = drawing(context(skeleton=True))(both)
    beside = drawing(context(skeleton=True, side_by_side=True))(both)
    assert over.shape == (240, 320, 3) and beside.shape == (240, 640, 3)
    own = drawing(replace(context(skeleton=True)))(result)
    # Apart from the estimators' names, in the upper left corners.
    np.testing.assert_array_equal(beside[40:, :320], own[40:])
    assert (beside[40:, 320:] != own[40:]).any()
    assert drawing(context(side_by_side=True))(result).shape == (240, 320, 3), "nothing is compared"


def ink(picture: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) of the text, as (v, u)."""
    return np.argwhere((picture < 45).all(-1))


@pytest.mark.parametrize("moved", [(-130, 0), (0, -130), (130, 0), (0, 130), (-130, -130)])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_label_of_a_hand_that_leaves_stays_in_the_picture(
    hands: Any, results: Any, on_screen: Any, moved: tuple[int, int], mirror: bool
) -> None:
    def written(by: tuple[int, int]) -> int:
        hand = hands(0, mesh=False)
        leaving = replace(hand, box_xyxy_px=hand.box_xyxy_px + np.tile(by, 2))
        return len(ink(on_screen(results(0, (leaving,)), context(boxes=True, mirror=mirror))))

    assert written(moved) > 0.8 * written((0, 0)) > 50


def test_names_of_compared_estimators_grow_with_the_picture(hands: Any, results: Any, qapp: Any) -> None:
    high = []
    for scale in (1, 6):
        blank = results(0, ())
        rgb = np.full((240 * scale, 320 * scale, 3), 255, np.uint8)
        frame = replace(blank.frame, rgb=rgb, camera=camera_from_fov(320 * scale, 240 * scale))
        both = replace(blank, frame=frame, compared=(hands(0, mesh=False),), compared_by="fit")
        drawn = drawing(replace(context(side_by_side=True), font=qapp.font()))(both)
        high.append(np.ptp(ink(drawn[:, : 320 * scale])[:, 0]))
    assert high[0] >= 5 and high[1] > 1.7 * high[0]


def test_a_mask_s_outline_is_as_wide_as_the_scale_says(result: FrameResult) -> None:
    def drawn(pixel: float) -> int:
        image = QImage(*SIZE, QImage.Format.Format_RGB888)
        image.fill(0)
        painter = QPainter(image)
        paint_hands(painter, result, OverlayContext(replace(BARE, mask=True, mesh_overlay=True), pixel=pixel))
        painter.end()
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(240, 320, 3).astype(int)
        return int((np.abs(pixels - MASK_COLOUR).max(-1) < 30).sum())

    assert drawn(4.0) > 2.5 * drawn(1.0) > 100


def test_another_thread_draws_the_same(result: FrameResult, qapp: Any) -> None:
    draw = drawing(replace(context(**{name: True for name in VIEWS}), font=qapp.font()))
    found: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: found.extend(draw(result) for _ in range(3)))
    thread.start()
    thread.join(60)
    assert len(found) == 3
    for picture in found:
        np.testing.assert_array_equal(picture, draw(result))


def test_odd_widths_keep_their_rows(results: Any) -> None:
    narrow = results(0, ())
    rgb = np.random.default_rng(0).integers(0, 255, (9, 33, 3)).astype(np.uint8)
    narrow = replace(narrow, frame=replace(narrow.frame, rgb=rgb, camera=camera_from_fov(33, 9)))
    np.testing.assert_array_equal(drawing(context())(narrow), rgb)
