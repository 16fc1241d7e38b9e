"""Joints interpolated between a mesh's and a network's, and which answers have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handviz.crop import CropWindow, crop_to_image, cut_crop
from handviz.estimate.base import EstimatorOptions
from handviz.estimate.between import between
from handviz.estimate.dense import DenseEstimator
from handviz.estimate.groups_fit import GroupsFitEstimator
from handviz.fit.rig import rig_named
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.mirror import mirror_points
from handviz.hand.skeleton import palm_length
from handviz.records import HandJoints
from tests.training.data.hands import flat_hand

CAMERA = camera_from_fov(640, 480)


def meshed(joints_m):
    return HandJoints(joints_camera_m=joints_m, joints_px=project(joints_m, CAMERA.K), confidence=np.ones(21))


def test_directions_are_half_way_and_depths_the_meshs():
    mesh = meshed(flat_hand(0.5))
    seen_px = mesh.joints_px + np.random.default_rng(0).normal(0, 4, (21, 2))
    found = between(mesh, seen_px, CAMERA.K)
    np.testing.assert_allclose(found.joints_px, (mesh.joints_px + seen_px) / 2)
    np.testing.assert_allclose(project(found.joints_camera_m, CAMERA.K), found.joints_px, atol=1e-9)
    depth, before = found.joints_camera_m[:, 2], mesh.joints_camera_m[:, 2]
    np.testing.assert_allclose(depth / before, depth[0] / before[0])
    assert float(palm_length(found.joints_camera_m)) == pytest.approx(float(palm_length(mesh.joints_camera_m)))


def test_what_was_seen_where_the_mesh_is_changes_nothing():
    mesh = meshed(flat_hand(0.5))
    np.testing.assert_allclose(between(mesh, mesh.joints_px, CAMERA.K).joints_camera_m, mesh.joints_camera_m, atol=1e-12)


@pytest.mark.parametrize("broken", ["behind", "unseen"])
def test_without_a_place_before_the_camera_joints_stay(broken):
    mesh = meshed(flat_hand(0.5))
    seen_px = mesh.joints_px + 3
    if broken == "behind":
        mesh = replace(mesh, joints_camera_m=mesh.joints_camera_m - [0, 0, 0.505])
    else:
        seen_px[4] = np.nan
    assert between(mesh, seen_px, CAMERA.K) is mesh


def a_crop(side, size):
    rgb = np.random.default_rng(1).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    return cut_crop(rgb, CAMERA, CropWindow(u=400, v=200, side=180, roll=0.3), side, size)


def mesh_joints_px(result, side):
    joints = rig_named().mesh(result.mesh.params)[1]
    return project(mirror_points(joints) if side == "left" else joints, CAMERA.K)


@pytest.mark.parametrize("side", ["right", "left"])
def test_groups_fit_answers_so_for_a_picture_on_its_own_alone(side):
    method = GroupsFitEstimator()
    crop = a_crop(side, method.crop_spec.size)
    followed, still = method.estimate([crop], [7])[0], method.estimate([crop], [None])[0]
    np.testing.assert_allclose(followed.joints.joints_px, mesh_joints_px(followed, side), atol=1e-6)
    rolled = method._found([crop], [None])[0].joints.joints_px
    np.testing.assert_allclose(still.joints.joints_px, (mesh_joints_px(still, side) + rolled) / 2, atol=1e-6)


def test_dense_answers_so_where_a_picture_on_its_own_is_refined():
    method = DenseEstimator(EstimatorOptions(device="cpu", refine_iterations=1))
    crop = a_crop("left", method.crop_spec.size)
    seen_px = crop_to_image(method.look([crop])[0].target.joints_px_J2, crop.H_crop_from_image)
    followed, still = method.estimate([crop], [7])[0], method.estimate([crop], [None])[0]
    np.testing.assert_allclose(followed.joints.joints_px, mesh_joints_px(followed, "left"), atol=1e-4)
    np.testing.assert_allclose(still.joints.joints_px, (mesh_joints_px(still, "left") + seen_px) / 2, atol=1e-4)
    assert method.adjust(EstimatorOptions(device="cpu", refine_iterations=0))
    plain = method.estimate([crop], [None])[0]
    np.testing.assert_allclose(plain.joints.joints_px, mesh_joints_px(plain, "left"), atol=1e-4)
