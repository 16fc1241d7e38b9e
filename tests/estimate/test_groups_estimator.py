"""Estimator ``groups``: sides, sizes, heatmaps, any K, wrong files, and what happens when it slips off a hand."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from handviz.crop import CropWindow, crop_to_image, cut_crop
from handviz.errors import HandvizError, ModelFileError
from handviz.estimate import groups as groups_module
from handviz.estimate.base import Adjustable, EstimatorOptions, Grouping
from handviz.estimate.groups import GroupsEstimator, gpu_chosen
from handviz.estimate.looks import averaged
from handviz.geometry.camera import camera_from_fov
from handviz.models.checkpoint import save_groups, save_weights
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from handviz.models.readout import STRIDE
from handviz.models.weights_files import DENSE_KIND, Weights
from handviz.postprocess.tracking import UNSURE_EVERY, UNSURE_SCORE, Tracker, TrackingConfig
from handviz.records import HandCrop, HandDetection
from tests.crops import project_to_crop
from training.compile import write_compiled

WIDTH, HEIGHT, SIZE = 640, 480, 64
CAMERA = camera_from_fov(WIDTH, HEIGHT)
SMALL = HourglassConfig(light_stem=True, stem_width=16, level_widths=(16, 16), level_modules=(1, 1))


def save(path: Path, groups: int, *, side: bool = True) -> Path:
    """Weights of an untrained network: its joints are meaningless, but every rule about them must hold."""
    torch.manual_seed(groups)
    widths = {"neck_widths": (8,), "branch_widths": (8, 8, 8)}
    network = GroupsNetwork(
        GroupsConfig(input_size=SIZE, hourglass=SMALL, groups=groups, fusion=groups > 1, presence=True, side=side, **widths)
    )
    with torch.no_grad():
        network.selector.logits_JK.normal_()
        # Far steeper heatmaps, so that its joints lie as far apart as those of a hand.
        network.beta_J.fill_(300.0)
    save_groups(path, network, {})
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("weights") / "k3.safetensors", 3)


@pytest.fixture(scope="module")
def estimator(weights: Path) -> GroupsEstimator:
    return GroupsEstimator(EstimatorOptions(weights=weights, device="cpu", want_heatmaps=True))


def crop_of(side: str = "right", seed: int = 0) -> HandCrop:
    rgb = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    window = CropWindow(u=420, v=180, side=160, roll=0.4)
    if side == "left":
        rgb, window = np.ascontiguousarray(rgb[:, ::-1]), replace(window, u=WIDTH - 1 - window.u, roll=-window.roll)
    return cut_crop(rgb, CAMERA, window, side, SIZE)  # type: ignore[arg-type]


def test_a_mirrored_picture_gives_the_mirrored_hand(estimator: GroupsEstimator) -> None:
    right, left = (estimator.estimate([crop_of(side)], [None])[0].joints for side in ("right", "left"))
    np.testing.assert_allclose(left.joints_camera_m, right.joints_camera_m * [-1, 1, 1], atol=1e-9)
    np.testing.assert_allclose(left.joints_px, [WIDTH - 1, 0] + right.joints_px * [-1, 1], atol=1e-6)


def test_pixels_and_metres_are_one_hand(estimator: GroupsEstimator) -> None:
    for side in ("right", "left"):
        crop = crop_of(side)
        joints = estimator.estimate([crop], [None])[0].joints
        np.testing.assert_allclose(
            crop_to_image(project_to_crop(joints.joints_camera_m, crop), crop.H_crop_from_image), joints.joints_px, atol=1e-3
        )


def test_several_crops_answer_as_each_alone(estimator: GroupsEstimator) -> None:
    crops = [crop_of("right", 1), crop_of("left", 2)]
    for crop, result in zip(crops, estimator.estimate(crops, [None, 4]), strict=True):
        alone = estimator.estimate([crop], [None])[0]
        np.testing.assert_allclose(result.joints.joints_camera_m, alone.joints.joints_camera_m, atol=1e-4)
        assert result.score == pytest.approx(alone.score, abs=1e-4)
    assert estimator.estimate([], []) == []


def test_a_known_palm_scales_the_hand_and_keeps_its_picture(weights: Path) -> None:
    options = EstimatorOptions(weights=weights, device="cpu")
    made, crop = GroupsEstimator(options), crop_of("left")
    average = made.estimate([crop], [None])[0].joints
    assert made.adjust(replace(options, hand_scale_m=0.05))
    small = made.estimate([crop], [None])[0].joints
    assert made.adjust(replace(options, hand_scale_m=0.06))
    larger = made.estimate([crop], [None])[0].joints
    assert (average.scale_source, small.scale_source) == ("default", "user")
    np.testing.assert_allclose(larger.joints_camera_m, 1.2 * small.joints_camera_m, rtol=1e-6)
    np.testing.assert_allclose(larger.joints_px, average.joints_px, atol=1e-6)
    assert made.adjust(options)
    again = made.estimate([crop], [None])[0].joints
    np.testing.assert_allclose(again.joints_camera_m, average.joints_camera_m, rtol=1e-6)


def test_heatmaps_come_when_asked_for_and_say_where_the_joints_are(estimator: GroupsEstimator, weights: Path) -> None:
    crop = crop_of("left")
    result = estimator.estimate([crop], [None])[0]
    heat = result.heatmaps
    assert heat is not None and heat.shape == (21, SIZE // STRIDE, SIZE // STRIDE)
    np.testing.assert_allclose(heat.sum((1, 2)), 1, atol=1e-4)
    centres = (np.arange(SIZE // STRIDE) + 0.5) * STRIDE - 0.5
    mean = np.stack([heat.sum(1) @ centres, heat.sum(2) @ centres], -1)
    np.testing.assert_allclose(crop_to_image(mean, crop.H_crop_from_image), result.joints.joints_px, atol=0.05)
    plain = GroupsEstimator(EstimatorOptions(weights=weights, device="cpu"))
    assert plain.estimate([crop], [None])[0].heatmaps is None


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_any_number_of_groups(tmp_path: Path, groups: int) -> None:
    made = GroupsEstimator(EstimatorOptions(weights=save(tmp_path / "k.safetensors", groups), device="cpu"))
    assert isinstance(made, Grouping) and isinstance(made, Adjustable)
    assert made.selector_JK.shape == (21, groups)
    np.testing.assert_allclose(made.selector_JK.sum(-1), 1, atol=1e-5)
    result = made.estimate([crop_of()], [None])[0]
    np.testing.assert_array_equal(result.groups, made.selector_JK.argmax(-1))


def test_with_and_without_its_export_it_answers_the_same(estimator: GroupsEstimator, tmp_path: Path) -> None:
    path = shutil.copy(estimator.weights, tmp_path / "k3.safetensors")
    write_compiled(path)
    exported = GroupsEstimator(EstimatorOptions(weights=path, device="cpu", want_heatmaps=True))
    assert isinstance(exported._network, groups_module.Exported)
    assert not isinstance(estimator._network, groups_module.Exported)
    crops = [crop_of("right", 1), crop_of("left", 2)]
    for mine, theirs in zip(exported.estimate(crops, [None] * 2), estimator.estimate(crops, [None] * 2), strict=True):
        # An export keeps its weights in float16.
        assert mine.score == pytest.approx(theirs.score, abs=1e-4)
        np.testing.assert_allclose(mine.heatmaps, theirs.heatmaps, atol=1e-3)
        np.testing.assert_allclose(mine.joints.joints_px, theirs.joints.joints_px, atol=5e-2)
        np.testing.assert_allclose(mine.joints.confidence, theirs.joints.confidence, atol=1e-3)
        np.testing.assert_allclose(mine.joints.joints_camera_m, theirs.joints.joints_camera_m, rtol=1e-2, atol=1e-4)
    np.testing.assert_array_equal(exported.groups, estimator.groups)
    np.testing.assert_allclose(exported.selector_JK, estimator.selector_JK)


def test_a_network_says_how_surely_the_side_is_right_or_that_it_can_not_tell(estimator: GroupsEstimator, tmp_path: Path) -> None:
    crops = [crop_of("right"), crop_of("left", 1)]
    both = [result.side_chance for result in estimator.estimate(crops, [None, None])]
    assert all(chance is not None and 0 < chance < 1 for chance in both) and both[0] != both[1]
    plain = GroupsEstimator(EstimatorOptions(weights=save(tmp_path / "plain.safetensors", 2, side=False), device="cpu"))
    assert [result.side_chance for result in plain.estimate(crops, [None, None])] == [None, None]
    first, second = estimator.estimate(crops, [None, None])
    assert averaged([first, second]).side_chance == pytest.approx(np.mean([first.side_chance, second.side_chance]))
    assert averaged(plain.estimate(crops, [None, None])).side_chance is None


@pytest.mark.parametrize(
    ("device", "driver", "found", "chosen"),
    [("cpu", True, True, False), ("auto", True, True, True), ("auto", True, False, False), ("auto", False, True, False)],
)
def test_a_gpu_is_chosen_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, device: str, driver: bool, found: bool, chosen: bool
) -> None:
    monkeypatch.setattr(groups_module, "_gpu_driver", lambda: driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    assert gpu_chosen(device) is chosen  # type: ignore[arg-type]


def test_a_gpu_that_is_demanded_and_not_there_is_said(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(HandvizError, match="no GPU"):
        GroupsEstimator(EstimatorOptions(weights=weights, device="cuda"))


def test_other_weights_or_another_device_need_another_estimator(estimator: GroupsEstimator, tmp_path: Path) -> None:
    other = EstimatorOptions(weights=tmp_path / "other.safetensors", device="cpu")
    assert not estimator.adjust(other) and not estimator.adjust(EstimatorOptions(device="auto", weights=estimator.weights))


def test_wrong_weights_are_named(tmp_path: Path, weights: Path) -> None:
    cut, dense, foreign = (tmp_path / f"{name}.safetensors" for name in ("cut", "dense", "foreign"))
    cut.write_bytes(weights.read_bytes()[:-1000])
    save_weights(dense, Weights(kind=DENSE_KIND, config={}, tensors={"a": torch.ones(1)}, notes={}))
    foreign.write_text("not weights at all")
    for path, words in (
        (cut, "truncated"),
        (dense, "handviz-dense-1"),
        (foreign, "not a safetensors"),
        (tmp_path / "gone.safetensors", "no such weights"),
    ):
        with pytest.raises(ModelFileError, match=words) as caught:
            GroupsEstimator(EstimatorOptions(weights=path, device="cpu"))
        assert path.name in str(caught.value)


def test_joints_it_is_unsure_of_call_the_detector_which_puts_the_track_right(estimator: GroupsEstimator) -> None:
    result = estimator.estimate([crop_of()], [0])[0]
    sure = float(np.mean(result.joints.confidence))
    assert sure < UNSURE_SCORE, "an untrained network spreads its heatmaps"
    follow = Tracker(TrackingConfig(max_hands=1))
    hand = np.random.default_rng(0).uniform(100, 200, (21, 2))
    seen = HandDetection(side="right", score=0.9, joints_px=hand)
    follow.detected([seen])
    for _ in range(UNSURE_EVERY):
        # The presence head may be sure that a hand is there while the joints have slipped off it.
        assert follow.estimated([hand + 30], [0.99], [sure]) == []
    assert follow.wants_detection()
    follow.detected([seen])
    np.testing.assert_array_equal(follow.tracks[0].joints_px, hand)
