from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest

from handviz.capture.base import parse_source
from handviz.fit.rig import rig_of
from handviz.geometry.camera import camera_from_fov, narrowed_for
from handviz.hand.mirror import mirror_points
from handviz.hand.model import load_hand_model
from handviz.pipeline.ahead import AnalyseAhead
from handviz.pipeline.config import SessionConfig, with_present_files
from handviz.pipeline.result_cache import ResultCache
from handviz.pipeline.session import Session
from handviz.records import Frame, FrameResult, HandEstimate, HandJoints, HandMesh, HandParams, Stage
from tests.pipeline.waiting import WAIT_S, wait_for

CONFIG = SessionConfig()
RNG = np.random.default_rng(0)


def frame(index: int) -> Frame:
    return Frame(
        index=index, t_capture_s=index / 30, t_arrival_s=0.0, rgb=np.zeros((4, 4, 3), np.uint8), camera=camera_from_fov(4, 4)
    )


def left_hand_with_mesh() -> HandEstimate:
    params = HandParams(
        pose=RNG.normal(0, 0.2, 45),
        shape=RNG.normal(size=10),
        root_rotation=RNG.normal(size=3),
        translation_m=np.array([0.1, 0, 0.5]),
        scale=1.1,
    )
    rig = rig_of(load_hand_model("default"))
    vertices, _ = rig.mesh(params)
    mesh = HandMesh(vertices_camera_m=mirror_points(vertices), faces=rig.faces_F3, params=params)
    joints = HandJoints(
        joints_camera_m=RNG.normal(size=(21, 3)),
        joints_px=RNG.uniform(0, 600, (21, 2)),
        confidence=RNG.uniform(size=21),
        scale_source="user",
    )
    return HandEstimate(
        track_id=3,
        side="left",
        score=0.8,
        box_xyxy_px=np.arange(4.0),
        joints=joints,
        mesh=mesh,
        groups=np.arange(21) % 3,
        stage="smoothed",
    )


@pytest.mark.parametrize("stage", get_args(Stage))
def test_a_hand_keeps_its_stage(stage: Stage) -> None:
    cache = ResultCache()
    cache.put(FrameResult(frame=frame(7), hands=(replace(left_hand_with_mesh(), stage=stage),)), CONFIG)
    known = cache.get(frame(7), CONFIG)
    assert known is not None and known.hands[0].stage == stage


def test_what_was_put_comes_back_with_its_mesh() -> None:
    cache = ResultCache()
    hand = left_hand_with_mesh()
    cache.put(FrameResult(frame=frame(7), hands=(hand,)), CONFIG)
    known = cache.get(frame(7), CONFIG)
    assert known is not None
    back = known.hands[0]
    assert (back.track_id, back.side, back.stage) == (3, "left", "smoothed")
    assert back.joints.scale_source == "user"
    np.testing.assert_allclose(back.joints.joints_camera_m, hand.joints.joints_camera_m, atol=1e-6)
    np.testing.assert_allclose(back.joints.joints_px, hand.joints.joints_px, atol=1e-3)
    np.testing.assert_array_equal(back.groups, hand.groups)
    assert back.mesh is not None and hand.mesh is not None
    np.testing.assert_allclose(back.mesh.vertices_camera_m, hand.mesh.vertices_camera_m, atol=1e-6)


def test_another_configuration_empties_it() -> None:
    cache = ResultCache()
    cache.put(FrameResult(frame=frame(0), hands=()), CONFIG)
    other = replace(CONFIG, smoothing=False)
    assert cache.get(frame(0), other) is None
    cache.put(FrameResult(frame=frame(1), hands=()), other)
    assert len(cache) == 1 and cache.has(1, other) and not cache.has(0, CONFIG)


