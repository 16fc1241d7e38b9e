"""Refinement in its own thread: the newest request wins, and an error is reported in one sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handviz.crop import CropSpec, cut_crop, window_from_joints
from handviz.errors import HandvizError
from handviz.geometry.camera import camera_from_fov
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.hands import crop_for
from handviz.pipeline.refiner import Refined, Refiner, RefineRequest
from handviz.records import CropResult, Frame, HandCrop, HandEstimate, HandJoints

CAMERA = camera_from_fov(320, 240)
SPEC = CropSpec(size=64)


class Stub:
    """Does nothing, as slowly as requested; every iterate is a hand one pixel further to the right."""

    crop_spec = SPEC

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.asked: list[tuple[HandCrop, int, str]] = []
        self.stopped = 0
        self.taken: Any = None

    def adjust(self, options: Any) -> bool:
        self.taken = options
        return options.hand_model == "default"

    def refine(self, crop: HandCrop, *, iterations: int, solver: str, wanted: Callable[[], bool]) -> Any:
        self.asked.append((crop, iterations, solver))
        self.begun.set()
        while not self.go.wait(0.005):
            if not wanted():
                self.stopped += 1
                break
        return SimpleNamespace(iterates=(None,) * (iterations + 1), best=iterations, solver=solver)

    def steps(self, crop: HandCrop, trace: Any) -> list[CropResult]:
        return [CropResult(score=0.5, joints=joints(place)) for place in range(len(trace.iterates))]


def joints(shift: float = 0.0) -> HandJoints:
    pixels = np.random.default_rng(0).uniform(100, 160, (21, 2)) + [shift, 0]
    return HandJoints(joints_camera_m=np.zeros((21, 3)), joints_px=pixels, confidence=np.ones(21))


def request(iterations: int, side: Any = "right", **config: Any) -> RefineRequest:
    rgb = np.full((240, 320, 3), 90, np.uint8)
    frame = Frame(index=0, t_capture_s=0.0, t_arrival_s=0.0, rgb=rgb, camera=CAMERA)
    hand = HandEstimate(track_id=3, side=side, score=0.9, box_xyxy_px=np.array([100, 100, 160, 160.0]), joints=joints())
    return RefineRequest(
        frame=frame, hand=hand, config=SessionConfig(estimator="dense", **config), solver="newton", iterations=iterations
    )


def answer(refiner: Refiner) -> Refined:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = refiner.poll()
        if found is not None:
            return found
        time.sleep(0.005)
    raise AssertionError("no answer came")


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def refiner(stub: Stub) -> Iterator[Refiner]:
    made = Refiner(lambda options: stub)
    yield made
    stub.go.set()
    made.close(30)


def test_every_iterate_comes_back_as_a_hand(refiner: Refiner, stub: Stub) -> None:
    stub.go.set()
    asked = request(4, side="left")
    refiner.ask(asked)
    assert refiner.busy
    found = answer(refiner)
    assert found.request is asked and found.problem is None and not refiner.busy
    assert [hand.joints.joints_px[0, 0] - joints().joints_px[0, 0] for hand in found.hands] == [0, 1, 2, 3, 4]
    assert all(h.stage == "refined" and h.track_id == 3 and h.side == "left" and h.crop is not None for h in found.hands)


def test_a_newer_request_stops_the_older_one_and_its_answer_is_dropped(refiner: Refiner, stub: Stub) -> None:
    refiner.ask(request(50))
    assert stub.begun.wait(30)
    newer = request(2)
    refiner.ask(newer)
    end = time.monotonic() + 30
    while len(stub.asked) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    assert stub.stopped == 1 and refiner.poll() is None
    stub.go.set()
    assert answer(refiner).request is newer
    assert refiner.poll() is None


def test_a_cancelled_request_is_never_answered(refiner: Refiner, stub: Stub) -> None:
    refiner.ask(request(50))
    assert stub.begun.wait(30)
    refiner.cancel()
    assert not refiner.busy
    stub.go.set()
    refiner.ask(request(1))
    assert len(answer(refiner).hands) == 2


def test_choices_reach_the_network_or_build_another(stub: Stub) -> None:
    built: list[Any] = []

    def build(options: Any) -> Stub:
        built.append(options)
        return stub

    stub.go.set()
    refiner = Refiner(build)
    shape = (0.5,) * 10
    for config in ({}, {"hand_shape": shape}, {"hand_model": "mine"}):
        refiner.ask(request(1, **config))
        answer(refiner)
    refiner.close(30)
    assert [options.hand_model for options in built] == ["default", "mine"] and built[0].hand_shape is None
    assert stub.taken.hand_model == "mine" and len(stub.asked) == 3


def test_a_network_that_is_not_there_is_said(stub: Stub) -> None:
    def build(options: Any) -> Stub:
        raise HandvizError("dense.safetensors: these weights are not in this copy")

    refiner = Refiner(build)
    refiner.ask(request(1))
    found = answer(refiner)
    assert found.trace is None and found.problem == "dense.safetensors: these weights are not in this copy"
    refiner.close(30)


def test_a_failure_is_said_and_the_next_request_is_answered(
    refiner: Refiner, stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.go.set()
    plain = stub.steps
    monkeypatch.setattr(stub, "steps", lambda crop, trace: 1 / 0)
    refiner.ask(request(2))
    assert answer(refiner).problem == "The refinement failed: division by zero" and not refiner.busy
    assert "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.setattr(stub, "steps", plain)
    refiner.ask(request(2))
    assert answer(refiner).problem is None


def test_nothing_starts_before_it_is_asked() -> None:
    before = threading.active_count()
    refiner = Refiner()
    # A thread of another test may end meanwhile.
    assert refiner.poll() is None and threading.active_count() <= before
    refiner.close()


def test_the_crop_is_the_one_that_was_estimated_from_where_it_was_kept() -> None:
    asked = request(1)
    fresh = crop_for(asked.frame, asked.hand, SPEC)
    assert fresh.size == 64 and fresh.side == "right"
    kept = cut_crop(asked.frame.rgb, CAMERA, window_from_joints(joints().joints_px, SPEC), "right", 64)
    hand = replace(asked.hand, crop=kept)
    assert crop_for(asked.frame, hand, SPEC) is kept
    assert crop_for(asked.frame, hand, CropSpec(size=32)).size == 32, "another estimator's crop is of no use"
