from __future__ import annotations

import numpy as np
import pytest

from handviz.geometry.alignment import similarity_align, solve_translation
from handviz.geometry.camera import (
    NEAREST_M,
    Camera,
    camera_from_fov,
    intrinsics_from_fov,
    narrowed_for,
    project,
    scale_intrinsics,
    unproject,
)


def test_unproject_inverts_project() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.2, -0.2, 0.2], [0.2, 0.2, 1.0], (50, 3))
    K = intrinsics_from_fov(640, 480, 70)
    np.testing.assert_allclose(unproject(project(points, K), points[:, 2], K), points, atol=1e-12)


def test_points_behind_the_camera_have_no_pixel() -> None:
    pixels = project(np.array([[0.0, 0.0, -0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.5]]), intrinsics_from_fov(64, 64))
    assert np.isnan(pixels[:2]).all()
    np.testing.assert_allclose(pixels[2], [31.5, 31.5])


def test_field_of_view_spans_the_longer_side() -> None:
    K = intrinsics_from_fov(640, 480, 60)
    edge = unproject(np.array([[-0.5, 239.5], [639.5, 239.5]]), np.ones(2), K)
    angle = np.degrees(np.arctan(edge[1, 0]) - np.arctan(edge[0, 0]))
    assert angle == pytest.approx(60.0, abs=1e-9)
    assert camera_from_fov(640, 480, 42).fov_deg == camera_from_fov(480, 640, 42).fov_deg == pytest.approx(42)


def test_resizing_respects_pixel_centres() -> None:
    K = intrinsics_from_fov(640, 480)
    small = scale_intrinsics(K, 0.25, 0.25)
    point = np.array([[0.1, -0.05, 0.6]])
    np.testing.assert_allclose(project(point, small), 0.25 * (project(point, K) + 0.5) - 0.5)


@pytest.mark.parametrize("K", [np.eye(4), np.full((3, 3), np.nan), np.zeros((3, 3))])
def test_wrong_camera_matrix_is_refused(K: np.ndarray) -> None:
    with pytest.raises(ValueError):
        Camera(width=10, height=10, K=K)


def test_translation_is_recovered() -> None:
    rng = np.random.default_rng(1)
    shape = rng.normal(0, 0.05, (21, 3))
    t = np.array([0.1, -0.07, 0.55])
    camera = camera_from_fov(640, 480)
    pixels = project(shape + t, camera.K)
    np.testing.assert_allclose(solve_translation(shape, pixels, camera.K), t, atol=1e-9)
    pixels[3] = np.nan
    np.testing.assert_allclose(solve_translation(shape, pixels, camera.K), t, atol=1e-9)


def test_translation_needs_two_points() -> None:
    with pytest.raises(ValueError, match="two finite points"):
        solve_translation(np.zeros((3, 3)), np.full((3, 2), np.nan), np.eye(3))


def test_similarity_alignment_undoes_any_similarity() -> None:
    rng = np.random.default_rng(2)
    target = rng.normal(size=(4, 21, 3))
    Q, _ = np.linalg.qr(rng.normal(size=(4, 3, 3)))
    Q *= np.sign(np.linalg.det(Q))[:, None, None]
    source = 2.5 * target @ Q + rng.normal(size=(4, 1, 3))
    np.testing.assert_allclose(similarity_align(source, target), target, atol=1e-9)


def test_similarity_alignment_does_not_reflect() -> None:
    target = np.random.default_rng(3).normal(size=(21, 3))
    mirrored = target * [-1, 1, 1]
    assert np.abs(similarity_align(mirrored, target) - target).max() > 0.1


def test_only_an_assumed_camera_is_narrowed_and_only_for_a_near_hand() -> None:
    assumed, told = camera_from_fov(640, 480), camera_from_fov(640, 480, 60.0)
    assert (assumed.source, told.source) == ("assumed", "told")
    narrow = narrowed_for(assumed, NEAREST_M / 2)
    np.testing.assert_allclose(narrow.K, assumed.K * [[2, 1, 1], [1, 2, 1], [1, 1, 1]])
    assert narrowed_for(told, NEAREST_M / 2) is told
    assert narrowed_for(assumed, 2 * NEAREST_M) is assumed
    for nowhere in (0.0, -1.0, float("nan")):
        assert narrowed_for(assumed, nowhere) is assumed
