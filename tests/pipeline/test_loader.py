"""Estimators that are loaded while the live view continues."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handviz.capture.base import parse_source
from handviz.errors import HandvizError
from handviz.estimate.base import EstimatorOptions
from handviz.geometry.camera import camera_from_fov
from handviz.pipeline import estimators, inference
from handviz.pipeline.auto import AutoChoice
from handviz.pipeline.config import AUTO, SessionConfig
from handviz.pipeline.estimators import Estimators
from handviz.pipeline.loader import Loader
from handviz.pipeline.session import Session
from handviz.pipeline.step import HandPipeline
from handviz.records import Frame
from tests.pipeline.waiting import wait_for


@pytest.fixture
def built() -> list[Any]:
    """Every estimator that was built."""
    return []


@pytest.fixture
def slow(fakes: ModuleType, built: list[Any], monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Fake estimators: ``dense`` is built only once the event is set, and ``unmet`` never."""
    there = threading.Event()

    class Adjusting(fakes.FakeEstimator):  # type: ignore[name-defined,misc]
        options: EstimatorOptions | None = None

        def adjust(self, options: EstimatorOptions) -> bool:
            self.options = options
            return True

    def create(name: str, options: Any) -> Any:
        if name == "unmet":
            raise HandvizError("no such estimator")
        if name == "dense":
            assert there.wait(20)
        made = Adjusting()
        made.name = name
        built.append(made)
        return made

    monkeypatch.setattr(estimators, "create_estimator", create)
    return there


@pytest.fixture
def loading_dense(slow: threading.Event, numbered_video: Path) -> Iterator[Session]:
    """A session that shows ``fit``, plays in a loop, and was just asked for ``dense``."""
    session = Session(parse_source(str(numbered_video)), SessionConfig(estimator="fit"))
    session.start()
    try:
        session.set_loop(True)
        wait_for(session.latest)
        session.update(replace(session.config, estimator="dense"))
        yield session
    finally:
        slow.set()
        session.stop()


def shows(session: Session, estimator: str) -> bool:
    result = session.latest()
    return result is not None and result.estimator == estimator


def test_the_live_view_goes_on_while_a_network_is_loaded(slow: threading.Event, loading_dense: Session) -> None:
    for _ in range(5):
        assert wait_for(loading_dense.latest).estimator == "fit"
    assert loading_dense.config.estimator == "dense"
    slow.set()
    wait_for(lambda: shows(loading_dense, "dense"))


