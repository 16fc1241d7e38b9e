"""The choice ``auto``: it starts with the best estimator and takes the next one where that cannot keep up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from handviz.errors import HandvizError, ModelFileError
from handviz.geometry.camera import camera_from_fov
from handviz.models.checkpoint import save_weights
from handviz.models.weights_files import DENSE_KIND, GROUPS_KIND, Weights
from handviz.pipeline import estimators
from handviz.pipeline.auto import BEST_FIRST, BETTER_TAKES, CALM, LOOKED_AT, AutoChoice, beside_the_view
from handviz.pipeline.config import AUTO, SessionConfig, chosen
from handviz.pipeline.estimators import Estimators
from handviz.pipeline.step import HandPipeline
from handviz.records import Frame


def fed(auto: AutoChoice, frame_ms: float, gap_ms: float, count: int = LOOKED_AT) -> list[bool]:
    return [auto.saw(frame_ms, gap_ms) for _ in range(count)]


@pytest.mark.parametrize(("frame_ms", "gap_ms"), [(20, 33), (33, 33), (60, 100), (30, 16)])
def test_stays_with_the_best_that_keeps_up(frame_ms: float, gap_ms: float) -> None:
    auto = AutoChoice()
    assert not any(fed(auto, frame_ms, gap_ms, 3 * LOOKED_AT)) and auto.name == BEST_FIRST[0] and auto.reason is None


def test_takes_the_next_when_too_slow_and_says_why() -> None:
    auto = AutoChoice()
    assert fed(auto, 70, 33).index(True) == LOOKED_AT - 1
    assert auto.name == BEST_FIRST[1] and f"{BEST_FIRST[0]} took 70 ms per frame" in (auto.reason or "")
    assert fed(auto, 500, 33).index(True) == LOOKED_AT - 1 and auto.name == BEST_FIRST[2]
    assert not any(fed(auto, 500, 33, 3 * LOOKED_AT))


def until_it_changes(auto: AutoChoice, frame_ms: float, gap_ms: float) -> int:
    return next(count for count in range(1, 10 * CALM) if auto.saw(frame_ms, gap_ms))


def test_comes_back_where_there_is_room_again_and_later_each_time() -> None:
    auto = AutoChoice()
    for wait in (CALM, 2 * CALM):
        assert until_it_changes(auto, 70, 33) == LOOKED_AT and auto.name == BEST_FIRST[1]
        assert until_it_changes(auto, 33 / BETTER_TAKES - 1, 33) == LOOKED_AT + wait - 1
        assert auto.name == BEST_FIRST[0] and auto.reason is None
    until_it_changes(auto, 70, 33), until_it_changes(auto, 70, 33)
    assert auto.name == BEST_FIRST[2]
    until_it_changes(auto, 10, 33)
    assert auto.name == BEST_FIRST[1] and f"{BEST_FIRST[0]} took" in (auto.reason or "")


def test_does_not_come_back_where_only_the_faster_one_has_room() -> None:
    auto = AutoChoice()
    fed(auto, 70, 33)
    assert not any(fed(auto, 33 / BETTER_TAKES + 1, 33, 5 * CALM)), "the better one would hardly keep up"
    for _ in range(5):
        assert not any(fed(auto, 10, 33, CALM // 2)) and not any(fed(auto, 30, 33, LOOKED_AT))


def test_a_hiccup_changes_nothing() -> None:
    auto = AutoChoice()
    for _ in range(10):
        fed(auto, 20, 33, 20)
        assert not any(fed(auto, 400, 33, 5))


def test_frames_that_share_the_cores_with_another_analysis_do_not_count() -> None:
    auto = AutoChoice()
    fed(auto, 20, 33, LOOKED_AT)
    with beside_the_view():
        with beside_the_view():
            assert not any(fed(auto, 500, 33, 2 * LOOKED_AT))
        assert not any(fed(auto, 500, 33, 2 * LOOKED_AT))
    assert not any(fed(auto, 500, 33, LOOKED_AT // 2 - 1)), "the calm frames before count on"
    assert any(fed(auto, 500, 33, LOOKED_AT))


@pytest.fixture
def named(fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(name: str, options: Any) -> Any:
        made = fakes.FakeEstimator()
        made.name = name
        return made

    monkeypatch.setattr(estimators, "create_estimator", create)


@pytest.mark.parametrize(("paced", "expected"), [(True, BEST_FIRST[1]), (False, BEST_FIRST[0])])
def test_only_a_source_that_does_not_wait_counts(named: None, paced: bool, expected: str) -> None:
    running = Estimators(SessionConfig(estimator=AUTO), paced=paced)
    # While the next one loads, the slow one continues, which says nothing about the next.
    for _ in range(3 * LOOKED_AT):
        running.saw(100.0, 33.0)
    assert running.outpaced == paced and running.first.name == BEST_FIRST[0], "it is loaded elsewhere"
    running.configure(SessionConfig(estimator=AUTO))
    assert not running.outpaced and running.first.name == running.config.estimator == running.running.estimator == expected
    assert (running.running.reason is not None) == paced
    running.configure(SessionConfig(estimator=AUTO, smoothing=False))
    assert running.first.name == expected, "another choice does not start it anew"
    running.configure(SessionConfig(estimator="groups"))
    assert running.first.name == "groups" and running.running.reason is None
    running.configure(SessionConfig(estimator=AUTO))
    assert running.first.name == BEST_FIRST[0]


def test_a_faster_estimator_that_can_not_be_had_is_not_tried_again(named: None, monkeypatch: pytest.MonkeyPatch) -> None:
    running, create = Estimators(SessionConfig(estimator=AUTO), paced=True), estimators.create_estimator

    def broken(name: str, options: Any) -> Any:
        if name == BEST_FIRST[1]:
            raise HandvizError("its weights are damaged")
        return create(name, options)

    monkeypatch.setattr(estimators, "create_estimator", broken)
    for smoothing in (True, False):
        for _ in range(LOOKED_AT):
            running.saw(100.0, 33.0)
        running.configure(SessionConfig(estimator=AUTO, smoothing=smoothing))
        assert running.first.name == running.config.estimator == BEST_FIRST[0]
        assert not running.outpaced and running.running.reason is None and running.config.smoothing == smoothing


def test_a_better_estimator_that_can_not_be_had_any_more_is_not_tried_again(named: None, monkeypatch: pytest.MonkeyPatch) -> None:
    config, create = SessionConfig(estimator=AUTO), estimators.create_estimator
    running = Estimators(config, paced=True)
    for _ in range(LOOKED_AT):
        running.saw(100.0, 33.0)
    running.configure(config)

    def gone(name: str, options: Any) -> Any:
        if name == BEST_FIRST[0]:
            raise HandvizError("its weights are gone")
        return create(name, options)

    monkeypatch.setattr(estimators, "create_estimator", gone)
    for _ in range(3):
        for _ in range(4 * CALM):
            running.saw(10.0, 33.0)
        running.configure(config)
        assert running.first.name == BEST_FIRST[1] and not running.outpaced


@pytest.mark.parametrize(("speed", "outpaced"), [(1.0, False), (2.0, True)])
def test_the_speed_of_playing_counts(
    named: None, fakes: ModuleType, monkeypatch: pytest.MonkeyPatch, speed: float, outpaced: bool
) -> None:
    monkeypatch.setattr("handviz.pipeline.step.Stopwatch.stage", lambda self, name: _Slow(self, name, 15.0))
    pipeline = HandPipeline(SessionConfig(estimator=AUTO), paced=True)
    camera = camera_from_fov(320, 240)
    for i in range(LOOKED_AT + 2):
        rgb, arrival = fakes.disc_picture(100), i / 15 / speed
        pipeline.process(Frame(index=i, t_capture_s=i / 15, t_arrival_s=arrival, rgb=rgb, camera=camera))
    assert pipeline.outpaced == outpaced


def test_a_pipeline_that_falls_behind_changes_over(named: None, fakes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handviz.pipeline.step.Stopwatch.stage", lambda self, name: _Slow(self, name))
    pipeline = HandPipeline(SessionConfig(estimator=AUTO), paced=True)
    camera = camera_from_fov(320, 240)
    results = []
    for i in range(LOOKED_AT + 2):
        if pipeline.outpaced:
            pipeline.configure(pipeline.config)
        rgb = fakes.disc_picture(100)
        results.append(pipeline.process(Frame(index=i, t_capture_s=i / 30, t_arrival_s=i / 30, rgb=rgb, camera=camera)))
    assert results[0].estimator == BEST_FIRST[0] and results[-1].estimator == BEST_FIRST[1]
    assert results[-1].hands


class _Slow:
    """A stage that reports this duration, a second by default."""

    def __init__(self, watch: Any, name: str, ms: float = 1000.0) -> None:
        watch.ms[name] = ms

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_weights_choose_their_estimator(tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"{kind}.safetensors" for kind in (GROUPS_KIND, DENSE_KIND, "other")}
    for kind, path in paths.items():
        save_weights(path, Weights(kind=kind, config={}, tensors={"a": torch.ones(1)}, notes={}))
    groups, dense = chosen(None, paths[GROUPS_KIND]), chosen(None, paths[DENSE_KIND])
    assert (groups.estimator, groups.options().weights) == ("groups", paths[GROUPS_KIND])
    assert (dense.estimator, dense.options().weights) == ("dense", paths[DENSE_KIND])
    assert replace(groups, compare_with="dense").options("dense").weights is None
    assert chosen("groups", paths[GROUPS_KIND]) == groups
    assert chosen("groups-fit", paths[GROUPS_KIND]) == replace(groups, estimator="groups-fit")
    assert chosen(None, None) == SessionConfig()
    with pytest.raises(ModelFileError, match="which no estimator runs"):
        chosen(None, paths["other"])
    with pytest.raises(ModelFileError, match="not for 'fit'"):
        chosen("fit", paths[GROUPS_KIND])
