"""Testing refinement: both solvers lower what they minimise, keep the best, and say when they diverged."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from handviz.fit.edges import EdgeTarget, drawn_mask
from handviz.fit.refine_paper import Batch13, PaperSettings, PaperTarget, eq13, gradient_steps, refine_paper
from handviz.fit.refinement import RefinementTrace, Target, refine_newton
from handviz.fit.rig import rig_of
from handviz.fit.silhouette import Silhouette
from handviz.geometry.camera import project
from handviz.hand.limits import check_pose
from handviz.hand.model import load_hand_model
from handviz.hand.prior import sample_poses
from handviz.hand.skeleton import ROOT
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_vector import DenseParams, decode, encode, project_points, to_unit
from handviz.models.groups import GroupsConfig
from handviz.models.hourglass import HourglassConfig
from handviz.records import HandParams

HAND = load_hand_model()
RIG = rig_of(HAND)
SIZE = 64
K = np.array([[160.0, 0, (SIZE - 1) / 2], [0, 160.0, (SIZE - 1) / 2], [0, 0, 1]])


def hand(seed: int) -> HandParams:
    rng = np.random.default_rng(seed)
    turn = np.array([0.5 * np.pi, 0.0, 0.5 * np.pi]) + rng.normal(size=3) * 0.3
    return HandParams(
        pose=sample_poses(rng, 1)[0], shape=0.5 * rng.normal(size=10), root_rotation=turn, translation_m=np.array([0.0, 0.0, 0.5])
    )


def shaken(params: HandParams, seed: int) -> HandParams:
    rng = np.random.default_rng(seed)
    return dataclasses.replace(
        params,
        pose=params.pose + 0.15 * rng.normal(size=45),
        shape=np.zeros(10),
        root_rotation=params.root_rotation + 0.15 * rng.normal(size=3),
        translation_m=params.translation_m + np.array([0.01, -0.01, 0.03]),
    )


def target(params: HandParams) -> Target:
    _, joints = RIG.mesh(params)
    bone = np.linalg.norm(joints[ROOT + 1] - joints[ROOT])
    return Target(
        K=K,
        joints_px_J2=project(joints, K),
        sigma_px_J=np.full(21, 0.7),
        depth_J=(joints[:, 2] - joints[ROOT, 2]) / bone,
        sigma_depth_J=np.full(21, 0.2),
    )


def root_error_mm(answer: HandParams, truth: HandParams) -> float:
    _, a = RIG.mesh(answer)
    _, b = RIG.mesh(truth)
    return float(1000 * np.linalg.norm((a - a[ROOT]) - (b - b[ROOT]), axis=1).mean())


def tiny_network() -> DenseNetwork:
    torch.manual_seed(0)
    hourglass = HourglassConfig(
        block="postactivation", stem_width=4, light_stem=True, level_widths=(8, 8, 8), level_modules=(1, 1, 1)
    )
    groups = GroupsConfig(input_size=SIZE, hourglass=hourglass, neck_widths=(8, 8), branch_widths=(8, 8, 8), lift=True)
    return DenseNetwork(
        DenseConfig(input_size=SIZE, evidence="live", groups=groups, hidden=(16,), skeleton="chain", mask=False)
    ).eval()


def test_newton_recovers_shaken_hands() -> None:
    before, after = [], []
    for seed in range(8):
        truth = hand(seed)
        start = shaken(truth, 100 + seed)
        trace = refine_newton(RIG, target(truth), start, 15)
        before.append(root_error_mm(start, truth))
        after.append(root_error_mm(trace.answer, truth))
        assert not trace.diverged
    assert np.mean(after) < 0.3 * np.mean(before)


def test_newton_keeps_every_iterate_and_never_rises() -> None:
    truth = hand(1)
    trace = refine_newton(RIG, target(truth), shaken(truth, 5), 12, keep=True)
    totals = [it.total for it in trace.iterates]
    assert len(totals) == 13 and totals == sorted(totals, reverse=True)
    assert trace.best == 12 and {"joints_px", "depth"} <= set(trace.iterates[0].terms)
    assert trace.iterates[-1].terms["joints_px"] < trace.iterates[0].terms["joints_px"]


def test_keeping_all_or_two_gives_the_same_answer() -> None:
    truth = hand(2)
    start = shaken(truth, 6)
    all_kept = refine_newton(RIG, target(truth), start, 6, keep=True)
    two_kept = refine_newton(RIG, target(truth), start, 6)
    assert len(two_kept.iterates) == 2
    np.testing.assert_allclose(two_kept.answer.pose, all_kept.answer.pose, atol=1e-3)


@pytest.mark.parametrize("count", [-1, 101])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    truth = hand(0)
    with pytest.raises(ValueError, match="0 to 100"):
        refine_newton(RIG, target(truth), truth, count)


def test_no_iterations_return_the_start() -> None:
    truth = hand(3)
    start = shaken(truth, 7)
    trace = refine_newton(RIG, target(truth), start, 0)
    assert trace.best == 0 and len(trace.iterates) == 1
    np.testing.assert_allclose(trace.answer.pose, start.pose)


def test_newton_says_when_its_start_is_no_number() -> None:
    truth = hand(0)
    broken = dataclasses.replace(target(truth), joints_px_J2=np.full((21, 2), 1e200))
    trace = refine_newton(RIG, broken, truth, 5)
    assert trace.diverged and trace.best == 0


def test_refined_poses_stay_possible() -> None:
    for seed in range(5):
        truth = hand(seed)
        trace = refine_newton(RIG, target(truth), shaken(truth, 50 + seed), 20)
        assert check_pose(trace.answer.pose, tolerance_deg=8.0) == []


def paper_target(truth: HandParams, network: DenseNetwork) -> PaperTarget:
    rgb = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    with torch.no_grad():
        feature = network.evidence.feature(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255)[0].numpy()
    return PaperTarget(rgb=rgb, K=K, joints_px_J2=project(RIG.mesh(truth)[1], K), feature=feature, size=SIZE)


def paper_trace(settings: PaperSettings, iterations: int = 8, keep: bool = True) -> RefinementTrace:
    network, truth = tiny_network(), hand(4)
    return refine_paper(network, HAND, paper_target(truth, network), shaken(truth, 8), iterations, keep=keep, settings=settings)


def test_paper_steps_lower_all_of_eq_13() -> None:
    trace = paper_trace(PaperSettings())
    assert set(trace.iterates[0].terms) == {"joints", "features", "laplacian"}
    assert trace.iterates[trace.best].total < 0.7 * trace.iterates[0].total
    assert [it.t_ms for it in trace.iterates] == sorted(it.t_ms for it in trace.iterates)


def test_a_runaway_is_stopped_at_the_best_and_said() -> None:
    whole = paper_trace(PaperSettings(step=1e4, feature_weight=0.0))
    assert whole.diverged and 1 < len(whole.iterates) < 9
    trace = paper_trace(PaperSettings(step=1e4, feature_weight=0.0), keep=False)
    assert trace.diverged
    assert trace.answer is trace.iterates[trace.best].params
    assert trace.iterates[trace.best].total <= trace.iterates[0].total


def test_eq_13_has_the_gradient_it_claims() -> None:
    """Plain steps follow the derivative of the joints term: compare with finite differences."""
    network = tiny_network()
    settings = PaperSettings(feature_weight=0.0, laplacian_weight=0.1)
    h = 0.1 * torch.randn(1, 63, generator=torch.Generator().manual_seed(3)).double()
    double = HAND.to(dtype=torch.float64)
    seen = Batch13(
        rgb_B3SS=torch.rand(1, 3, SIZE, SIZE),
        K_B33=torch.from_numpy(K)[None],
        joints_unit_BJ2=torch.zeros(1, 21, 2, dtype=torch.float64),
        feature_BF=torch.zeros(1, 1),
    )
    h.requires_grad_(True)
    total, _ = eq13(network, double, h, seen, settings)
    (gradient,) = torch.autograd.grad(total.sum(), h)
    for i in (0, 5, 47, 56, 60, 62):
        step = torch.zeros_like(h)
        step[0, i] = 1e-5
        up, down = (eq13(network, double, (h + s * step).detach(), seen, settings)[0] for s in (1, -1))
        assert float((up - down) / 2e-5) == pytest.approx(float(gradient[0, i]), rel=1e-4, abs=1e-7)


def test_paper_steps_run_for_many_crops_at_once() -> None:
    network = tiny_network()
    h = 0.1 * torch.randn(3, 63, generator=torch.Generator().manual_seed(4))
    seen = Batch13(
        rgb_B3SS=torch.rand(3, 3, SIZE, SIZE),
        K_B33=torch.from_numpy(K).float().expand(3, 3, 3),
        joints_unit_BJ2=torch.zeros(3, 21, 2),
        feature_BF=torch.zeros(3, network.evidence.features),
    )
    steps = gradient_steps(network, HAND, h, seen, 4, PaperSettings(feature_weight=0.0))
    assert steps.h_TBN.shape == (5, 3, 63) and steps.best().shape == (3, 63)
    assert (steps.total_TB.min(0).values <= steps.total_TB[0]).all()


def test_the_mask_draws_the_outline_to_itself() -> None:
    truth = hand(11)
    K_large = np.array([[320.0, 0, 63.5], [0, 320.0, 63.5], [0, 0, 1]])
    vertices, joints = RIG.mesh(truth)
    mask = Silhouette.of(drawn_mask(vertices, RIG.faces_F3, K_large, 128, 128).astype(float), 128, K_large)
    assert mask.has_outline and mask.iou(RIG, RIG.mesh(truth)[0]) == 1.0
    vague = Target(K=K_large, joints_px_J2=project(joints, K_large), sigma_px_J=np.full(21, 8.0), silhouette=mask)
    start = shaken(truth, 5)
    trace = refine_newton(RIG, vague, start, 20, keep=True)
    totals = [it.total for it in trace.iterates]
    assert all(b <= a for a, b in itertools.pairwise(totals))
    blind = refine_newton(RIG, dataclasses.replace(vague, silhouette=None), start, 20)
    missed = [1 - mask.iou(RIG, RIG.mesh(params)[0]) for params in (start, blind.answer, trace.answer)]
    assert missed[2] < 0.7 * missed[1] and missed[2] < 0.5 * missed[0]
    assert trace.iterates[-1].terms["silhouette"] == pytest.approx(missed[2])


@pytest.mark.parametrize("chance", [np.zeros((32, 32)), np.ones((32, 32))])
def test_a_mask_without_an_outline_is_not_followed(chance: np.ndarray) -> None:
    truth = hand(11)
    mask = Silhouette.of(chance, SIZE, K)
    assert not mask.has_outline and len(mask.lines(RIG, truth).point) == 0
    start = shaken(truth, 5)
    blind = refine_newton(RIG, target(truth), start, 3, keep=True)
    trace = refine_newton(RIG, dataclasses.replace(target(truth), silhouette=mask), start, 3, keep=True)
    assert [it.total for it in trace.iterates] == [it.total for it in blind.iterates]
    assert "silhouette" not in trace.iterates[0].terms


def test_nothing_is_prepared_of_a_mask_that_nobody_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[int] = []
    whole = EdgeTarget.of
    monkeypatch.setattr(EdgeTarget, "of", staticmethod(lambda mask: prepared.append(1) or whole(mask)))
    truth = hand(11)
    mask = Silhouette.of(drawn_mask(RIG.mesh(truth)[0], RIG.faces_F3, K, SIZE, SIZE).astype(float), SIZE, K)
    seen = dataclasses.replace(target(truth), silhouette=mask)
    refine_newton(RIG, seen, shaken(truth, 5), 0)
    assert prepared == []
    for _ in range(2):
        refine_newton(RIG, seen, shaken(truth, 5), 2)
    assert prepared == [1]


def test_the_terms_of_newton_hold_what_no_picture_says() -> None:
    """Where the joints are met exactly and nothing else is seen, the priors are all that is left of the total."""
    truth = hand(2)
    trace = refine_newton(RIG, target(truth), truth, 0, keep=True)
    assert trace.iterates[0].terms["priors"] == pytest.approx(trace.iterates[0].total, rel=1e-6)
    assert trace.iterates[0].terms["priors"] > 0


def test_it_begins_at_the_start_that_costs_least() -> None:
    truth = hand(4)
    far, near = shaken(truth, 8), truth
    traces = [refine_newton(RIG, target(truth), first, 0, other_starts=[other]) for first, other in ((far, near), (near, far))]
    # The first is what a refinement holds on to, so that costs differ; where it begins does not.
    for trace in traces:
        np.testing.assert_allclose(trace.answer.pose, near.pose)


def test_a_start_that_is_no_number_is_never_begun_at() -> None:
    truth = hand(4)
    broken = dataclasses.replace(truth, pose=np.full(45, np.nan))
    for first, other in ((broken, truth), (truth, broken)):
        trace = refine_newton(RIG, target(truth), first, 1, anchor=truth, other_starts=[other])
        assert not trace.diverged and np.isfinite(trace.answer.pose).all()


@pytest.mark.parametrize("skeleton", ["chain", "regressor"])
def test_the_papers_objective_compares_the_networks_own_joints(skeleton: str) -> None:
    network = tiny_network()
    network.config = dataclasses.replace(network.config, skeleton=skeleton)  # type: ignore[arg-type]
    params, K_133 = hand(1), torch.from_numpy(K)[None].float()
    values = (params.pose, params.shape, params.root_rotation, params.translation_m)
    pose, shape, turn, place = (torch.as_tensor(value)[None].float() for value in values)
    given = DenseParams(pose_BP=pose, shape_BS=shape, root_rotation_B3=turn, scale_B=torch.ones(1), translation_B3=place)
    h = encode(given, K_133, SIZE, HAND)
    _, surface = decode(h, K_133, SIZE, HAND)
    joints = {"chain": surface.joints_BJ3, "regressor": HAND.skeleton_regressor_JV @ surface.vertices_BV3}
    for name, own in joints.items():
        unit = to_unit(project_points(own, K_133), SIZE)
        seen = Batch13(rgb_B3SS=torch.zeros(1, 3, SIZE, SIZE), K_B33=K_133, joints_unit_BJ2=unit, feature_BF=torch.zeros(1, 1))
        _, terms = eq13(network, HAND, h, seen, PaperSettings(feature_weight=0.0))
        assert (float(terms["joints"]) < 1e-9) == (name == skeleton)
