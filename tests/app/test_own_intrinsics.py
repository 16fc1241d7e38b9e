"""Which intrinsics are used for which source, through the controller."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from handviz.app.controller import Controller
from handviz.app.state import Wish
from handviz.capture import device
from handviz.capture.base import SourceSpec
from handviz.capture.calibration import Intrinsics, calibration_path, save_intrinsics
from handviz.pipeline.config import SessionConfig
from tests.app.controlling import CAMERA, INSTALLED, VIDEO, last, opened


@pytest.fixture
def own_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The calibration file of ``CAMERA``."""
    monkeypatch.setenv("HANDVIZ_DATA", str(tmp_path))
    path = calibration_path(CAMERA.name, 320, 240)
    save_intrinsics(Intrinsics(K=np.diag([300.0, 300, 1]), size=(320, 240), camera_name=CAMERA.name), path)
    return path


def test_a_cameras_own_calibration_is_used_for_it_alone_and_is_no_lasting_choice(
    controller: Controller, own_calibration: Path
) -> None:
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == own_calibration and controller.lasting.config.intrinsics is None
    controller.change_wish(Wish(config=SessionConfig(max_hands=1)))
    assert controller.wish.config.intrinsics == own_calibration
    opened(controller, VIDEO)
    assert controller.wish.config.intrinsics is None
    controller.change_wish(Wish(config=SessionConfig(max_hands=1)))
    assert controller.wish.config.intrinsics is None


@pytest.mark.parametrize("wanted_by", ["loading", "making"])
def test_intrinsics_that_were_forgotten_stay_so_until_others_are_given(
    controller: Controller, own_calibration: Path, wanted_by: str
) -> None:
    opened(controller, CAMERA)
    controller.lens.forget()
    assert controller.wish.config.intrinsics is None
    for spec in (CAMERA, VIDEO, replace(CAMERA, fps=15.0)):
        opened(controller, spec)
        assert controller.wish.config.intrinsics is None
    controller.change_wish(Wish())
    assert controller.wish.config.intrinsics is None
    given = controller.lens.load if wanted_by == "loading" else controller.lens.use_calibration
    given(own_calibration)
    assert controller.wish.config.intrinsics == own_calibration
    controller.configure(intrinsics=None)
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == own_calibration


def test_only_the_camera_that_is_open_forgets_its_calibration(controller: Controller, own_calibration: Path, view: Mock) -> None:
    other = SourceSpec(kind="camera", camera=1)
    for spec in (other, VIDEO):
        opened(controller, spec)
        controller.lens.forget()
    controller.lens.load(Path("gone.json"))
    assert "gone.json" in last(view.show_banner)
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == own_calibration


def test_another_camera_of_the_same_number_gets_no_calibration(
    controller: Controller, own_calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "DEVICES", tmp_path)
    (tmp_path / "video0").mkdir()
    (tmp_path / "video0" / "name").write_text("Another Webcam\n")
    opened(controller, CAMERA)
    assert own_calibration.exists() and controller.wish.config.intrinsics is None


def test_a_calibration_that_was_just_made_is_its_cameras_alone(controller: Controller, own_calibration: Path) -> None:
    new = own_calibration.rename(own_calibration.with_name("new.json"))
    opened(controller, CAMERA)
    controller.lens.use_calibration(new)
    assert controller.wish.config.intrinsics == new
    controller.close_source()
    assert controller.lasting.config.intrinsics is None


def test_chosen_intrinsics_last_over_a_cameras_own(controller: Controller, own_calibration: Path) -> None:
    mine = own_calibration.with_name("mine.json")
    mine.write_bytes(own_calibration.read_bytes())
    controller.configure(intrinsics=mine)
    opened(controller, CAMERA)
    assert controller.wish.config.intrinsics == controller.lasting.config.intrinsics == mine
    opened(controller, VIDEO)
    assert controller.wish.config.intrinsics == mine


def test_chosen_intrinsics_outlive_a_calibration_that_another_source_ends(controller: Controller, own_calibration: Path) -> None:
    mine = own_calibration.with_name("mine.json")
    mine.write_bytes(own_calibration.read_bytes())
    controller.configure(intrinsics=mine)
    opened(controller, CAMERA)
    controller.lens.rest()
    assert controller.wish.config.intrinsics is None and controller.lasting.config.intrinsics == mine
    opened(controller, VIDEO)
    assert controller.wish.config.intrinsics == mine
    controller.lens.take_back()
    assert controller.wish.config.intrinsics == mine


def test_a_field_of_view_that_was_said_goes_before_a_cameras_own_calibration(
    view: Mock, factory: Any, own_calibration: Path
) -> None:
    made = Controller(view, Wish(config=SessionConfig(fov_deg=70.0), own_calibration=False), factory, INSTALLED)
    made.start()
    try:
        opened(made, CAMERA)
        assert made.wish.config.intrinsics is None
    finally:
        made.stop()
