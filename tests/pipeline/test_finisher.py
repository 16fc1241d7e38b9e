"""The remaining refinement steps, run alongside the live view: they delay nothing, and show when a frame is held."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from handviz.capture.base import parse_source
from handviz.pipeline import estimators
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.finisher import Finished, Finisher
from handviz.pipeline.session import Session
from handviz.records import CropResult, FrameResult, HandCrop
from tests.pipeline.waiting import WAIT_S, wait_for

FRAMES = 60
SHIFT_PX = 7.0


class Slow:
    """State shared by a test's slow estimators: whether they may finish, and what they were asked."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = 0
        self.ended = 0
        self.iterations = 0

    def finish(self, results: list[CropResult]) -> list[CropResult]:
        self.begun += 1
        self.go.wait(WAIT_S)
        self.ended += 1
        return [replace(r, joints=replace(r.joints, joints_px=r.joints.joints_px + SHIFT_PX)) for r in results]


@pytest.fixture
def slow(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """The fake pipeline with an estimator whose refinement never ends unless it is allowed to."""
    shared = Slow()

    class Estimator(fakes.FakeEstimator):  # type: ignore[name-defined,misc]
        def estimate_quickly(self, crops: Sequence[HandCrop], track_ids: Sequence[int | None]) -> Any:
            results = self.estimate(crops, track_ids)
            return results, (lambda: shared.finish(results)) if shared.iterations and crops else None

    def create(name: str, options: Any) -> Any:
        shared.iterations = options.refine_iterations
        return Estimator()

    monkeypatch.setattr(estimators, "create_estimator", create)
    yield shared
    shared.go.set()


@pytest.fixture
def video(fakes: ModuleType, tmp_path: Path) -> Path:
    """A patch that moves slowly; the fake detector sees it as a hand."""
    path = tmp_path / "patch.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for index in range(FRAMES):
        writer.write(fakes.disc_picture(120 + index)[..., ::-1])
    writer.release()
    return path


@pytest.fixture
def open_session(video: Path) -> Iterator[Callable[[int], Session]]:
    opened: list[Session] = []

    def build(iterations: int) -> Session:
        session = Session(parse_source(str(video)), SessionConfig(refine_iterations=iterations, smoothing=False))
        opened.append(session)
        session.start()
        return session

    yield build
    for session in opened:
        session.stop()


def test_a_refinement_that_never_ends_costs_the_live_view_no_result(slow: Slow, open_session: Callable[[int], Session]) -> None:
    session = open_session(50)
    session.set_loop(True)
    seen: list[int] = []
    wait_for(lambda: (r := session.latest()) is not None and (seen.append(r.frame.index) or len(seen) >= 15))
    assert slow.begun == 1 and slow.ended == 0, "one is being worked out, the others did not queue up"
    # If refined within the pipeline step, the first frame would never have been shown.
    assert len(set(seen)) > 7


def test_the_held_frame_gets_its_full_answer(slow: Slow, open_session: Callable[[int], Session]) -> None:
    session = open_session(50)
    prepared: list[FrameResult] = []
    session.prepare_with(prepared.append)
    session.set_speed(0.1)
    wait_for(lambda: slow.begun)
    session.pause()
    position = session.state().position
    quick = wait_for(lambda: r if (r := session.latest()) is not None and r.frame.index == position else None)
    slow.go.set()
    full = wait_for(session.latest)
    assert isinstance(quick, FrameResult) and isinstance(full, FrameResult)
    assert any(result is full for result in prepared), "its mesh is another, which is drawn anew"
    assert full.frame is quick.frame and full.hands[0].stage == "refined" and quick.hands[0].stage == "raw"
    moved = full.hands[0].joints.joints_px - quick.hands[0].joints.joints_px
    np.testing.assert_allclose(moved, SHIFT_PX)
    np.testing.assert_allclose(full.hands[0].box_xyxy_px - quick.hands[0].box_xyxy_px, SHIFT_PX)


def test_an_answer_to_a_frame_that_is_gone_is_not_shown(slow: Slow, open_session: Callable[[int], Session]) -> None:
    session = open_session(50)
    wait_for(lambda: slow.begun)
    session.pause()
    session.seek(55)
    wait_for(lambda: (r := session.latest()) is not None and r.frame.index == 55)
    slow.go.set()
    wait_for(lambda: slow.ended == slow.begun)
    later = [session.latest() for _ in range(30) if not time.sleep(0.01)]  # type: ignore[func-returns-value]
    assert not any(later)


def test_an_answer_under_other_choices_is_not_shown(slow: Slow, open_session: Callable[[int], Session]) -> None:
    session = open_session(50)
    wait_for(lambda: slow.begun)
    session.pause()
    session.update(replace(session.config, refine_iterations=0))
    wait_for(lambda: slow.iterations == 0)
    slow.go.set()
    wait_for(lambda: slow.ended == slow.begun)
    later = [wait_for(session.latest)]
    later += [r for _ in range(30) if not time.sleep(0.01) and (r := session.latest())]  # type: ignore[func-returns-value]
    assert all(hand.stage == "raw" for result in later for hand in result.hands)


def test_only_what_was_worked_out_in_full_is_kept(slow: Slow, open_session: Callable[[int], Session]) -> None:
    session = open_session(50)
    session.set_speed(2.0)
    wait_for(lambda: session.state().position >= 20)
    session.pause()
    curve = session.confidence_curve()
    assert np.isfinite(curve[:20]).sum() > 5, "the curve knows the quick answers too"
    session.seek(3)
    again = wait_for(lambda: r if (r := session.latest()) is not None and r.frame.index == 3 else None)
    assert again.timings_ms, "it was analysed anew"


def test_the_newest_work_alone_is_done() -> None:
    finisher, go, begun = Finisher(), threading.Event(), threading.Event()
    done: list[str] = []

    def work(name: str) -> Callable[[], Any]:
        def run() -> Any:
            begun.set()
            go.wait(WAIT_S)
            done.append(name)
            return name

        return run

    finisher.ask(work("first"), SessionConfig())
    assert begun.wait(WAIT_S) and finisher.poll() is None
    for name in ("second", "third"):
        finisher.ask(work(name), SessionConfig(max_hands=1))
    go.set()
    wait_for(lambda: done == ["first", "third"])
    answer: Finished = wait_for(lambda: (f := finisher.poll()) is not None and f.config.max_hands == 1 and f)
    assert answer.result == "third"  # type: ignore[comparison-overlap]
    finisher.close(WAIT_S)


def test_a_failure_leaves_the_thread_alive(capsys: pytest.CaptureFixture[str]) -> None:
    finisher = Finisher()
    finisher.ask(lambda: 1 / 0, SessionConfig())  # type: ignore[arg-type,return-value]
    wait_for(lambda: "ZeroDivisionError" in capsys.readouterr().err)
    finisher.ask(lambda: "next", SessionConfig())  # type: ignore[arg-type,return-value]
    wait_for(lambda: (f := finisher.poll()) is not None and f.result == "next")
    finisher.close(WAIT_S)


def test_closing_leaves_what_waits() -> None:
    finisher, go, begun = Finisher(), threading.Event(), threading.Event()
    done: list[int] = []
    finisher.ask(lambda: (begun.set(), go.wait(WAIT_S)), SessionConfig())  # type: ignore[arg-type,return-value]
    assert begun.wait(WAIT_S)
    finisher.ask(lambda: done.append(1), SessionConfig())  # type: ignore[arg-type,return-value]
    closing = threading.Thread(target=finisher.close, args=(WAIT_S,))
    closing.start()
    wait_for(lambda: finisher._work._closed)
    go.set()
    closing.join(WAIT_S)
    assert not closing.is_alive() and not done
    Finisher().close()