def test_the_live_view_goes_on_while_auto_loads_a_faster_one(
    slow: threading.Event, fakes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outpaced(auto: AutoChoice, frame_ms: float, gap_ms: float) -> bool:
        auto._place, before = 1, auto._place
        return before == 0

    monkeypatch.setattr("handviz.pipeline.session.open_source", lambda *_: Camera(fakes))
    monkeypatch.setattr("handviz.pipeline.auto.BEST_FIRST", ("fit", "dense"))
    monkeypatch.setattr(AutoChoice, "saw", outpaced)
    session = Session(parse_source("0"), SessionConfig(estimator=AUTO))
    session.start()
    try:
        wait_for(lambda: shows(session, "fit"))
        for _ in range(5):
            assert wait_for(session.latest).estimator == "fit"
        slow.set()
        wait_for(lambda: shows(session, "dense"))
    finally:
        slow.set()
        session.stop()


class Camera:
    """Thirty pictures a second, a hand in each."""

    live = True
    frame_count, fps, name = None, 30.0, "camera"

    def __init__(self, fakes: ModuleType) -> None:
        self.rgb, self.warnings, self.index = fakes.disc_picture(100), [], 0
        self.camera = camera_from_fov(320, 240)

    def read(self) -> Frame:
        time.sleep(1 / 30)
        self.index += 1
        now = time.monotonic()
        return Frame(index=self.index, t_capture_s=now, t_arrival_s=now, rgb=self.rgb, camera=self.camera)

    def release(self) -> None:
        pass


@pytest.fixture
def starting_dense(slow: threading.Event, fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session on a camera whose estimator is not there yet."""
    monkeypatch.setattr("handviz.pipeline.session.open_source", lambda *_: Camera(fakes))
    session = Session(parse_source("0"), SessionConfig(estimator="dense"))
    session.start()
    try:
        yield session
    finally:
        session.stop()
        slow.set()


def test_a_camera_is_seen_before_its_first_estimator_is_there(slow: threading.Event, starting_dense: Session) -> None:
    for _ in range(3):
        assert wait_for(starting_dense.latest).hands == ()
    assert not starting_dense.state().ready and starting_dense.stats().analysed == 0
    slow.set()
    wait_for(lambda: shows(starting_dense, "dense"))
    assert starting_dense.state().ready


def test_a_session_that_is_stopped_as_it_loads_does_not_wait(starting_dense: Session) -> None:
    wait_for(starting_dense.latest)
    starting_dense.stop()
    assert not any(thread.is_alive() for thread in starting_dense._threads)


def test_sessions_stopped_as_they_load_do_not_pile_up(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    there, begun, plain = threading.Event(), list[Any](), inference.HandPipeline

    def slowly(config: SessionConfig, *, paced: bool, idles: bool) -> HandPipeline:
        begun.append(config)
        assert there.wait(20)
        return plain(config, paced=paced, idles=idles)

    monkeypatch.setattr(inference, "HandPipeline", slowly)
    monkeypatch.setattr("handviz.pipeline.session.open_source", lambda *_: Camera(fakes))
    sessions = [Session(parse_source("0"), SessionConfig(estimator="fit")) for _ in range(4)]
    for session in sessions[:3]:
        session.start()
        wait_for(session.latest)
        session.stop()
    sessions[3].start()
    wait_for(sessions[3].latest)
    there.set()
    try:
        wait_for(lambda: shows(sessions[3], "fake"))
    finally:
        sessions[3].stop()
    assert len(begun) == 2, "one was under way, those in between are not begun"


def test_another_choice_does_not_wait_for_the_one_before(loading_dense: Session) -> None:
    wait_for(loading_dense.latest)
    loading_dense.update(replace(loading_dense.config, estimator="groups"))
    wait_for(lambda: shows(loading_dense, "groups"))


def test_of_choices_with_a_network_that_is_refused_the_others_stay(slow: threading.Event, numbered_video: Path) -> None:
    session = Session(parse_source(str(numbered_video)), SessionConfig(estimator="fit"), playing=False)
    session.start()
    try:
        wait_for(session.latest)
        others = replace(session.config, smoothing=False, fov_deg=90.0, max_hands=1)
        session.update(replace(others, estimator="unmet", hand_model="mine"))
        seen = wait_for(session.latest)
        assert session.config == others and session.state().error == "no such estimator"
        assert seen.estimator == "fit" and seen.frame.camera.K[0, 0] == pytest.approx(seen.frame.rgb.shape[1] / 2)
    finally:
        session.stop()


def test_a_camera_told_as_a_network_loads_is_not_kept_under_the_choices_before(
    slow: threading.Event, loading_dense: Session
) -> None:
    config = replace(loading_dense.config, estimator="fit")
    loading_dense.update(replace(loading_dense.config, fov_deg=20.0))
    wait_for(lambda: (r := loading_dense.latest()) is not None and r.frame.camera.fov_deg < 30)
    for _ in range(3):
        wait_for(loading_dense.latest)
    cache = loading_dense._inference.cache
    assert not any(cache.has(index, config) for index in range(40))


def test_choices_in_quick_succession_do_not_load_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    there, asked = threading.Event(), list[str]()

    def build(wanted: Any) -> dict[Any, Any]:
        asked.append(wanted[0][0])
        assert there.wait(20)
        return {wanted[0][0]: "made"}

    monkeypatch.setattr("handviz.pipeline.loader.build_all", build)
    loader, options = Loader(), EstimatorOptions()
    for name in ("dense", "groups", "fit"):
        assert loader.loaded([(name, options)]) is None
    wait_for(lambda: asked)
    there.set()
    assert wait_for(lambda: loader.loaded([("fit", options)])) == {"fit": "made"}
    assert asked == ["dense", "fit"]


def test_what_is_no_longer_wanted_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handviz.pipeline.loader.build_all", lambda wanted: {"dense": "made"})
    loader = Loader()
    loader.loaded([("dense", EstimatorOptions())])
    assert loader.loaded(()) == {} and loader._loading is None


def test_a_slider_moved_meanwhile_does_not_begin_the_loading_anew(
    slow: threading.Event, loading_dense: Session, built: list[Any]
) -> None:
    wait_for(loading_dense.latest)
    loading_dense.update(replace(loading_dense.config, refine_iterations=17))
    for _ in range(3):
        wait_for(loading_dense.latest)
    slow.set()
    wait_for(lambda: shows(loading_dense, "dense"))
    dense = [made for made in built if made.name == "dense"]
    assert [made.options.refine_iterations for made in dense] == [17]


def test_only_what_can_not_be_adjusted_is_loaded(slow: threading.Event) -> None:
    made = Estimators(SessionConfig(estimator="fit"), paced=True)
    names = lambda **changes: [name for name, _ in made.unloaded(replace(SessionConfig(estimator="fit"), **changes))]  # noqa: E731
    assert names() == names(refine_iterations=7, want_heatmaps=True, groups_weights=Path("a")) == []
    assert names(estimator="groups", compare_with="mediapipe") == ["groups", "mediapipe"]
    assert names(hand_model="mine") == names(device="cuda") == ["fit"]
    assert names(estimator=AUTO) == ["groups-fit"]


def test_what_was_loaded_is_taken_over_and_what_was_not_is_told(slow: threading.Event) -> None:
    made, loader = Estimators(SessionConfig(estimator="fit"), paced=True), Loader()
    asked = SessionConfig(estimator="groups")
    loaded = wait_for(lambda: loader.loaded(made.unloaded(asked)))
    made.configure(asked, loaded)
    assert list(loaded.values()) == [made.first]
    unmet = SessionConfig(estimator="unmet")
    assert wait_for(lambda: None if (answer := loader.loaded(made.unloaded(unmet))) is None else [answer]) == [{}]
    with pytest.raises(HandvizError, match="no such estimator"):
        made.configure(unmet, {})
    assert made.first.name == "groups"
