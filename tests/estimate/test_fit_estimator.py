from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.crop import CropSpec, cut_crop, window_from_joints
from handviz.errors import ModelFileError
from handviz.estimate.base import EstimatorOptions
from handviz.estimate.fit import FitEstimator
from handviz.fit.rig import rig_named, rig_of
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.mirror import mirror_points
from handviz.hand.model import load_hand_model
from handviz.hand.prior import sample_poses
from handviz.hand.skeleton import palm_length
from handviz.records import CropResult, HandJoints, HandParams

CAMERA = camera_from_fov(640, 480)


class KnownJoints:
    """Stands in for a landmark network: answers with joints that the test knows."""

    name, device, crop_spec = "known", "cpu", CropSpec(size=224)

    def __init__(self):
        self.joints_camera_m = None
        self.forgotten = []

    def estimate(self, crops, track_ids):
        joints = HandJoints(
            joints_camera_m=self.joints_camera_m, joints_px=project(self.joints_camera_m, CAMERA.K), confidence=np.full(21, 0.9)
        )
        return [CropResult(score=0.9, joints=joints) for _ in crops]

    def forget(self, track_id):
        self.forgotten.append(track_id)


@pytest.fixture(scope="module")
def rig():
    return rig_of(load_hand_model())


@pytest.fixture
def landmarks():
    return KnownJoints()


def hand(rig, seed, side="right"):
    """Vertices and joints of a natural hand in the camera's frame."""
    rng = np.random.default_rng(seed)
    turn = Rotation.from_euler("zyx", [90, 180, 0], degrees=True) * Rotation.from_rotvec(rng.normal(0, 0.3, 3))
    params = HandParams(
        pose=sample_poses(rng, 1)[0], shape=rng.normal(0, 0.5, 10), root_rotation=turn.as_rotvec(), translation_m=np.zeros(3)
    )
    _, joints = rig.mesh(params)
    vertices, joints = rig.mesh(replace(params, translation_m=np.array([0.08, 0.03, 0.5]) - joints.mean(0)))
    return (mirror_points(vertices), mirror_points(joints)) if side == "left" else (vertices, joints)


def crop_of(joints, side):
    window = window_from_joints(project(joints, CAMERA.K), CropSpec(size=224))
    return cut_crop(np.zeros((480, 640, 3), np.uint8), CAMERA, window, side, 224)


