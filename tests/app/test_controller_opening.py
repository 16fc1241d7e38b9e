"""What the controller does with sources that open, or fail to."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from handviz.app.controller import Controller
from handviz.app.state import Wish
from handviz.capture.base import SourceSpec
from tests.app.controlling import CAMERA, INSTALLED, VIDEO, last, opened, tick_until


def test_broken_source_is_reported(controller: Controller, view: Mock) -> None:
    controller.open(SourceSpec(kind="video", path=Path("broken.mp4")))
    deadline = time.monotonic() + 60
    while not (view.show_banner.called and last(view.show_banner)) and time.monotonic() < deadline:
        controller.tick()
    assert "no video" in last(view.show_banner)


BROKEN = SourceSpec(kind="video", path=Path("broken.mp4"))


def test_a_file_that_can_not_be_opened_leaves_all_as_it_was(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    controller.open(BROKEN)
    assert controller.result is not None and not factory.made[0].stopped
    tick_until(controller, lambda: last(view.show_banner) is not None)
    assert "no video" in last(view.show_banner)
    assert controller.session is factory.made[0] and not factory.made[0].stopped
    assert controller.wish.source == CAMERA == controller.lasting.source
    shown = controller.result
    tick_until(controller, lambda: controller.result is not shown)


def test_a_file_takes_over_once_it_is_open(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    controller.open(BROKEN)
    opened(controller, VIDEO)
    assert controller.wish.source == VIDEO and factory.made[0].stopped
    assert last(view.show_banner) is None and last(view.show_title) == "hand.mp4 — handviz"


def test_a_camera_that_does_not_open_is_not_opened_at_the_next_start(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, VIDEO)
    factory.broken = 2
    for camera in (1, 2):
        controller.open(SourceSpec(kind="camera", camera=camera))
        assert controller.session is None and last(view.show_message) == "Opening…"
    assert controller.wish.source is not None and controller.wish.source.camera == 2
    tick_until(controller, lambda: last(view.show_banner) is not None)
    assert factory.made[0].stopped
    controller.stop()
    assert controller.lasting.source == VIDEO


@pytest.mark.parametrize("former", [VIDEO, CAMERA, None])
def test_what_is_no_longer_open_is_not_named_where_a_camera_does_not_open(
    controller: Controller, view: Mock, factory: Any, former: SourceSpec | None
) -> None:
    if former is not None:
        opened(controller, former)
    factory.broken = 2
    controller.open(SourceSpec(kind="camera", camera=2))
    assert last(view.show_controls).source.camera == 2
    tick_until(controller, lambda: last(view.show_banner) is not None)
    assert last(view.show_controls).source is None and controller.session is None
    assert "Open a camera" in last(view.show_message)


def test_a_first_source_that_does_not_open_is_not_named_and_is_tried_at_the_next_start(view: Mock, factory: Any) -> None:
    made = Controller(view, Wish(source=BROKEN), factory, INSTALLED)
    made.start()
    try:
        tick_until(made, lambda: last(view.show_banner) is not None)
        assert last(view.show_controls).source is None
    finally:
        made.stop()
    assert made.lasting.source == BROKEN


@pytest.mark.parametrize("spec", [CAMERA, BROKEN])
def test_what_is_still_being_opened_at_the_end_is_not_kept(controller: Controller, factory: Any, spec: SourceSpec) -> None:
    opened(controller, VIDEO)
    controller.open(spec)
    controller.stop()
    assert controller.lasting.source == VIDEO and all(session.stopped for session in factory.made if session.now is not None)


def test_a_file_that_takes_long_to_open_is_told(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    factory.gate = threading.Event()
    controller.open(VIDEO)
    tick_until(controller, lambda: last(view.show_notice) == "Opening hand.mp4…")
    assert controller.result is not None and not factory.made[0].stopped
    factory.gate.set()
    tick_until(controller, lambda: controller.wish.source == VIDEO)
    assert last(view.show_notice) is None


def test_missing_path_is_reported(controller: Controller, view: Mock) -> None:
    controller.open_text("/nowhere/at/all.mp4")
    assert "no such file" in last(view.show_banner)


def test_a_problem_that_comes_again_is_shown_again(controller: Controller, view: Mock) -> None:
    for _ in range(2):
        controller.report("no such file")
        assert last(view.show_banner) == "no such file"
        controller.dismiss()
        assert last(view.show_banner) is None


def test_session_error_shows_until_dismissed(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    factory.made[-1].error = "camera 0: no picture arrives"
    controller.tick()
    assert "no picture" in last(view.show_banner)
    controller.dismiss()
    controller.tick()
    assert last(view.show_banner) is None


def test_a_camera_that_is_unplugged_again_is_told_again(controller: Controller, view: Mock, factory: Any) -> None:
    opened(controller, CAMERA)
    unplugged = "camera 0: no picture arrives"
    for _ in range(2):
        factory.made[-1].error = unplugged
        controller.tick()
        assert last(view.show_banner) == unplugged
        controller.dismiss()
        controller.tick()
        assert last(view.show_banner) is None
        factory.made[-1].error = None
        controller.tick()


def test_newer_request_wins(controller: Controller, factory: Any) -> None:
    controller.open(VIDEO)
    opened(controller, CAMERA)
    assert controller.result is not None
    controller.stop()
    assert all(session.stopped for session in factory.made)


def test_a_source_that_is_closed_as_it_opens_is_not_awaited(controller: Controller, view: Mock) -> None:
    controller.open(VIDEO)
    assert last(view.show_message) == "Opening…"
    controller.close_source()
    assert "Open a camera" in last(view.show_message)
