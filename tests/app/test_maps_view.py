"""The network's mask and features over the picture: in their place, un-mirrored, and asked for only when shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
from PySide6.QtGui import QImage, QPainter

from handviz.app.controller import Controller, Installed
from handviz.app.maps_view import SEEN_COLOUR, features_picture, seen_mask_picture
from handviz.app.overlay import OverlayContext, paint_hands
from handviz.app.resolve import resolve
from handviz.app.state import Contents, Offer, Wish
from handviz.app.view_options import ViewOptions
from handviz.app.views import MainView
from handviz.crop import CropWindow, cut_crop
from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.config import SessionConfig
from handviz.records import HandEstimate

SIZE = (320, 240)


@pytest.fixture(params=["right", "left"])
def seen(request: Any, hands: Any) -> HandEstimate:
    """A hand whose mask and features mark the quarter of the crop that lies up and to the right in the full picture."""
    crop = cut_crop(
        np.zeros((240, 320, 3), np.uint8), camera_from_fov(*SIZE), CropWindow(u=160, v=120, side=100), request.param, 64
    )
    mask, features = np.zeros((16, 16)), np.zeros((16, 16, 3), np.uint8)
    # A left hand's crop is mirrored.
    columns = slice(8, 16) if request.param == "right" else slice(0, 8)
    mask[:8, columns] = 1.0
    features[:8, columns] = (250, 10, 10)
    return replace(hands(0), crop=crop, mask=mask, features=features)


def test_the_mask_lies_where_the_network_saw_it(seen: HandEstimate) -> None:
    picture = seen_mask_picture(seen, SIZE)
    assert picture.shape == (240, 320, 4)
    assert tuple(picture[95, 185, :3]) == SEEN_COLOUR and picture[95, 185, 3] > 100
    assert picture[145, 185, 3] == picture[95, 135, 3] == picture[95, 230, 3] == 0
    half = replace(seen, mask=0.5 * np.asarray(seen.mask))
    assert 40 < seen_mask_picture(half, SIZE)[95, 185, 3] < 0.6 * picture[95, 185, 3]


def test_features_cover_the_crop_alone(seen: HandEstimate) -> None:
    picture = features_picture(seen, SIZE)
    assert picture[95, 185, 0] > 240 and picture[145, 185, 0] < 10
    assert picture[145, 185, 3] > 200 and picture[95, 230, 3] == 0


@pytest.mark.parametrize("name", ["seen_mask", "features"])
def test_a_toggle_paints_them(seen: HandEstimate, results: Any, name: str) -> None:
    bare = ViewOptions(skeleton=False, boxes=False)

    def painted(options: ViewOptions) -> QImage:
        image = QImage(*SIZE, QImage.Format.Format_RGB888)
        image.fill(0)
        painter = QPainter(image)
        paint_hands(painter, results(0, (seen,)), OverlayContext(options))
        painter.end()
        return image

    assert painted(bare).pixelColor(185, 95).lightness() == 0
    assert painted(replace(bare, **{name: True})).pixelColor(185, 95).lightness() > 50


def test_they_are_asked_for_while_they_are_shown(factory: Any) -> None:
    installed = Installed(estimators=lambda: ("dense",), hand_models=lambda: ("default",))
    controller = Controller(create_autospec(MainView, instance=True), Wish(), factory, installed)

    def asked() -> tuple[bool, bool]:
        return controller.wish.config.want_heatmaps, controller.wish.config.want_features

    controller.toggle("seen_mask")
    assert asked() == (True, False)
    controller.toggle("heatmaps")
    controller.toggle("seen_mask")
    assert asked() == (True, False), "heatmaps are still shown"
    controller.toggle("heatmaps")
    controller.toggle("features")
    assert asked() == (False, True)
    controller.toggle("features")
    assert asked() == (False, False)


def test_they_are_greyed_without_a_dense_network() -> None:
    def useful(estimator: str) -> frozenset[str]:
        return resolve(Wish(config=SessionConfig(estimator=estimator)), Offer(contents=Contents(hands=1))).toggles

    assert {"seen_mask", "features"} <= useful("dense")
    assert not {"seen_mask", "features"} & useful("fit")
