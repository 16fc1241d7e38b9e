"""A controller brought to where a test begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from handviz.app.controller import Controller
from handviz.app.offering import Installed
from handviz.capture.base import SourceSpec

VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))
CAMERA = SourceSpec(kind="camera", camera=0)
INSTALLED = Installed(estimators=lambda: ("fit", "groups", "dense"), hand_models=lambda: ("default",))


def opened(controller: Controller, spec: SourceSpec) -> None:
    controller.open(spec)
    tick_until_result(controller)


def tick_until_result(controller: Controller) -> None:
    tick_until(controller, lambda: controller.result is not None and not controller.offer.opening)


def tick_until(controller: Controller, done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        controller.tick()
        time.sleep(0.002)
    assert done()


def last(mock: Mock) -> Any:
    return mock.call_args.args[0]
