"""The bundled clip through the real pipeline, against the exact joints it was rendered from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from handviz.capture.base import SourceSpec
from handviz.clip import bundled_clip
from handviz.geometry.alignment import similarity_align
from handviz.hand.skeleton import palm_length
from handviz.pipeline.config import SessionConfig
from handviz.pipeline.offline import analyse
from handviz.records import FrameResult, HandJoints

FRAMES = 90


@pytest.fixture(scope="module")
def clip() -> Path:
    path = bundled_clip()
    assert path is not None, "the bundled clip travels with the package"
    return path


def results_of(clip: Path, **choices: object) -> Iterator[FrameResult]:
    results = analyse(SourceSpec(kind="video", path=clip), SessionConfig(**choices))  # type: ignore[arg-type]
    for _, result in zip(range(FRAMES), results, strict=False):
        yield result
    results.close()


@pytest.fixture(scope="module")
def followed(clip: Path) -> list[FrameResult]:
    return list(results_of(clip, estimator="mediapipe", smoothing=False))


def joints_in(followed: list[FrameResult]) -> tuple[list[HandJoints], list[int]]:
    found = [(r.hands[0].joints, r.frame.index) for r in followed if r.hands]
    return [joints for joints, _ in found], [index for _, index in found]


def test_the_hand_is_found_and_keeps_its_name_and_side(followed: list[FrameResult]) -> None:
    hands = [r.hands[0] for r in followed if r.hands]
    assert len(hands) >= 0.95 * FRAMES
    assert len({hand.track_id for hand in hands}) <= 2
    assert {hand.side for hand in hands} == {"right"}


def test_joints_lie_on_the_true_ones(followed: list[FrameResult], clip: Path) -> None:
    truth = np.load(clip.with_suffix(".npz"), allow_pickle=False)
    joints, index = joints_in(followed)
    true_px, true_m = truth["joints_px"][index], truth["joints_camera_m"][index]
    error_px = np.linalg.norm(np.stack([j.joints_px for j in joints]) - true_px, axis=-1)
    assert np.median(error_px.mean(-1) / palm_length(true_px)) < 0.12
    aligned = similarity_align(np.stack([j.joints_camera_m for j in joints]), true_m.astype(float))
    pa_mpjpe_mm = np.linalg.norm(aligned - true_m, axis=-1).mean(-1) * 1e3
    assert np.median(pa_mpjpe_mm) < 14


def test_metres_and_pixels_agree(followed: list[FrameResult]) -> None:
    joints, _ = joints_in(followed)
    K = followed[0].frame.camera.K
    uvw = np.stack([one.joints_camera_m for one in joints]) @ K.T
    pixels = np.stack([one.joints_px for one in joints])
    gap = np.linalg.norm(uvw[..., :2] / uvw[..., 2:] - pixels, axis=-1)
    assert np.median(gap / palm_length(pixels)[:, None]) < 0.15
