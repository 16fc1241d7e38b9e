from __future__ import annotations

import dataclasses

import pytest
import torch

from handviz.hand.skeleton import FINGER_JOINTS
from handviz.models.deploy import DeployedGroups, compile_for_speed
from handviz.models.groups import GroupFusion, GroupsConfig, GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from handviz.models.readout import soft_argmax, spatial_softmax
from handviz.models.selector import JointSelector

SMALL = HourglassConfig(light_stem=True, stem_width=16, level_widths=(32, 32, 48), level_modules=(1, 1, 1))


def small(**changes) -> GroupsConfig:
    plain = {"input_size": 64, "hourglass": SMALL, "neck_widths": (32,), "branch_widths": (16, 16, 16)}
    return GroupsConfig(**(plain | changes))


def trained_looking(config: GroupsConfig, seed: int = 0) -> GroupsNetwork:
    """A network whose norms, temperatures and selector are no longer at their start."""
    torch.manual_seed(seed)
    network = GroupsNetwork(config)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        network.beta_J.uniform_(0.5, 3.0)
        if config.grouping == "learned":
            network.selector.logits_JK.normal_()
    return network.eval()


def test_paper_size():
    parameters = sum(p.numel() for p in GroupsNetwork(GroupsConfig()).parameters())
    assert parameters == pytest.approx(7.5e6, rel=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": 1, "grouping": "none"},
        {"groups": 3, "grouping": "manual", "fusion": False},
        {"groups": 3, "grouping": "manual"},
        {"groups": 3, "fusion": False},
        {"groups": 5},
        {"groups": 21},
        {"groups": 1},
        {"groups": 2, "lift": True, "presence": True, "light_heads": True},
        {"groups": 2, "presence": True, "side": True},
        {"groups": 3, "hourglass": dataclasses.replace(SMALL, block="postactivation"), "light_heads": True},
        # A first residual of the neck that does not change the width has no convolution in its skip connection.
        {"groups": 2, "hourglass": dataclasses.replace(SMALL, block="postactivation"), "neck_widths": (53, 32)},
    ],
    ids=str,
)
def test_every_variant_runs_and_deploys_to_the_same_answers(changes):
    network = trained_looking(small(**changes))
    if network.lift is not None:
        torch.nn.init.normal_(network.lift.leave.weight, std=0.1)
    rgb = torch.rand(2, 3, 64, 64)
    deployed = DeployedGroups(network)
    with torch.no_grad():
        whole, lean = network(rgb), deployed(rgb)
    assert whole.uv_BJ2.shape == (2, 21, 2) and whole.depth_BJ.shape == (2, 21)
    assert torch.allclose(whole.uv_BJ2, lean.uv_BJ2, atol=1e-3)
    assert torch.allclose(whole.depth_BJ, lean.depth_BJ, atol=1e-4)
    assert torch.allclose(whole.heat_BJHW, lean.heat_BJHW, atol=1e-5)
    for logit, name in ((whole.presence_B, "presence"), (whole.side_B, "side")):
        assert (logit is None) == (name not in changes)
    if whole.side_B is not None:
        assert torch.allclose(whole.side_B, lean.side_B, atol=1e-4)


def test_the_first_maps_are_folded_into_a_postactivation_neck_with_a_skip_convolution():
    plain, folded = (
        DeployedGroups(trained_looking(small(hourglass=dataclasses.replace(SMALL, block=block), neck_widths=(width,))))
        for block, width in (("postactivation", 53), ("postactivation", 32))
    )
    assert plain.neck is None and folded.neck is not None
    assert folded.neck[0].conv1[0].in_channels == 32


def test_postactivation_blocks_deploy_too_and_the_trace_takes_any_batch():
    config = small(hourglass=dataclasses.replace(SMALL, block="postactivation"), presence=True)
    network = trained_looking(config)
    fast = compile_for_speed(DeployedGroups(network), torch.device("cpu"))
    rgb = torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        whole, (uv, depth, heat, presence) = network(rgb), fast(rgb)
    assert torch.allclose(whole.uv_BJ2, uv, atol=1e-3)
    assert torch.allclose(whole.depth_BJ, depth, atol=1e-4)
    assert torch.allclose(whole.presence_B, presence, atol=1e-4)
    assert torch.allclose(heat.sum((2, 3)), torch.ones(3, 21), atol=1e-5)


