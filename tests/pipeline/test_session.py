from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from handviz.capture.base import SourceSpec, parse_source
from handviz.capture.calibration import Intrinsics, save_intrinsics
from handviz.errors import SourceError
from handviz.pipeline import inference
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.session import Session
from handviz.pipeline.slots import LatestSlot
from handviz.records import Frame, FrameResult
from tests.capture.exif_files import encoded, exif
from tests.pipeline.waiting import wait_for


def shown(session: Session, index: int) -> FrameResult:
    def look() -> FrameResult | None:
        result = session.latest()
        return result if result is not None and result.frame.index == index else None

    answer = wait_for(look)
    assert isinstance(answer, FrameResult)
    return answer


def session_on(path: Path, *, playing: bool = True, **choices: object) -> Session:
    session = Session(parse_source(str(path)), SessionConfig(**choices), playing=playing)  # type: ignore[arg-type]
    session.start()
    return session


def test_newest_wins_and_drops_are_counted() -> None:
    slot: LatestSlot[int] = LatestSlot()
    for item in (1, 2, 3):
        slot.put(item)
    assert slot.take() == 3 and slot.dropped == 2
    assert slot.take(timeout_s=0.01) is None
    slot.close()
    assert slot.take() is None


def test_the_first_frame_waits_to_be_analysed(fakes: ModuleType, numbered_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, build = threading.Event(), inference.HandPipeline
    monkeypatch.setattr(inference, "HandPipeline", lambda *given, **named: loaded.wait(60) and build(*given, **named))
    session = session_on(numbered_video)
    try:
        waiting = wait_for(lambda: session.state().waiting)
        assert isinstance(waiting, Frame) and waiting.index == 0
        assert session.latest() is None and not session.state().ready
        loaded.set()
        wait_for(lambda: session.state().ready)
        assert session.state().waiting is not None, "nothing is shown in its place yet"
        assert shown(session, 0).frame.rgb is waiting.rgb and session.state().waiting is None
    finally:
        loaded.set()
        session.stop()


def test_plays_to_the_end_and_again(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video)
    try:
        session.set_speed(4)
        wait_for(lambda: session.state().ended)
        assert session.state().position == 39 and not session.state().playing
        session.resume()
        wait_for(lambda: session.state().position < 39)
        wait_for(lambda: (s := session.stats()).stage_ms and s.analysed + s.dropped >= 39)
    finally:
        session.stop()


def test_paused_session_shows_the_first_frame_seeks_and_steps(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, playing=False)
    try:
        shown(session, 0)
        session.seek(25)
        assert (shown(session, 25).frame.rgb.mean() + 3) / 6 == pytest.approx(25, abs=0.5)
        session.step(1)
        shown(session, 26)
        session.step(-3)
        shown(session, 23)
        time.sleep(0.1)
        assert session.state().position == 23
    finally:
        session.stop()


def test_intrinsics_of_another_shape_are_refused_and_the_session_goes_on(
    fakes: ModuleType, numbered_video: Path, tmp_path: Path
) -> None:
    wide = tmp_path / "wide.json"
    save_intrinsics(Intrinsics(K=np.array([[900.0, 0, 639.5], [0, 900, 359.5], [0, 0, 1]]), size=(1280, 720)), wide)
    session = session_on(numbered_video, playing=False)
    try:
        shown(session, 0)
        with pytest.raises(SourceError, match=r"wide\.json"):
            session.update(replace(session.config, intrinsics=wide))
        assert session.config.intrinsics is None
        session.step(1)
        shown(session, 1)
        session.update(replace(session.config, fov_deg=80.0))
        wait_for(lambda: (result := session.latest()) is not None and result.frame.index == 1)
    finally:
        session.stop()


def test_a_photograph_keeps_its_lens_and_its_turn_when_choices_change(fakes: ModuleType, tmp_path: Path) -> None:
    lens, photo = tmp_path / "lens.json", tmp_path / "photo.jpg"
    save_intrinsics(Intrinsics(K=np.array([[90.0, 0, 20], [0, 90, 30], [0, 0, 1]]), size=(80, 60)), lens)
    photo.write_bytes(encoded("jpg", np.zeros((60, 80, 3), np.uint8), exif(6, 26)))
    session = session_on(photo, playing=False)
    try:
        first = shown(session, 0).frame.camera
        assert first.K[0, 0] == pytest.approx(26 * 100 / 43.27) and first.size == (60, 80)
        session.update(replace(session.config, fov_deg=80.0))
        assert shown(session, 0).frame.camera.K[0, 0] == pytest.approx(40 / np.tan(np.radians(40)))
        session.update(replace(session.config, fov_deg=None))
        np.testing.assert_array_equal(shown(session, 0).frame.camera.K, first.K)
        session.update(replace(session.config, intrinsics=lens))
        np.testing.assert_allclose(shown(session, 0).frame.camera.K, [[90, 0, 29], [0, 90, 20], [0, 0, 1]])
    finally:
        session.stop()


def test_a_step_right_after_a_seek_counts_from_there(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, playing=False)
    try:
        shown(session, 0)
        session.seek(20)
        session.step(1)
        shown(session, 21)
    finally:
        session.stop()


def test_a_recording_loses_no_frame_while_the_networks_load(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video)
    try:
        first = wait_for(session.latest)
        assert isinstance(first, FrameResult) and first.frame.index <= 2
    finally:
        session.stop()


def test_loop_stays_in_the_range(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, playing=False)
    try:
        # No faster than it was recorded, or a busy machine shows nothing but the last frame of each round.
        session.set_range(10, 14)
        session.set_loop(True)
        session.seek(10)
        session.resume()
        seen: list[int] = []
        wait_for(lambda: (r := session.latest()) is not None and (seen.append(r.frame.index) or len(seen) >= 14))
        # The first may still be the one that was shown before.
        assert set(seen[1:]) <= set(range(10, 15))
        assert sorted(seen) != seen, "it went round"
    finally:
        session.stop()


def test_changed_choices_analyse_the_paused_frame_again(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, playing=False)
    try:
        first = shown(session, 0)
        session.update(replace(session.config, fov_deg=90.0))
        again = shown(session, 0)
        assert again.frame.camera.K[0, 0] < first.frame.camera.K[0, 0]
    finally:
        session.stop()


def test_a_held_hand_keeps_its_number_however_often_it_is_analysed(
    fakes: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Unlike the stand-in's, a detector finds the same hand in the same picture.
    found = fakes.FakeDetector().detect(fakes.disc_picture(105))
    monkeypatch.setattr(fakes.FakeDetector, "detect", lambda self, rgb: found)
    path = tmp_path / "patch.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for u in range(100, 110):
        writer.write(fakes.disc_picture(u))
    writer.release()
    session = session_on(path, playing=False)
    try:
        session.seek(5)
        numbers = [shown(session, 5).hands[0].track_id]
        for strength in (0.3, 0.5, 0.9):
            session.update(replace(session.config, smoothing_strength=strength))
            numbers.append(shown(session, 5).hands[0].track_id)
        assert len(set(numbers)) == 1
    finally:
        session.stop()


def test_results_are_prepared_by_the_analysis_before_they_are_handed_over(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, playing=False)
    prepared: list[tuple[FrameResult, str]] = []
    try:
        shown(session, 0)
        session.prepare_with(lambda result: prepared.append((result, threading.current_thread().name)))
        session.seek(25)
        sought = shown(session, 25)
        session.update(replace(session.config, fov_deg=90.0))
        again = shown(session, 25)
        assert [result for result, _ in prepared] == [sought, again]
        assert {name for _, name in prepared} == {"handviz-inference"}
    finally:
        session.stop()


def test_wrong_choice_is_told_and_the_session_goes_on(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video)
    try:
        session.set_loop(True)
        session.update(replace(session.config, estimator="unknown"))
        wait_for(lambda: session.state().error)
        assert "unknown estimator" in (session.state().error or "")
        position = session.state().position
        wait_for(lambda: session.state().position != position)
    finally:
        session.stop()


def test_stops_at_once_while_playing_and_while_paused(fakes: ModuleType, numbered_video: Path) -> None:
    for playing in (True, False):
        session = session_on(numbered_video, playing=playing)
        wait_for(lambda s=session: s.state().ready)
        session.stop()
        assert not any(thread.is_alive() for thread in session._threads)
        session.stop()


def test_source_that_ends_in_an_error_says_so(fakes: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 200, (64, 48))
    for level in range(60):
        writer.write(np.full((48, 64, 3), 4 * level, np.uint8))
    writer.release()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    session = session_on(path)
    try:
        wait_for(lambda: session.state().error)
        assert "cut short" in (session.state().error or "")
    finally:
        session.stop()


def test_missing_source_is_told_at_the_start(tmp_path: Path) -> None:
    session = Session(SourceSpec(kind="video", path=tmp_path / "gone.mp4"), SessionConfig())
    with pytest.raises(SourceError, match="no such video"):
        session.start()
    session.stop()


def test_a_choice_that_can_not_be_met_at_the_start_waits_for_another(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, estimator="unknown")
    try:
        wait_for(lambda: session.state().error)
        assert session.running() is None
        session.update(replace(session.config, estimator="fit"))
        result = wait_for(session.latest)
        assert isinstance(result, FrameResult) and session.state().error is None
        running = session.running()
        assert running is not None and running.estimator == "fit"
    finally:
        session.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unexpected_error_at_the_start_is_told(
    fakes: ModuleType, numbered_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no one expects this")

    monkeypatch.setattr("handviz.pipeline.inference.HandPipeline", broken)
    session = session_on(numbered_video)
    try:
        wait_for(lambda: session.state().error)
        assert "stopped unexpectedly" in (session.state().error or "")
    finally:
        session.stop()
        # On a busy machine its thread may end after stop() has, and its error would count as the next test's.
        wait_for(lambda: not any(thread.is_alive() for thread in session._threads))


def test_a_session_that_waits_for_a_choice_stops_at_once(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, estimator="unknown")
    wait_for(lambda: session.state().error)
    session.stop()
    assert not any(thread.is_alive() for thread in session._threads)


def test_what_was_analysed_ahead_under_auto_is_found_again(fakes: ModuleType, numbered_video: Path) -> None:
    session = session_on(numbered_video, playing=False, estimator="auto")
    try:
        shown(session, 0)
        session.analyse_all()
        wait_for(lambda: (p := session.analysis()) is not None and not p.running)
        session.seek(30)
        assert shown(session, 30).timings_ms == {}, "it comes from the cache"
    finally:
        session.stop()
