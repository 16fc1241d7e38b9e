from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handviz.crop import (
    CropSpec,
    CropWindow,
    crop_to_image,
    cut_crop,
    image_to_crop,
    joints_from_crop,
    params_from_crop,
    params_to_crop,
    window_from_joints,
)
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.mirror import MIRROR, Side, mirror_faces, mirror_points, mirror_rotation
from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from handviz.records import HandParams
from tests.crops import project_to_crop

CAMERA = camera_from_fov(640, 480)
SIDES = st.sampled_from(["left", "right"])


def hand_points(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.05, (21, 3)) + rng.uniform([-0.2, -0.1, 0.35], [0.2, 0.1, 0.8])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), side=SIDES)
def test_crop_commutes_with_projection(seed: int, side: Side) -> None:
    points = hand_points(seed)
    pixels = project(points, CAMERA.K)
    window = window_from_joints(pixels, CropSpec())
    crop = cut_crop(np.zeros((480, 640, 3), np.uint8), CAMERA, window, side, 128)
    np.testing.assert_allclose(image_to_crop(pixels, crop.H_crop_from_image), project_to_crop(points, crop), atol=1e-6)
    np.testing.assert_allclose(crop_to_image(image_to_crop(pixels, crop.H_crop_from_image), crop.H_crop_from_image), pixels)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), side=SIDES)
def test_joints_come_back_unmirrored_in_the_full_camera(seed: int, side: Side) -> None:
    points = hand_points(seed)
    pixels = project(points, CAMERA.K)
    crop = cut_crop(np.zeros((480, 640, 3), np.uint8), CAMERA, window_from_joints(pixels, CropSpec()), side, 128)
    in_crop = points @ crop.Q_crop_from_camera.T
    joints = joints_from_crop(crop, in_crop, project(in_crop, crop.K_crop), np.ones(21))
    np.testing.assert_allclose(joints.joints_camera_m, points, atol=1e-12)
    np.testing.assert_allclose(joints.joints_px, pixels, atol=1e-6)


def test_window_is_centred_upright_and_of_the_asked_size() -> None:
    points = hand_points(4)
    pixels = project(points, CAMERA.K)
    window = window_from_joints(pixels, CropSpec(expand=1.5))
    crop = cut_crop(np.zeros((480, 640, 3), np.uint8), CAMERA, window, "right", 100)
    inside = image_to_crop(pixels, crop.H_crop_from_image)
    up = inside[MIDDLE_MCP] - inside[WRIST]
    assert abs(up[0]) < 0.12 * abs(up[1]) and up[1] < 0
    extent = (inside.max(0) - inside.min(0)).max()
    assert extent == pytest.approx(100 / 1.5, rel=0.1)
    centre = image_to_crop(np.array([[window.u, window.v]]), crop.H_crop_from_image)
    np.testing.assert_allclose(centre, [[49.5, 49.5]], atol=1e-6)


def test_picture_moves_as_the_points_do() -> None:
    rgb = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(rgb, (420, 180), 6, (255, 255, 255), -1)
    for side in ("left", "right"):
        crop = cut_crop(rgb, CAMERA, CropWindow(u=400, v=200, side=120, roll=0.6), side, 128)
        v, u = np.nonzero(crop.rgb[..., 0] > 128)
        expected = image_to_crop(np.array([420.0, 180.0]), crop.H_crop_from_image)
        np.testing.assert_allclose([u.mean(), v.mean()], expected, atol=0.3)


LARGE = camera_from_fov(1920, 1080)