def answer(estimator, landmarks, joints, side, track=None):
    landmarks.joints_camera_m = joints
    return estimator.estimate([crop_of(joints, side)], [track])[0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_mesh_lies_on_the_hand_of_either_side(rig, landmarks, side):
    vertices, joints = hand(rig, 1, side)
    result = answer(FitEstimator(landmarks=landmarks), landmarks, joints, side)
    assert 1000 * np.linalg.norm(result.joints.joints_camera_m - joints, axis=-1).mean() < 12
    assert np.linalg.norm(result.joints.joints_px - project(joints, CAMERA.K), axis=-1).mean() < 2.5
    assert np.linalg.norm(project(result.mesh.vertices_camera_m, CAMERA.K) - project(vertices, CAMERA.K), axis=-1).mean() < 4
    assert np.allclose(project(result.joints.joints_camera_m, CAMERA.K), result.joints.joints_px)
    assert result.score == 0.9


@pytest.mark.parametrize("side", ["left", "right"])
def test_triangles_stay_wound_outwards(rig, landmarks, side):
    _, joints = hand(rig, 2, side)
    mesh = answer(FitEstimator(landmarks=landmarks), landmarks, joints, side).mesh
    a, b, c = (mesh.vertices_camera_m[mesh.faces[:, k]] for k in range(3))
    # Signed volume: the open wrist hides little of it.
    assert np.einsum("ij,ij->", a - mesh.vertices_camera_m.mean(0), np.cross(b - a, c - a)) > 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_parameters_rebuild_the_mesh_in_the_full_camera(rig, landmarks, side):
    _, joints = hand(rig, 3, side)
    mesh = answer(FitEstimator(landmarks=landmarks), landmarks, joints, side).mesh
    vertices, _ = rig.mesh(mesh.params)
    rebuilt = mirror_points(vertices) if side == "left" else vertices
    assert np.allclose(rebuilt, mesh.vertices_camera_m, atol=1e-6)


def test_a_followed_hand_starts_from_its_last_frame(rig, landmarks, monkeypatch):
    estimator = FitEstimator(landmarks=landmarks)
    fit, cold = estimator._fit, []

    def noted(seen, crop, memory, palm_px):
        cold.append(memory is None)
        return fit(seen, crop, memory, palm_px)

    monkeypatch.setattr(estimator, "_fit", noted)
    _, joints = hand(rig, 4)
    for step in range(4):
        moved = joints + [0.002 * step, 0, 0]
        result = answer(estimator, landmarks, moved, "right", track=7)
    assert cold == [True, False, False, False]
    assert np.linalg.norm(result.joints.joints_px - project(moved, CAMERA.K), axis=-1).mean() < 2.5
    assert estimator._memory[7].frames == 4
    estimator.forget(7)
    assert estimator._memory == {}
    assert landmarks.forgotten == [7]


def test_a_jump_within_a_track_is_survived(rig, landmarks):
    estimator = FitEstimator(landmarks=landmarks)
    for seed in (1, 8, 12):
        _, joints = hand(rig, seed)
        result = answer(estimator, landmarks, joints, "right", track=1)
        assert np.linalg.norm(result.joints.joints_px - project(joints, CAMERA.K), axis=-1).mean() < 4


def test_a_known_palm_sets_the_scale_and_leaves_the_picture(rig, landmarks):
    _, joints = hand(rig, 5)
    free = answer(FitEstimator(landmarks=landmarks), landmarks, joints, "right")
    told = answer(FitEstimator(EstimatorOptions(hand_scale_m=0.11), landmarks=landmarks), landmarks, joints, "right")
    assert palm_length(told.joints.joints_camera_m) == pytest.approx(0.11, abs=1e-6)
    assert np.allclose(told.joints.joints_px, free.joints.joints_px, atol=1e-6)
    assert (told.joints.scale_source, free.joints.scale_source) == ("user", "model")


def test_a_held_shape_is_answered_until_it_is_released(rig, landmarks):
    _, joints = hand(rig, 5)
    options = EstimatorOptions(hand_shape=tuple(np.linspace(-1, 1, 10)))
    estimator = FitEstimator(landmarks=landmarks)
    free = answer(estimator, landmarks, joints, "right", track=1).mesh.params.shape
    assert estimator.adjust(options)
    for _ in range(2):
        held = answer(estimator, landmarks, joints, "right", track=1)
        assert np.abs(held.mesh.params.shape - options.hand_shape).max() < 0.05
    assert np.linalg.norm(held.joints.joints_px - project(joints, CAMERA.K), axis=-1).mean() < 4
    assert estimator.adjust(EstimatorOptions())
    again = answer(estimator, landmarks, joints, "right", track=1).mesh.params.shape
    assert np.allclose(again, free, atol=1e-6)
    assert not estimator.adjust(EstimatorOptions(hand_model="another"))


def test_a_rig_without_torch_is_the_models() -> None:
    rig, named = rig_of(load_hand_model()), rig_named()
    for name in ("template_V3", "rest_J3", "rest_dirs_J3S", "pose_dirs_V3P", "weights_VJ", "tips", "faces_F3", "rim"):
        np.testing.assert_array_equal(getattr(rig, name), getattr(named, name))
    with pytest.raises(ModelFileError, match="nobody"):
        rig_named("nobody")


def test_joints_behind_the_camera_are_where_they_were_seen(rig, landmarks, monkeypatch):
    estimator = FitEstimator(landmarks=landmarks)
    _, joints = hand(rig, 3)
    real = estimator._fit

    def through_the_camera(*arguments):
        fitted = real(*arguments)
        state = fitted.state
        place = state.translation_B3 - [0, 0, joints[:, 2].mean()]
        return replace(fitted, state=replace(state, translation_B3=place))

    monkeypatch.setattr(estimator, "_fit", through_the_camera)
    result = answer(estimator, landmarks, joints, "right")
    behind = result.joints.joints_camera_m[:, 2] <= 0
    assert 0 < behind.sum() < 21
    np.testing.assert_allclose(result.joints.joints_px[behind], project(joints, CAMERA.K)[behind])
    assert np.isfinite(result.joints.joints_px).all()


def test_maps_that_are_wanted_change_no_hand(rig, landmarks):
    plain, toggled = (FitEstimator(landmarks=landmarks) for _ in range(2))
    for index in range(6):
        _, landmarks.joints_camera_m = hand(rig, 3)
        landmarks.joints_camera_m = landmarks.joints_camera_m + np.random.default_rng(index).normal(0, 0.003, (21, 3))
        if index == 5:
            assert toggled.adjust(EstimatorOptions(want_heatmaps=True))
        crop = crop_of(landmarks.joints_camera_m, "right")
        same, other = (made.estimate([crop], [0])[0].mesh.vertices_camera_m for made in (plain, toggled))
    np.testing.assert_allclose(other, same, atol=1e-9)


def test_a_lost_fit_keeps_the_size_of_the_hand(rig, landmarks, monkeypatch):
    monkeypatch.setattr("handviz.estimate.fit._is_lost", lambda fitted, seen: True)
    _, landmarks.joints_camera_m = hand(rig, 3)
    (result,) = FitEstimator(EstimatorOptions(hand_scale_m=0.075), landmarks=landmarks).estimate(
        [crop_of(landmarks.joints_camera_m, "right")], [0]
    )
    assert result.mesh is None and result.joints.scale_source == "user"
    assert palm_length(result.joints.joints_camera_m) == pytest.approx(0.075)
