"""Losses of the dense hand against their equations."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from handviz.fit.mesh_terms import Laplacian, mask_of, resized
from handviz.hand.limits import ANATOMICAL_FROM_POSE, ANGLE_INDEX, POSE_HIGH, POSE_LOW
from handviz.hand.skeleton import ROOT
from handviz.models.dense import DenseNetwork
from handviz.models.dense_vector import POSE
from tests.training.dense.dots import CONFIG, FOCAL, HAND, LOSS, SIZE, as_float, perfect_output, posed_batch
from training.dense.losses import (
    dense_loss,
    feature_loss,
    heat_loss,
    limits_loss,
    mask_loss,
    mask_on,
    normalised,
)


def test_the_truth_costs_nothing() -> None:
    batch, network = as_float(posed_batch(3)), DenseNetwork(CONFIG).eval()
    weights = dataclasses.replace(LOSS, mask_head=0.0, evidence=0.0, laplacian=0.0, shape_prior=0.0, limits=0.0)
    terms = dense_loss(network, perfect_output(network, batch), batch, weights).numbers()
    assert {"articulation", "place", "refiner", "vertices", "pose", "turn", "shape"} <= set(terms)
    assert all(value < 2e-3 for value in terms.values())


def test_normalised_skeleton_is_eq_8() -> None:
    batch = as_float(posed_batch(2))
    extent = torch.tensor([30.0, 20.0])
    found = normalised(batch.joints_m_BJ3, batch.joints_px_BJ2, extent, batch.K_B33)
    i, j = 1, 7
    uv, xyz = batch.joints_px_BJ2[i], batch.joints_m_BJ3[i]
    assert found[i, j, 0] == pytest.approx(float((uv[j, 0] - uv[ROOT, 0]) / 20), abs=1e-5)
    by_hand = float((xyz[j, 2] - xyz[ROOT, 2]) / (xyz[ROOT, 2] * 20 / FOCAL))
    assert found[i, j, 2] == pytest.approx(by_hand, abs=1e-4)


def test_another_networks_depths_and_what_was_fitted_to_them_count_less() -> None:
    batch, network = as_float(posed_batch(2)), DenseNetwork(CONFIG).eval()
    output = perfect_output(network, batch)
    deeper = batch.joints_m_BJ3 + torch.tensor([0.0, 0.0, 0.03]) * (torch.arange(21) != ROOT)[:, None]
    exact = dataclasses.replace(batch, joints_m_BJ3=deeper, pose_B45=batch.pose_B45 + 0.1)
    opinion = dataclasses.replace(exact, sigma_px_BJ=torch.full_like(batch.sigma_px_BJ, 1e-9))
    weights = dataclasses.replace(LOSS, evidence=1.0)
    sure, unsure = (dense_loss(network, output, one, weights).numbers() for one in (exact, opinion))
    for name in ("articulation", "pose", "vertices"):
        assert unsure[name] == pytest.approx(weights.groups.opinion_depth * sure[name], rel=0.02), name
    assert unsure["place"] == pytest.approx(sure["place"], abs=1e-6)
    assert unsure["evidence"] < sure["evidence"]


def test_what_was_fitted_to_unsure_joints_counts_as_little_as_they() -> None:
    batch, network = as_float(posed_batch(2)), DenseNetwork(CONFIG).eval()
    output = perfect_output(network, batch)
    bent = dataclasses.replace(batch, pose_B45=batch.pose_B45 + 0.1)
    trusted = LOSS.groups.trusted_px * batch.rgb_B3SS.shape[-1] / 128
    sure, unsure = (
        dense_loss(
            network, output, dataclasses.replace(bent, sigma_px_BJ=torch.full_like(batch.sigma_px_BJ, sigma)), LOSS
        ).numbers()
        for sigma in (1e-9, trusted)
    )
    for name in ("pose", "vertices"):
        assert unsure[name] == pytest.approx(0.5 * sure[name], rel=0.02), name


def test_mask_loss_waits_for_the_joints() -> None:
    batch, network = as_float(posed_batch(4)), DenseNetwork(CONFIG).eval()
    good = perfect_output(network, batch)
    moved = dataclasses.replace(good, joints_BJ3=good.joints_BJ3 + torch.tensor([0.06, 0.0, 0.0]))
    assert mask_on(network, good, batch, LOSS).all()
    assert not mask_on(network, moved, batch, LOSS).any()
    assert mask_on(network, moved, batch, dataclasses.replace(LOSS, schedule="constant")).all()


def test_masks_of_all_sources_of_a_batch_count() -> None:
    batch, network = as_float(posed_batch(12)), DenseNetwork(CONFIG).eval()
    good = perfect_output(network, batch)
    vertices = good.surface.vertices_BV3.clone().requires_grad_(True)
    output = dataclasses.replace(good, surface=dataclasses.replace(good.surface, vertices_BV3=vertices))
    mask_loss(network, output, batch, dataclasses.replace(LOSS, mask_samples=4)).backward()
    assert vertices.grad is not None
    moved = (vertices.grad != 0).any(-1).any(-1).nonzero()[:, 0].tolist()
    assert moved == [1, 4, 7, 10], "the first rows are no more taken than the last ones"


@pytest.mark.parametrize("count", [4, 8, 16])
def test_masks_weigh_as_much_however_many_of_a_batch_are_drawn(count: int) -> None:
    batch, network = as_float(posed_batch(count)), DenseNetwork(CONFIG).eval()
    wrong = dataclasses.replace(batch, mask_BSS=torch.ones_like(batch.mask_BSS))
    output = perfect_output(network, batch)
    all_of_them, some = (
        float(mask_loss(network, output, wrong, dataclasses.replace(LOSS, mask_samples=most))) for most in (64, 4)
    )
    assert some == pytest.approx(all_of_them, rel=0.2)


def test_samples_without_labels_move_nothing() -> None:
    batch, network = as_float(posed_batch(2)), DenseNetwork(CONFIG).eval()
    no = torch.zeros(2, dtype=torch.bool)
    nothing = dataclasses.replace(
        batch, valid_BJ=no[:, None].expand(2, 21), has_joints_m_B=no, has_mask_B=no, has_params_B=no, is_hand_B=no
    )
    weights = dataclasses.replace(LOSS, evidence=0.0, shape_prior=0.0, limits=0.0, laplacian=0.0)
    output = network(nothing.rgb_B3SS, nothing.K_B33)
    assert float(dense_loss(network, output, nothing, weights).total.detach()) == pytest.approx(0.0, abs=1e-9)


def test_laplacian_is_zero_for_the_flat_hand_and_grows_with_noise() -> None:
    laplacian = Laplacian.of(HAND)
    flat = HAND.template_V3[None]
    assert float(laplacian(flat)) == pytest.approx(0, abs=1e-10)
    noisy = flat + 0.002 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    turned = flat @ torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert float(laplacian(noisy)) > 1e-5
    assert float(laplacian(turned)) == pytest.approx(0, abs=1e-9)


def test_resized_intrinsics_respect_pixel_centres() -> None:
    K = torch.tensor([[[100.0, 0, 63.5], [0, 100, 63.5], [0, 0, 1]]])
    small = resized(K, 128, 32)[0]
    assert small[0, 2] == pytest.approx(15.5) and small[0, 0] == pytest.approx(25.0)


def test_mask_loss_pulls_a_shifted_hand_back() -> None:
    batch, network = as_float(posed_batch(2)), DenseNetwork(CONFIG).eval()
    good = perfect_output(network, batch)
    truth = mask_of(good.surface.vertices_BV3, HAND, batch.K_B33, SIZE, SIZE).detach()
    batch = dataclasses.replace(batch, mask_BSS=truth)
    weights = dataclasses.replace(LOSS, schedule="constant", mask_side=32)
    assert float(mask_loss(network, good, batch, weights)) < 5e-3
    shift = torch.zeros(2, 1, 3, requires_grad=True)
    moved = dataclasses.replace(good.surface, vertices_BV3=good.surface.vertices_BV3 + torch.tensor([0.02, 0.0, 0.0]) + shift)
    loss = mask_loss(network, dataclasses.replace(good, surface=moved), batch, weights)
    loss.backward()
    assert float(loss.detach()) > 0.02
    assert shift.grad is not None and (shift.grad[:, 0, 0] > 0).all()


def test_heat_loss_is_zero_at_gaussians_of_height_one() -> None:
    batch = as_float(posed_batch(2))
    flat = torch.zeros(2, 21, 32, 32)
    centre = (batch.joints_px_BJ2 + 0.5) * (32 / SIZE) - 0.5
    grid = torch.stack(torch.meshgrid(torch.arange(32), torch.arange(32), indexing="xy"), -1)
    truth = torch.exp(-0.5 * ((grid - centre[:, :, None, None]) / 1.5).square().sum(-1))
    everyone = torch.ones(2, 21)
    assert float(heat_loss(truth, batch, everyone, 1.5)) == pytest.approx(0, abs=1e-9)
    assert float(heat_loss(flat, batch, everyone, 1.5)) > 1


def test_features_of_a_picture_that_is_all_hand_are_those_of_the_picture() -> None:
    batch, network = as_float(posed_batch(2)), DenseNetwork(CONFIG).eval()
    with torch.no_grad():
        output = network(batch.rgb_B3SS, batch.K_B33)
        whole = dataclasses.replace(batch, mask_BSS=torch.ones(2, SIZE, SIZE))
        assert float(feature_loss(network, output, whole, 8)) == pytest.approx(0, abs=1e-9)
        assert float(feature_loss(network, output, batch, 8)) > 0


def test_masked_pictures_meet_the_norms_of_whole_ones_and_leave_them_alone() -> None:
    """In training as in Eq. 13's deployed network: masked pictures are normalised like full ones."""
    batch, network = as_float(posed_batch(3)), DenseNetwork(CONFIG).train()
    output = network(batch.rgb_B3SS, batch.K_B33)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    before = [m.running_mean.clone() for m in norms]
    deployed = copy.deepcopy(network).eval()
    with torch.no_grad():
        masked = deployed.evidence.feature(batch.rgb_B3SS * batch.mask_BSS[:, None])
        whole = deployed.evidence.feature(batch.rgb_B3SS)
        expected = (whole - masked).square().mean()
    torch.testing.assert_close(feature_loss(network, output, batch, 3), expected)
    assert network.training and all(part.training for part in network.modules())
    assert all(torch.equal(m.running_mean, mean) and m.training for m, mean in zip(norms, before, strict=True))
    network(batch.rgb_B3SS, batch.K_B33)
    assert not any(torch.equal(m.running_mean, mean) for m, mean in zip(norms, before, strict=True))


@pytest.mark.parametrize(("angle", "excess"), [(None, 0.0), ("high", 0.3), ("low", 0.3)])
def test_limits_cost_what_a_joint_is_bent_beyond_them(angle, excess) -> None:
    angles = (POSE_LOW + POSE_HIGH) / 2
    bent = ANGLE_INDEX["index_pip flexion"]
    if angle is not None:
        angles[bent] = POSE_HIGH[bent] + 0.3 if angle == "high" else POSE_LOW[bent] - 0.3
    h = torch.zeros(1, 63)
    h[0, POSE] = torch.from_numpy(np.linalg.solve(ANATOMICAL_FROM_POSE, angles)).float()
    # The mean over 45 angles.
    assert float(limits_loss(h)) == pytest.approx(excess / 45, abs=1e-7)
