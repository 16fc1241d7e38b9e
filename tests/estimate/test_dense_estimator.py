"""Estimator ``dense``: where its mesh stands, what the user's hand and size change, refinement and warm start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from handviz.crop import CropWindow, cut_crop
from handviz.errors import HandvizError, ModelFileError
from handviz.estimate import dense
from handviz.estimate.base import EstimatorOptions
from handviz.estimate.dense import LOOK_AGAIN_FROM, MORE_LOOKS, QUICK_STEPS, DenseEstimator
from handviz.fit.refinement import Solver
from handviz.fit.rig import placed_mesh, rig_of
from handviz.fit.seen import Seen
from handviz.fit.silhouette import Silhouette
from handviz.geometry.camera import camera_from_fov, project
from handviz.hand.mirror import mirror_points
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import palm_length
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_checkpoint import load_dense, save_dense
from handviz.models.groups import GroupsConfig
from handviz.models.hourglass import HourglassConfig
from handviz.models.recovery import relative_depth
from training.compile import write_compiled

CAMERA = camera_from_fov(640, 480)
HOURGLASS = HourglassConfig(
    block="postactivation", stem_width=4, light_stem=True, level_widths=(8, 8, 8), level_modules=(1, 1, 1)
)
GROUPS = GroupsConfig(
    input_size=32, hourglass=HOURGLASS, neck_widths=(8, 8), branch_widths=(8, 8, 8), lift=True, presence=True, side=True
)


@pytest.fixture(scope="module", autouse=True)
def one_runner() -> Iterator[None]:
    """A runner keeps nothing between calls, and tracing one takes longer than everything else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "load_dense", lru_cache(dense.load_dense))
        patch.setattr(dense, "DenseRunner", lru_cache(dense.DenseRunner))
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: its mesh means nothing, but must be the same mesh everywhere."""
    torch.manual_seed(3)
    config = DenseConfig(input_size=32, evidence="live", groups=GROUPS, hidden=(16,), skeleton="chain", mask=True)
    network = DenseNetwork(config)
    with torch.no_grad():
        network.J3D[-1].weight.normal_(std=0.05)
    path = tmp_path_factory.mktemp("weights") / "dense.safetensors"
    save_dense(path, network, {})
    return path


@pytest.fixture(scope="module")
def estimator(weights: Path) -> DenseEstimator:
    return DenseEstimator(EstimatorOptions(weights=weights, device="cpu"))


def crop_of(side: str, seed: int = 0):
    rgb = np.random.default_rng(seed).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    return cut_crop(rgb, CAMERA, CropWindow(u=420, v=180, side=160, roll=0.4), side, 32)


def test_mesh_joints_and_parameters_are_one_hand(estimator: DenseEstimator) -> None:
    rig = rig_of(load_hand_model())
    for side in ("right", "left"):
        result = estimator.estimate([crop_of(side)], [None])[0]
        assert result.mesh is not None
        vertices, joints = rig.mesh(result.mesh.params)
        if side == "left":
            vertices, joints = mirror_points(vertices), mirror_points(joints)
        np.testing.assert_allclose(result.mesh.vertices_camera_m, vertices, atol=1e-6)
        np.testing.assert_allclose(result.joints.joints_camera_m, joints, atol=1e-6)
        np.testing.assert_allclose(result.joints.joints_px, project(joints, CAMERA.K), atol=1e-3)
        assert result.mesh.silhouette_iou is not None and 0 <= result.mesh.silhouette_iou <= 1
        assert 0 <= result.score <= 1 and result.joints.confidence.shape == (21,)


def test_faces_point_outwards_on_both_sides(estimator: DenseEstimator) -> None:
    for side in ("right", "left"):
        mesh = estimator.estimate([crop_of(side)], [None])[0].mesh
        assert mesh is not None
        corners = mesh.vertices_camera_m[mesh.faces]
        centre = mesh.vertices_camera_m.mean(0)
        moved = corners - centre
        volume = np.einsum("fi,fi->f", moved[:, 0], np.cross(moved[:, 1], moved[:, 2])).sum() / 6
        assert volume > 1e-5


def test_several_crops_answer_as_each_alone(estimator: DenseEstimator) -> None:
    crops = [crop_of("right", 1), crop_of("left", 2)]
    together = estimator.estimate(crops, [None, None])
    for crop, result in zip(crops, together, strict=True):
        alone = estimator.estimate([crop], [None])[0]
        np.testing.assert_allclose(result.joints.joints_camera_m, alone.joints.joints_camera_m, atol=1e-6)
    assert estimator.estimate([], []) == []


def test_a_known_hand_size_sets_the_palm_and_keeps_the_picture(estimator: DenseEstimator, weights: Path) -> None:
    sized = DenseEstimator(EstimatorOptions(weights=weights, device="cpu", hand_scale_m=0.08))
    crop = crop_of("right")
    plain, known = estimator.estimate([crop], [None])[0], sized.estimate([crop], [None])[0]
    assert float(palm_length(known.joints.joints_camera_m)) == pytest.approx(0.08, abs=1e-6)
    np.testing.assert_allclose(known.joints.joints_px, plain.joints.joints_px, atol=1e-3)
    assert (known.joints.scale_source, plain.joints.scale_source) == ("user", "model")
    assert sized.adjust(EstimatorOptions(weights=weights, device="cpu"))
    again = sized.estimate([crop], [None])[0]
    np.testing.assert_allclose(again.joints.joints_camera_m, plain.joints.joints_camera_m, atol=1e-6)


def test_refinement_keeps_a_known_hand_size(estimator: DenseEstimator, weights: Path) -> None:
    sized = DenseEstimator(EstimatorOptions(weights=weights, device="cpu", hand_scale_m=0.08, refine_iterations=4))
    crop = crop_of("left")
    answers = sized.estimate([crop], [1])
    quick, finish = sized.estimate_quickly([crop], [1])
    assert finish is not None
    trace = sized.refine(crop, iterations=4)
    for result in (*answers, *quick, *finish(), *sized.steps(crop, trace)):
        assert result.mesh is not None
        _, joints = rig_of(load_hand_model()).mesh(result.mesh.params)
        assert float(palm_length(joints)) == pytest.approx(0.08, abs=1e-6)
        assert float(palm_length(result.joints.joints_camera_m)) == pytest.approx(0.08, abs=1e-6)


def test_a_held_shape_is_answered(weights: Path) -> None:
    options = EstimatorOptions(weights=weights, device="cpu")
    held = DenseEstimator(options)
    shape = np.linspace(-1, 1, 10)
    assert held.adjust(replace(options, hand_shape=tuple(shape)))
    mesh = held.estimate([crop_of("right")], [None])[0].mesh
    assert mesh is not None
    np.testing.assert_allclose(mesh.params.shape, shape)


@pytest.mark.parametrize(("change", "kept"), [({"want_heatmaps": True}, True), ({"hand_shape": (0.0,) * 10}, False)])
def test_only_another_shape_makes_tracks_begin_anew(weights: Path, change: dict[str, Any], kept: bool) -> None:
    options = EstimatorOptions(weights=weights, device="cpu", refine_iterations=1)
    estimator = DenseEstimator(options)
    estimator.estimate([crop_of("right")], [5])
    assert estimator.adjust(replace(options, **change))
    assert (5 in estimator._last) == kept


def test_refinement_comes_nearer_to_what_was_seen(weights: Path, estimator: DenseEstimator) -> None:
    crop = crop_of("right")
    target = estimator.look([crop])[0].target.joints_px_J2
    trace = estimator.refine(crop, iterations=8)
    assert len(trace.iterates) == 9
    first, last = trace.iterates[0], trace.iterates[-1]
    assert last.total < first.total and last.terms["joints_px"] < first.terms["joints_px"]
    refined = DenseEstimator(EstimatorOptions(weights=weights, device="cpu", refine_iterations=8))
    plain_gap = np.linalg.norm(_in_crop(crop, estimator.estimate([crop], [None])[0]) - target, axis=-1).mean()
    gap = np.linalg.norm(_in_crop(crop, refined.estimate([crop], [None])[0]) - target, axis=-1).mean()
    assert gap < plain_gap


def test_other_options_are_taken_over_as_it_runs(weights: Path) -> None:
    options = EstimatorOptions(weights=weights, device="cpu")
    runs = DenseEstimator(options)
    crop, shape = crop_of("left"), tuple(np.linspace(-1, 1, 10))
    assert runs.adjust(replace(options, hand_shape=shape, want_heatmaps=True, want_features=True, hand_scale_m=0.08))
    result = runs.estimate([crop], [None])[0]
    assert result.mesh is not None and result.heatmaps is not None and result.mask is not None and result.features is not None
    np.testing.assert_allclose(result.mesh.params.shape, shape)
    assert result.mask.shape == result.heatmaps.shape[1:] and result.mask.min() >= 0 and result.mask.max() <= 1
    assert result.features.shape[2] == 3 and result.features.dtype == np.uint8 and np.ptp(result.features) > 50
    assert float(palm_length(result.joints.joints_camera_m)) == pytest.approx(0.08, abs=1e-6)
    assert not runs.adjust(replace(options, hand_model="another")) and not runs.adjust(replace(options, device="cuda"))
    assert runs.adjust(options)
    result = runs.estimate([crop], [None])[0]
    assert result.mask is None and result.features is None


def test_a_wrong_shape_is_named(weights: Path) -> None:
    with pytest.raises(HandvizError, match="10 finite numbers"):
        DenseEstimator(EstimatorOptions(weights=weights, device="cpu", hand_shape=(1.0, 2.0)))


@pytest.mark.parametrize("solver", ["newton", "paper"])
def test_refinement_leaves_a_held_shape_alone(weights: Path, solver: Solver) -> None:
    shape = np.linspace(-1, 1, 10)
    held = DenseEstimator(EstimatorOptions(weights=weights, device="cpu", hand_shape=tuple(shape)))
    trace = held.refine(crop_of("right"), iterations=3, solver=solver)
    assert len(trace.iterates) == 4 and np.abs(trace.iterates[3].params.pose - trace.iterates[0].params.pose).max() > 1e-6
    for iterate in trace.iterates:
        np.testing.assert_allclose(iterate.params.shape, shape, atol=1e-5)


def test_the_slow_solver_stops_when_nobody_waits(estimator: DenseEstimator) -> None:
    answers = iter([True, True, False])
    trace = estimator.refine(crop_of("right"), iterations=50, solver="paper", wanted=lambda: next(answers))
    assert len(trace.iterates) == 3


def test_every_iterate_can_be_shown(estimator: DenseEstimator) -> None:
    crop = crop_of("left")
    trace = estimator.refine(crop, iterations=4)
    steps = estimator.steps(crop, trace)
    assert len(steps) == 5
    for iterate, step in zip(trace.iterates, steps, strict=True):
        mesh = placed_mesh(rig_of(load_hand_model()), iterate.params, mirrored=True)
        assert step.mesh is not None and step.mesh.silhouette_iou is not None
        np.testing.assert_allclose(step.mesh.vertices_camera_m, mesh.vertices_camera_m, atol=1e-6)
        gap = np.linalg.norm(_in_crop(crop, step) - estimator.look([crop])[0].target.joints_px_J2, axis=-1)
        assert np.sqrt((gap**2).mean()) == pytest.approx(iterate.terms["joints_px"], rel=1e-3)


def test_a_watched_crop_is_looked_at_once_and_drawn_once(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = DenseEstimator(EstimatorOptions(weights=weights, device="cpu"))
    crop = crop_of("right")
    plain = estimator.look
    network = Counted(lambda crops: [with_a_square_mask(seen) for seen in plain(crops)])
    monkeypatch.setattr(estimator, "look", network)
    trace = estimator.refine(crop, iterations=2)
    drawn = Counted(Silhouette.iou)
    monkeypatch.setattr(Silhouette, "iou", lambda *args: drawn(*args))
    steps = estimator.steps(crop, trace)
    assert network.calls == 1 and drawn.calls == 0
    assert [s.mesh.silhouette_iou for s in steps if s.mesh] == [1 - it.terms["silhouette"] for it in trace.iterates]
    estimator.refine(crop_of("left"), iterations=1)
    assert network.calls == 2


def test_many_steps_look_at_the_crop_again(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = DenseEstimator(EstimatorOptions(weights=weights, device="cpu", refine_iterations=LOOK_AGAIN_FROM))
    crop, looked = crop_of("left"), []
    plain = estimator.look
    monkeypatch.setattr(estimator, "look", lambda crops: looked.append(len(crops)) or plain(crops))
    several = estimator.refine(crop, iterations=LOOK_AGAIN_FROM)
    assert looked == [1, len(MORE_LOOKS)]
    one = estimator.refine(crop, iterations=LOOK_AGAIN_FROM - 1)
    published = estimator.refine(crop, iterations=LOOK_AGAIN_FROM, solver="paper")
    assert looked[2:] == [1, 1] and published.solver == "paper"
    # Other evidence, but the same start.
    assert several.iterates[0].total != pytest.approx(one.iterates[0].total, rel=1e-6)
    np.testing.assert_allclose(several.iterates[0].params.pose, one.iterates[0].params.pose, atol=1e-9)
    _, finish = estimator.estimate_quickly([crop], [1])
    assert looked[4:] == [1] and finish is not None
    finish()
    assert looked[4:] == [1], "a live view has the next frame to look at"


def test_a_glance_is_one_look_and_no_refinement(weights: Path, estimator: DenseEstimator) -> None:
    unrefined = DenseEstimator(EstimatorOptions(device="cpu", weights=weights, refine_iterations=0)).estimate(
        [crop_of("left")], [None]
    )
    glance = estimator.glance([crop_of("left")])[0]
    np.testing.assert_allclose(glance.joints.joints_camera_m, unrefined[0].joints.joints_camera_m, atol=1e-6)


def test_depths_are_aimed_at_between_maps_and_mesh(estimator: DenseEstimator) -> None:
    crop = crop_of("right")
    seen = estimator.look([crop])[0]
    rgb = torch.from_numpy(crop.rgb).permute(2, 0, 1)[None].float() / 255
    read = estimator._runner(rgb, torch.from_numpy(crop.K_crop)[None].float()).depth_BJ
    mesh = relative_depth(rig_of(load_hand_model()).mesh(seen.params)[1])
    assert read is not None and seen.target.depth_J is not None
    share = (seen.target.depth_J - read[0].numpy()) / (mesh - read[0].numpy())
    far = np.abs(mesh - read[0].numpy()) > 0.05
    assert far.any() and share[far].min() > 0.0 and share[far].max() < 1.0
    np.testing.assert_allclose(share[far], share[far][0], atol=1e-3)


def with_a_square_mask(seen: Seen) -> Seen:
    chance = np.zeros((32, 32))
    chance[10:20, 10:20] = 1.0
    return replace(seen, target=replace(seen.target, silhouette=Silhouette.of(chance, 32, seen.target.K)))


class Counted:
    def __init__(self, call) -> None:
        self._call, self.calls = call, 0

    def __call__(self, *args):
        self.calls += 1
        return self._call(*args)


def _in_crop(crop, result):
    return project(result.joints.joints_camera_m @ crop.Q_crop_from_camera.T, crop.K_crop)


def total_of(estimator: DenseEstimator, crop, result, steps: int = 0) -> float:
    """How far an answer is from the target of this many refinement steps."""
    seen = estimator._look_closely(crop, estimator.look([crop])[0], steps)
    return estimator._newton(seen, estimator._to_crop(crop, result.mesh.params), 0).iterates[0].total


def test_the_papers_solver_answers_the_same_call(estimator: DenseEstimator) -> None:
    trace = estimator.refine(crop_of("left"), iterations=2, solver="paper")
    assert trace.solver == "paper" and len(trace.iterates) == 3
    assert trace.iterates[trace.best].total <= trace.iterates[0].total


def test_a_track_is_started_from_its_last_answer_and_forgotten(weights: Path) -> None:
    refined = DenseEstimator(EstimatorOptions(weights=weights, device="cpu", refine_iterations=3))
    crop = crop_of("right")
    first = refined.estimate([crop], [7])[0]
    second = refined.estimate([crop], [7])[0]
    assert first.mesh is not None and second.mesh is not None
    totals = [total_of(refined, crop, r) for r in (first, second)]
    assert totals[1] < totals[0]
    refined.forget(7)
    again = refined.estimate([crop], [7])[0]
    np.testing.assert_allclose(again.joints.joints_camera_m, first.joints.joints_camera_m, atol=1e-9)


def test_a_quick_answer_has_the_first_steps_and_the_rest_comes_nearer(weights: Path) -> None:
    steps = QUICK_STEPS + 6
    options = EstimatorOptions(weights=weights, device="cpu", refine_iterations=steps, want_heatmaps=True)
    refined, few = DenseEstimator(options), DenseEstimator(replace(options, refine_iterations=QUICK_STEPS))
    crop = crop_of("left")
    (quick,), finish = refined.estimate_quickly([crop], [3])
    assert finish is not None and quick.mesh is not None
    first = few.estimate([crop], [3])[0]
    np.testing.assert_allclose(quick.joints.joints_camera_m, first.joints.joints_camera_m, atol=1e-9)
    (full,) = finish()
    assert full.mesh is not None and full.mask is quick.mask and full.heatmaps is quick.heatmaps
    # The remaining steps aim at the mean of several looks, so both are compared with that.
    totals = [total_of(refined, crop, r, steps=LOOK_AGAIN_FROM) for r in (quick, full)]
    assert totals[1] < totals[0]
    _, left = few.estimate_quickly([crop], [None])
    assert left is None and refined.estimate_quickly([], []) == ([], None)


def test_what_is_finished_late_is_a_start_for_its_track_alone(weights: Path) -> None:
    options = EstimatorOptions(weights=weights, device="cpu", refine_iterations=QUICK_STEPS + 6)
    crop = crop_of("right")
    used, forgotten, changed = DenseEstimator(options), DenseEstimator(options), DenseEstimator(options)
    finishing = [estimator.estimate_quickly([crop], [1])[1] for estimator in (used, forgotten, changed)]
    forgotten.forget(1)
    changed.adjust(replace(options, hand_scale_m=0.08))
    changed.adjust(options)
    for finish in finishing:
        assert finish is not None
        finish()
    first = DenseEstimator(options).estimate_quickly([crop], [1])[0][0]
    further, *others = (estimator.estimate_quickly([crop], [1])[0][0] for estimator in (used, forgotten, changed))
    for other in others:
        np.testing.assert_allclose(other.joints.joints_camera_m, first.joints.joints_camera_m, atol=1e-9)
    totals = [total_of(used, crop, r) for r in (first, further)]
    assert totals[1] < totals[0]


def test_a_late_answer_to_a_forgotten_track_is_no_start_though_it_is_followed_again(weights: Path) -> None:
    options = EstimatorOptions(weights=weights, device="cpu", refine_iterations=QUICK_STEPS + 6)
    turned, fresh = DenseEstimator(options), DenseEstimator(options)
    _, late = turned.estimate_quickly([crop_of("left")], [1])
    turned.forget(1)
    for estimator in (turned, fresh):
        estimator.estimate_quickly([crop_of("right")], [1])
    assert late is not None
    late()
    one, other = (estimator.estimate_quickly([crop_of("right")], [1])[0][0] for estimator in (turned, fresh))
    np.testing.assert_array_equal(one.joints.joints_camera_m, other.joints.joints_camera_m)


@pytest.mark.parametrize("exported", [False, True], ids=["torch", "export"])
def test_a_networks_belief_in_the_side_reaches_its_answers(weights: Path, tmp_path: Path, exported: bool) -> None:
    network, notes = load_dense(weights)
    with torch.no_grad():
        network.evidence.groups.side.leave.weight.zero_()
        network.evidence.groups.side.leave.bias.fill_(-2.0)
    path = tmp_path / "sided.safetensors"
    save_dense(path, network, notes)
    if exported:
        write_compiled(path)
    result = DenseEstimator(EstimatorOptions(weights=path, device="cpu")).estimate([crop_of("right")], [None])[0]
    assert result.side_chance == pytest.approx(1 / (1 + np.exp(2.0)), abs=1e-5)


def test_bad_options_are_named(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ModelFileError, match="no such weights"):
        DenseEstimator(EstimatorOptions(weights=tmp_path / "none.safetensors", device="cpu"))
    with pytest.raises(ModelFileError, match="no hand model 'nobody'"):
        DenseEstimator(EstimatorOptions(weights=weights, device="cpu", hand_model="nobody"))
    with pytest.raises(ValueError, match="0 to 100"):
        DenseEstimator(EstimatorOptions(weights=weights, device="cpu", refine_iterations=101))
