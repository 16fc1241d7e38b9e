"""Sources that are opened one after the other, over a driver that lets one reader in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from handviz.app.opening import Opened, Opener
from handviz.capture.base import SourceSpec
from handviz.errors import SourceError
from handviz.pipeline.config import SessionConfig

T = TypeVar("T")
CAMERA = SourceSpec(kind="camera", camera=0)
VIDEO = SourceSpec(kind="video", path=Path("hand.mp4"))


class Driver:
    """A camera that one reader can have, and that takes a while to open: as long as ``gate`` is not set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.taken = threading.Lock()
        self.opened: list[Reader] = []

    def __call__(self, spec: SourceSpec, config: SessionConfig) -> Reader:
        return Reader(self, spec)


class Reader:
    """A session on this driver, with as much as the opener uses of one."""

    def __init__(self, driver: Driver, spec: SourceSpec) -> None:
        self.driver, self.spec, self.holds = driver, spec, False

    def start(self) -> None:
        if self.spec.kind == "camera":
            if not self.driver.taken.acquire(blocking=False):
                raise SourceError("camera 0: another program has it")
            self.holds = True
            assert self.driver.gate.wait(20)
        self.driver.opened.append(self)

    def stop(self) -> None:
        if self.holds:
            time.sleep(0.05)
            self.holds = False
            self.driver.taken.release()


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def opener(driver: Driver) -> Iterator[Opener]:
    made = Opener(driver)  # type: ignore[arg-type]
    yield made
    driver.gate.set()
    made.join(20)


def answer(opener: Opener) -> Opened:
    return until(opener.poll)


def until(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + 20
    while (seen := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return seen


def test_a_camera_that_is_chosen_again_while_it_opens_is_opened_once_more(opener: Opener, driver: Driver) -> None:
    opener.request(CAMERA, SessionConfig())
    until(lambda: driver.taken.locked() or None)
    for _ in range(2):
        opener.request(CAMERA, SessionConfig())
    driver.gate.set()
    opened = answer(opener)
    assert opened.problem is None and opened.session is driver.opened[-1] and driver.opened[-1].holds
    assert len(driver.opened) == 2, "the one between was not begun"
    assert not driver.opened[0].holds and not opener.busy


@pytest.mark.parametrize("taken_over", [True, False])
def test_what_had_the_camera_is_stopped_before_it_is_opened(opener: Opener, driver: Driver, taken_over: bool) -> None:
    driver.gate.set()
    opener.request(CAMERA, SessionConfig())
    until(lambda: driver.opened or None)
    former = answer(opener).session if taken_over else None
    opener.request(CAMERA, SessionConfig(), former)
    assert answer(opener).session is driver.opened[1] and driver.opened[1].holds


def test_a_file_does_not_wait_for_a_camera_that_blocks(opener: Opener, driver: Driver) -> None:
    opener.request(CAMERA, SessionConfig())
    until(lambda: driver.taken.locked() or None)
    opener.request(VIDEO, SessionConfig())
    assert answer(opener).session is driver.opened[0]
    driver.gate.set()
    until(lambda: None if driver.taken.locked() else True)


def test_what_was_opened_in_vain_is_closed(opener: Opener, driver: Driver) -> None:
    driver.gate.set()
    opener.request(CAMERA, SessionConfig())
    until(lambda: driver.opened or None)
    opener.cancel()
    until(lambda: None if driver.taken.locked() else True)
    assert opener.poll() is None and not opener.busy