def test_the_sampled_network_becomes_the_deployed_one_as_temperature_goes_to_zero():
    network = trained_looking(small(groups=4))
    with torch.no_grad():
        # Decided joints: the Gumbel noise of a sample can hardly overturn a gap of 60.
        network.selector.logits_JK.zero_()
        network.selector.logits_JK[torch.arange(21), torch.arange(21) % 4] = 60.0
    rgb = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        deployed = DeployedGroups(network)(rgb)
    gaps = []
    for temperature in (100.0, 10.0, 1.0):
        network.selector.train()
        network.selector.temperature.fill_(temperature)
        torch.manual_seed(0)
        with torch.no_grad():
            sampled = network(rgb)
        gaps.append(float((sampled.uv_BJ2 - deployed.uv_BJ2).abs().max()))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3 < gaps[0]


def test_at_low_temperature_samples_are_one_hot_and_as_frequent_as_their_probability():
    selector = JointSelector("learned", 3)
    with torch.no_grad():
        selector.logits_JK.copy_(torch.tensor([0.0, 1.0, 2.0]).expand(21, 3))
    selector.temperature.fill_(0.01)
    torch.manual_seed(0)
    samples = torch.stack([selector.sample() for _ in range(400)]).detach()
    assert (samples.max(-1).values > 0.99).float().mean() > 0.97
    assert torch.allclose(samples.mean((0, 1)), selector.probabilities()[0], atol=0.03)


def test_selector_starts_without_prior_and_learns_from_a_gradient():
    selector = JointSelector("learned", 4).train()
    assert torch.allclose(selector.probabilities(), torch.full((21, 4), 0.25))
    assert float(selector.entropy()) == pytest.approx(torch.log(torch.tensor(4.0)).item())
    selector.temperature.fill_(1.0)
    cost = torch.tensor([1.0, 0.0, 1.0, 1.0])
    optimiser = torch.optim.Adam(selector.parameters(), lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        (selector() * cost).sum().backward()
        optimiser.step()
    assert (selector.groups() == 1).all()
    assert float(selector.entropy()) < 0.3


def test_manual_groups_are_thumb_index_others():
    groups = JointSelector("manual", 3).groups()
    assert set(groups[list(FINGER_JOINTS["thumb"])].tolist()) == {0}
    assert set(groups[list(FINGER_JOINTS["index"])].tolist()) == {1}
    rest = [j for j in range(21) if j not in (*FINGER_JOINTS["thumb"], *FINGER_JOINTS["index"])]
    assert set(groups[rest].tolist()) == {2}
    assert not any(p.requires_grad for p in JointSelector("manual", 3).parameters())


@pytest.mark.parametrize("groups", [1, 2, 3, 21])
def test_fusion_starts_as_a_weighted_sum_of_groups(groups):
    fusion = GroupFusion(4, groups, own=0)
    features = torch.rand(1, 4 * groups, 5, 5)
    parts = features.chunk(groups, 1)
    expected = 0.9 * parts[0] + sum(0.1 / (groups - 1) * p for p in parts[1:]) if groups > 1 else parts[0]
    assert torch.allclose(fusion.mix(features), expected, atol=1e-6)


def test_read_out_finds_a_peak_in_crop_pixels():
    logits = torch.full((1, 1, 16, 16), -50.0)
    logits[0, 0, 3, 10] = 50.0
    heat = spatial_softmax(logits, torch.ones(1))
    # Cell (row 3, column 10) covers pixels 40 to 43 and 12 to 15.
    assert torch.allclose(soft_argmax(heat), torch.tensor([[[41.5, 13.5]]]))


def test_mixed_precision_reads_the_same_pixels():
    """Centres of cells from 128 on take nine bits."""
    heat = torch.zeros(1, 64, 64, 64)
    heat[0, torch.arange(64), torch.arange(64), torch.arange(64)] = 1.0
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(soft_argmax(heat)[0, :, 0], 4 * torch.arange(64.0) + 1.5)


def test_every_part_gets_a_gradient():
    network = GroupsNetwork(small(groups=3, lift=True, presence=True)).train()
    torch.nn.init.normal_(network.lift.leave.weight)
    out = network(torch.rand(2, 3, 64, 64))
    (out.uv_BJ2.sum() + out.depth_BJ.square().sum() + out.presence_B.sum() + out.first_uv_BJ2.sum()).backward()
    without = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


@pytest.mark.parametrize("bad", [{"groups": 0}, {"groups": 22}, {"input_size": 100}, {"groups": 2, "grouping": "manual"}])
def test_senseless_configurations_are_refused(bad):
    with pytest.raises(ValueError):
        GroupsNetwork(small(**bad))
