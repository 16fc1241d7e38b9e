"""Estimator ``groups-fit``: a mesh on our own network's joints, with the network's other outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handviz.crop import CropWindow, cut_crop
from handviz.estimate.base import Adjustable, EstimatorOptions, Grouping
from handviz.estimate.fit import FitEstimator, Trust
from handviz.estimate.groups import GroupsEstimator
from handviz.estimate.groups_fit import GroupsFitEstimator
from handviz.geometry.camera import camera_from_fov, project
from handviz.records import CropResult, HandCrop

CAMERA = camera_from_fov(320, 240)


def crop_of(estimator: GroupsFitEstimator, side: str = "right") -> HandCrop:
    rgb = np.random.default_rng(3).integers(0, 255, (240, 320, 3)).astype(np.uint8)
    window = CropWindow(u=150, v=120, side=130, roll=0.3)
    return cut_crop(rgb, CAMERA, window, side, estimator.crop_spec.size)  # type: ignore[arg-type]


@pytest.fixture
def estimator() -> GroupsFitEstimator:
    return GroupsFitEstimator(EstimatorOptions(device="cpu", want_heatmaps=True))


def test_it_has_a_mesh_and_the_networks_groups(estimator: GroupsFitEstimator) -> None:
    assert isinstance(estimator, Grouping) and isinstance(estimator, Adjustable)
    crop = crop_of(estimator, "left")
    result = estimator.estimate([crop], [1])[0]
    plain = GroupsEstimator(EstimatorOptions(device="cpu", want_heatmaps=True)).estimate([crop], [1])[0]
    assert result.mesh is not None and plain.mesh is None and result.score == plain.score
    np.testing.assert_array_equal(result.groups, plain.groups)
    np.testing.assert_array_equal(result.heatmaps, plain.heatmaps)
    np.testing.assert_allclose(project(result.joints.joints_camera_m, CAMERA.K), result.joints.joints_px, atol=1e-6)


def test_only_a_picture_on_its_own_is_looked_at_again(estimator: GroupsFitEstimator, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    look = GroupsEstimator.estimate

    def counted(self: GroupsEstimator, crops: list[HandCrop], ids: list[int | None]) -> list[CropResult]:
        counts.append(len(crops))
        return look(self, crops, ids)

    monkeypatch.setattr(GroupsEstimator, "estimate", counted)
    crop = crop_of(estimator)
    assert len(estimator.estimate([crop, crop], [5, 6])) == 2 and counts == [2]
    assert len(estimator.estimate([crop], [None])) == 1 and counts == [2, 1, 2]
    assert estimator.crop_spec.still_rolls_deg == (0.0,)
    glances = estimator.glance([crop, crop])
    assert counts == [2, 1, 2, 2] and all(glance.mesh is None for glance in glances)


def test_other_weights_or_another_hand_need_another_estimator(estimator: GroupsFitEstimator) -> None:
    options = EstimatorOptions(device="cpu", want_heatmaps=False)
    assert estimator.adjust(options) and estimator.estimate([crop_of(estimator)], [1])[0].heatmaps is None
    assert not estimator.adjust(replace(options, hand_model="another"))
    assert not estimator.adjust(replace(options, weights=estimator._groups.weights))


def test_a_doubtful_joint_draws_the_hand_less(estimator: GroupsFitEstimator) -> None:
    crop = crop_of(estimator)
    found = GroupsFitEstimator(EstimatorOptions(device="cpu")).estimate([crop], [None])[0]
    moved = found.joints.joints_px.copy()
    moved[8] += 12.0

    class Said:
        """Puts the index fingertip elsewhere, and tells how sure it is of it."""

        name, device, crop_spec, chance = "said", "cpu", estimator.crop_spec, 1.0

        def estimate(self, crops: list[HandCrop], track_ids: list[int | None]) -> list[CropResult]:
            confidence = np.ones(21)
            confidence[8] = self.chance
            return [replace(found, joints=replace(found.joints, joints_px=moved, confidence=confidence))]

        def forget(self, track_id: int) -> None:
            pass

    def gap(chance: float) -> float:
        said = Said()
        said.chance = chance
        fitted = FitEstimator(landmarks=said, trust=Trust(palm=0.04, metres=0.008, doubt=2.0)).estimate([crop], [None])[0]
        return float(np.linalg.norm(fitted.joints.joints_px[8] - found.joints.joints_px[8]))

    assert gap(0.2) < 0.5 * gap(1.0)


@pytest.mark.parametrize(("factor", "kept"), [(1.2, True), (0.1, False), (-1.0, False), (5.0, False)])
def test_a_fit_that_ends_elsewhere_leaves_the_networks_joints(
    estimator: GroupsFitEstimator, monkeypatch: pytest.MonkeyPatch, factor: float, kept: bool
) -> None:
    plain = FitEstimator._fit
    monkeypatch.setattr(
        FitEstimator, "_fit", lambda *given: (found := plain(*given), replace(found, joints_BJ3=factor * found.joints_BJ3))[1]
    )
    crop = crop_of(estimator)
    for track in (None, 1):
        result = estimator.estimate([crop], [track])[0]
        assert (result.mesh is not None) == kept
    if not kept:
        network = estimator.glance([crop])[0]
        np.testing.assert_allclose(result.joints.joints_px, network.joints.joints_px)
        np.testing.assert_allclose(result.joints.joints_camera_m, network.joints.joints_camera_m)
