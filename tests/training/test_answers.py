"""Estimators' answers for packs of crops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handviz.crop import CropSpec, joints_from_crop
from handviz.geometry.camera import project
from handviz.hand.skeleton import MIDDLE_MCP, ROOT, WRIST
from handviz.records import CropResult, HandMesh, HandParams
from tests.crops import project_to_crop
from tests.training.data.hands import K, flat_hand, hand_sample
from training.answers import CROP_SIZE, answer, labelled_crops
from training.data.pack import pack_of

LYING = (flat_hand() - flat_hand()[MIDDLE_MCP]) @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) + [0.0, 0.0, 0.6]


class Knowing:
    """Knows a hand in the stored picture's camera, notes its direction in each crop; its relative depths have another scale."""

    name, device, crop_spec = "knowing", "cpu", CropSpec(size=64)

    def __init__(self, joints_m):
        self.joints_m, self.up = joints_m, []

    def estimate(self, crops, track_ids):
        return [self._one(crop) for crop in crops]

    def _one(self, crop):
        pixels = project_to_crop(self.joints_m, crop)
        self.up.append((pixels[MIDDLE_MCP] - pixels[WRIST]) / np.linalg.norm(pixels[MIDDLE_MCP] - pixels[WRIST]))
        joints = joints_from_crop(crop, self.joints_m @ crop.Q_crop_from_camera.T, pixels, np.ones(21))
        return CropResult(score=1.0, joints=joints, scale_m=0.05)

    def forget(self, track_id):
        """Nothing is kept."""


@pytest.mark.parametrize("turned", [False, True])
def test_a_second_look_stands_upright_by_the_first_answer(turned):
    pack = pack_of([hand_sample(joints_m=LYING, joints_px=project(LYING, K))])
    method = Knowing(LYING)
    found = answer(method, pack, turned=turned)
    assert len(method.up) == 1 + turned
    np.testing.assert_allclose(method.up[0], [1, 0], atol=0.05)
    if turned:
        np.testing.assert_allclose(method.up[1], [0, -1], atol=0.05)
    np.testing.assert_allclose(found.joints_m[0], LYING, atol=1e-6)
    np.testing.assert_allclose(found.joints_px, labelled_crops(pack).joints_px_BJ2, atol=0.01)


@pytest.mark.parametrize("once", [False, True])
def test_papers_look_once(once):
    pack = pack_of([hand_sample(joints_m=LYING, joints_px=project(LYING, K))])
    method = Knowing(LYING)
    method.crop_spec = replace(method.crop_spec, still_rolls_deg=(0.0, -10.0, 10.0))
    answer(method, pack, once=once)
    assert len(method.up) == (1 if once else 3)


def test_a_method_that_gives_most_hands_a_mesh_is_said_to_leave_some_without():
    class Meshing(Knowing):
        def _one(self, crop):
            params = HandParams(pose=np.zeros(45), shape=np.zeros(10), root_rotation=np.zeros(3), translation_m=np.zeros(3))
            mesh = HandMesh(vertices_camera_m=np.ones((5, 3)), faces=np.zeros((1, 3), int), params=params)
            return replace(super()._one(crop), mesh=mesh if len(self.up) != 2 else None)

    sample = hand_sample(joints_m=LYING, joints_px=project(LYING, K))
    found = answer(Meshing(LYING), pack_of([sample] * 3), turned=False)
    assert found.vertices_m.shape == (3, 5, 3) and found.without_mesh == 1
    assert np.isnan(found.vertices_m[1]).all() and (found.vertices_m[[0, 2]] == 1).all()
    assert answer(Knowing(LYING), pack_of([sample]), turned=False).without_mesh == 0


def test_a_hand_without_a_first_answer_is_looked_at_as_before():
    pack = pack_of([hand_sample(joints_m=LYING, joints_px=project(LYING, K))])
    method = Knowing(np.full((21, 3), np.nan))
    assert np.isnan(answer(method, pack, turned=True).joints_m).all() and len(method.up) == 2


def test_relative_depths_are_those_of_the_scale_they_were_made_with():
    pack = pack_of([hand_sample(joints_m=LYING, joints_px=project(LYING, K))])
    found = answer(Knowing(LYING), pack)
    np.testing.assert_allclose(found.depth[0], (LYING[:, 2] - LYING[ROOT, 2]) / 0.05, atol=1e-6)


def test_crops_to_compare_with_are_of_one_size_and_in_bytes():
    crops = labelled_crops(pack_of([hand_sample(seed) for seed in range(40)]))
    assert crops.rgb_B3SS.shape == (40, 3, CROP_SIZE, CROP_SIZE) and str(crops.rgb_B3SS.dtype) == "torch.uint8"