@pytest.fixture(scope="module")
def rough() -> np.ndarray:
    """No two neighbouring pixels are alike."""
    return np.random.default_rng(0).integers(0, 255, (1080, 1920, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def grainy() -> np.ndarray:
    """A smooth picture as a noisy camera takes it."""
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.uniform(60, 190, (9, 16, 3)), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    return np.asarray((smooth + rng.normal(0, 20, smooth.shape)).clip(0, 255), np.uint8)


def direct(rgb: np.ndarray, H: np.ndarray, size: int, over: int) -> np.ndarray:
    """The warp with this many samples along each side of a pixel, averaged."""
    S = np.array([[over, 0, 0.5 * over - 0.5], [0, over, 0.5 * over - 0.5], [0, 0, 1.0]])
    big = cv2.warpPerspective(rgb, S @ H, (size * over, size * over), flags=cv2.INTER_LINEAR)
    return np.asarray(big if over == 1 else cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize(("side_px", "over"), [(130.0, 1), (217.0, 1), (300.0, 2), (500.0, 2)])
def test_small_windows_are_sampled_as_finely_as_they_need(rough: np.ndarray, side_px: float, over: int) -> None:
    crop = cut_crop(rough, LARGE, CropWindow(u=900, v=500, side=side_px, roll=0.4), "left", 128)
    np.testing.assert_array_equal(crop.rgb, direct(rough, crop.H_crop_from_image, 128, over))


@pytest.mark.parametrize("roll", [0.0, 0.5])
@pytest.mark.parametrize(("u", "v"), [(960.0, 540.0), (301.0, 103.0), (1900.0, 1070.0)])
def test_large_windows_are_averaged_over_all_their_pixels(grainy: np.ndarray, u: float, v: float, roll: float) -> None:
    crop = cut_crop(grainy, LARGE, CropWindow(u=u, v=v, side=950, roll=roll), "right", 128)
    fine = direct(grainy, crop.H_crop_from_image, 128, 8).astype(float)
    shown = fine > 20
    off, coarse = (np.abs(seen - fine)[shown] for seen in (crop.rgb, direct(grainy, crop.H_crop_from_image, 128, 2)))
    assert np.percentile(off, 90) < 6 < 9 < np.percentile(coarse, 90)
    # At the edge of the picture, half a pixel decides what is black.
    assert off.mean() < 0.5 * coarse.mean()


def test_large_windows_move_as_the_points_do() -> None:
    rgb = np.zeros((1080, 1920, 3), np.uint8)
    cv2.circle(rgb, (1001, 403), 60, (255, 255, 255), -1)
    for side in ("left", "right"):
        for window in (CropWindow(u=900, v=500, side=950, roll=0.6), CropWindow(u=901, v=502, side=1700, roll=-2.0)):
            crop = cut_crop(rgb, LARGE, window, side, 128)
            weight = crop.rgb[..., 0] / crop.rgb[..., 0].sum()
            v, u = np.mgrid[:128, :128]
            expected = image_to_crop(np.array([1001.0, 403.0]), crop.H_crop_from_image)
            np.testing.assert_allclose([(u * weight).sum(), (v * weight).sum()], expected, atol=0.05)


def test_a_large_window_beside_the_picture_is_black() -> None:
    rgb = np.full((1080, 1920, 3), 200, np.uint8)
    for window in (CropWindow(u=-5000, v=500, side=950), CropWindow(u=900, v=1e5, side=9e4)):
        assert cut_crop(rgb, LARGE, window, "right", 128).rgb.max() == 0


def test_left_hands_are_mirrored_once() -> None:
    window = CropWindow(u=400, v=200, side=120)
    rgb = np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    left, right = (cut_crop(rgb, CAMERA, window, side, 64) for side in ("left", "right"))
    assert np.linalg.det(left.Q_crop_from_camera) == pytest.approx(-1)
    assert np.linalg.det(right.Q_crop_from_camera) == pytest.approx(1)
    difference = np.abs(left.rgb[:, ::-1].astype(int) - right.rgb)
    assert np.median(difference) <= 2


@pytest.mark.parametrize("side", ["left", "right"])
def test_parameters_leave_the_crop_with_their_points(side: Side) -> None:
    crop = cut_crop(np.zeros((480, 640, 3), np.uint8), CAMERA, CropWindow(u=300, v=100, side=150, roll=-0.4), side, 64)
    rng = np.random.default_rng(1)
    model = rng.normal(0, 0.05, (30, 3))
    params = HandParams(
        pose=np.zeros(45), shape=np.zeros(10), root_rotation=rng.normal(size=3), translation_m=np.array([0.02, 0.01, 0.5])
    )

    wrist = np.array([0.096, 0.006, 0.004])

    def placed(p: HandParams) -> np.ndarray:
        """What the hand model does: turn about the wrist, then move."""
        return (model - wrist) @ Rotation.from_rotvec(p.root_rotation).as_matrix().T + wrist + p.translation_m

    outside = placed(params_from_crop(crop, params, wrist))
    back = params_to_crop(crop, params_from_crop(crop, params, wrist), wrist)
    np.testing.assert_allclose(placed(back), placed(params), atol=1e-12)
    if side == "left":
        outside = outside @ MIRROR
    np.testing.assert_allclose(outside, placed(params) @ crop.Q_crop_from_camera, atol=1e-12)


def test_missing_joints_are_left_out_and_too_few_refused() -> None:
    pixels = project(hand_points(5), CAMERA.K)
    pixels[7] = np.nan
    assert np.isfinite(window_from_joints(pixels, CropSpec()).side)
    pixels[:] = np.nan
    with pytest.raises(ValueError, match="two finite joints"):
        window_from_joints(pixels, CropSpec())


def test_mirroring_twice_is_the_identity() -> None:
    points = hand_points(0)
    R = Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix()
    faces = np.array([[0, 1, 2], [2, 1, 3]])
    np.testing.assert_array_equal(mirror_points(mirror_points(points)), points)
    np.testing.assert_allclose(mirror_rotation(mirror_rotation(R)), R)
    np.testing.assert_array_equal(mirror_faces(mirror_faces(faces)), faces)
    np.testing.assert_allclose(mirror_points(points @ R.T), mirror_points(points) @ mirror_rotation(R).T)