def test_weights_that_were_written_anew_count_as_others(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    config = SessionConfig(estimator="groups", groups_weights=weights)
    assert with_present_files(config) == config, "it is not there yet"
    weights.write_bytes(b"first")
    first = with_present_files(config)
    cache = ResultCache()
    cache.put_ahead(FrameResult(frame=frame(0), hands=()), first)
    assert cache.has(0, with_present_files(first))
    weights.write_bytes(b"second")
    assert not cache.has(0, with_present_files(first))


def test_maps_and_comparisons_change_nothing_that_is_kept() -> None:
    cache = ResultCache()
    cache.put(FrameResult(frame=frame(0), hands=()), CONFIG)
    more = replace(CONFIG, want_heatmaps=True, want_features=True, compare_with="fit")
    cache.put(FrameResult(frame=frame(1), hands=()), more)
    assert cache.has(0, more) and cache.has(1, CONFIG)


def test_view_and_analysis_ahead_do_not_empty_each_other() -> None:
    cache, other = ResultCache(), replace(CONFIG, smoothing=False)
    for index in range(6):
        cache.put(FrameResult(frame=frame(index), hands=()), CONFIG)
        cache.put_ahead(FrameResult(frame=frame(index + 10), hands=()), other)
    assert all(cache.has(index, CONFIG) and cache.has(index + 10, other) for index in range(6))
    assert len(cache) == 6 and np.isnan(cache.curve(20)[10:]).all(), "the view's own are those that count"
    cache.put(FrameResult(frame=frame(0), hands=()), other)
    assert len(cache) == 7 and np.isfinite(cache.curve(20)[10:16]).all(), "the view came to what was analysed ahead"
    cache.put_ahead(FrameResult(frame=frame(1), hands=()), other)
    assert len(cache) == 8 and not cache.has(0, CONFIG)


def test_curve_tells_known_from_unknown_frames() -> None:
    cache = ResultCache()
    hand = left_hand_with_mesh()
    cache.put(FrameResult(frame=frame(1), hands=(hand,)), CONFIG)
    cache.put(FrameResult(frame=frame(2), hands=()), CONFIG)
    curve = cache.curve(4)
    assert np.isnan(curve[[0, 3]]).all() and curve[2] == 0
    assert np.isclose(curve[1], hand.joints.confidence.mean())


def test_an_hour_stays_small() -> None:
    cache = ResultCache()
    hand = left_hand_with_mesh()
    for i in range(10):
        cache.put(FrameResult(frame=frame(i), hands=(hand, hand)), CONFIG)
    assert cache._viewed is not None
    bytes_a_frame = np.mean([rows.nbytes for rows in cache._viewed.rows.values()]) + 250
    assert bytes_a_frame * 3600 * 30 < 300e6


def test_whole_recording_is_analysed_ahead(fakes: ModuleType, numbered_video: Path) -> None:
    cache = ResultCache()
    ahead = AnalyseAhead(parse_source(str(numbered_video)), CONFIG, cache, 40)
    ahead._thread.join(20)
    assert ahead.progress.done == 40 and not ahead.progress.running and ahead.progress.problem is None
    assert len(cache) == 40


def test_analysing_ahead_can_be_cancelled(fakes: ModuleType, numbered_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, plain = threading.Event(), fakes.FakeDetector.detect
    for name in ("detect", "detect_thoroughly", "detect_eagerly"):
        monkeypatch.setattr(fakes.FakeDetector, name, lambda self, rgb: go.wait(WAIT_S) and plain(self, rgb))
    cache = ResultCache()
    ahead = AnalyseAhead(parse_source(str(numbered_video)), CONFIG, cache, 40)
    ahead.cancel(0)
    assert ahead.progress.running and len(cache) == 0
    go.set()
    ahead.cancel(20)
    assert not ahead.progress.running
    assert len(cache) == ahead.progress.done == 1


def test_session_shows_known_frames_without_the_network(fakes: ModuleType, numbered_video: Path) -> None:
    session = Session(parse_source(str(numbered_video)), CONFIG, playing=False)
    session.start()
    try:
        session.analyse_all()
        assert session._ahead is not None
        session._ahead._thread.join(20)
        wait_for(session.latest)
        calls = fakes.FakeDetector.calls
        curve = session.confidence_curve()
        assert curve.shape == (40,) and np.isfinite(curve).all()
        session.seek(30)
        deadline = 0
        while (result := session.latest()) is None or result.frame.index != 30:
            time.sleep(0.01)
            deadline += 1
            assert deadline < 3000
        assert fakes.FakeDetector.calls == calls
    finally:
        session.stop()


def test_a_photograph_comes_back_with_the_camera_that_it_was_seen_by() -> None:
    cache, picture = ResultCache(), replace(frame(0), path=Path("hand.jpg"), name="hand.jpg")
    narrow = narrowed_for(picture.camera, 0.1)
    cache.put(FrameResult(frame=replace(picture, camera=narrow), hands=(left_hand_with_mesh(),)), CONFIG)
    back = cache.get(picture, CONFIG)
    assert back is not None and back.frame.camera is narrow and back.frame.rgb is picture.rgb
