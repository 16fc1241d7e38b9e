"""The dense hand network: its vector, its layer sizes, its iterations, its files."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from handviz.errors import ModelFileError
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import MIDDLE_MCP
from handviz.models.checkpoint import load_weights, save_weights
from handviz.models.dense import DenseConfig, DenseNetwork, dense_paper_config
from handviz.models.dense_checkpoint import load_dense, save_dense
from handviz.models.dense_evidence import PoseMachine, peak_pixels
from handviz.models.dense_vector import (
    QUATERNION,
    REFERENCE_QUATERNION,
    VECTOR_SIZE,
    decode,
    encode,
    joints_only,
    project_points,
    to_pixels,
    to_unit,
)
from handviz.models.groups import GroupsConfig
from handviz.models.hourglass import HourglassConfig
from handviz.models.resnet import ResNet50
from handviz.models.weights_files import DENSE_KIND

HAND = load_hand_model()


def small_config(**changes: object) -> DenseConfig:
    """A live network small enough for tests: 32 x 32 crops."""
    hourglass = HourglassConfig(
        block="postactivation", stem_width=4, light_stem=True, level_widths=(8, 8, 8), level_modules=(1, 1, 1)
    )
    groups = GroupsConfig(
        input_size=32, hourglass=hourglass, neck_widths=(8, 8), branch_widths=(8, 8, 8), lift=True, presence=True
    )
    plain = {"input_size": 32, "evidence": "live", "groups": groups, "hidden": (16,), "skeleton": "chain", "mask": True}
    return DenseConfig(**(plain | changes))  # type: ignore[arg-type]


def camera(batch: int, size: int, focal: float = 300.0) -> torch.Tensor:
    K = torch.tensor([[focal, 0.0, (size - 1) / 2], [0.0, focal, (size - 1) / 2], [0.0, 0.0, 1.0]])
    return K.expand(batch, 3, 3)


def random_vector(batch: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    h = 0.3 * torch.randn(batch, VECTOR_SIZE, generator=g)
    h[:, 60:] *= 0.3
    return h


def test_vector_and_parameters_agree() -> None:
    h, K = random_vector(6), camera(6, 128)
    params, surface = decode(h, K, 128, HAND)
    again = encode(params, K, 128, HAND)
    _, surface_again = decode(again, K, 128, HAND)
    torch.testing.assert_close(surface_again.vertices_BV3, surface.vertices_BV3, atol=2e-5, rtol=0)
    keep = [i for i in range(VECTOR_SIZE) if not QUATERNION.start <= i < QUATERNION.stop]
    torch.testing.assert_close(again[:, keep], h[:, keep], atol=1e-4, rtol=1e-4)


def test_translation_is_where_the_root_is_seen() -> None:
    h, K = random_vector(4), camera(4, 224)
    _, surface = decode(h, K, 224, HAND)
    seen = project_points(surface.joints_BJ3, K)[:, MIDDLE_MCP]
    torch.testing.assert_close(to_unit(seen, 224), h[:, 60:62], atol=1e-4, rtol=0)
    torch.testing.assert_close(to_pixels(to_unit(seen, 224), 224), seen)


def test_scale_changes_metres_and_nothing_in_the_picture() -> None:
    h, K = random_vector(3), camera(3, 128)
    larger = h.clone()
    larger[:, 59] += 0.4
    _, a = decode(h, K, 128, HAND)
    _, b = decode(larger, K, 128, HAND)
    torch.testing.assert_close(project_points(b.vertices_BV3, K), project_points(a.vertices_BV3, K), atol=2e-2, rtol=0)
    torch.testing.assert_close(b.joints_BJ3, a.joints_BJ3 * torch.tensor(0.4).exp(), atol=1e-5, rtol=1e-4)


def test_reference_turn_shows_an_upright_hand_from_the_thumbs_side() -> None:
    _, surface = decode(torch.zeros(1, VECTOR_SIZE), camera(1, 128), 128, HAND)
    joints = surface.joints_BJ3[0]
    assert joints[12, 1] < joints[0, 1] - 0.1  # middle tip far above the wrist (y points down)
    assert joints[4, 2] < joints[17, 2]  # thumb nearer than the little finger
    assert sum(q * q for q in REFERENCE_QUATERNION) == pytest.approx(1)


def test_decoding_is_differentiable_everywhere_in_the_vector() -> None:
    h = torch.zeros(2, VECTOR_SIZE, requires_grad=True)
    _, surface = decode(h, camera(2, 128), 128, HAND)
    (surface.joints_BJ3 * torch.arange(63.0).reshape(21, 3)).sum().backward()
    assert h.grad is not None and torch.isfinite(h.grad).all()
    assert (h.grad[:, list(range(0, 45))].abs().sum(0) > 0).sum() >= 40


def test_a_hand_behind_the_camera_projects_to_finite_pixels() -> None:
    behind = torch.tensor([[[0.1, 0.0, -0.5]]])
    assert torch.isfinite(project_points(behind, camera(1, 128))).all()


def test_paper_sizes() -> None:
    network = DenseNetwork(dense_paper_config())
    assert (network.J3D[-1].in_features, network.J3D[-1].out_features) == (2153, 63)
    assert network.Ref is not None and (network.Ref.in_features, network.Ref.out_features) == (2216, 42)
    assert len(network.J3D) == 1 and network.config.iterations == 3
    # ResNet-50 without its classifier has 23.508 M parameters.
    assert sum(p.numel() for p in ResNet50().parameters()) == 23_508_032


def test_paper_heatmaps_are_32_and_peaks_are_read_in_crop_pixels() -> None:
    machine = PoseMachine(stages=1).eval()
    with torch.no_grad():
        assert machine(torch.zeros(1, 3, 224, 224)).shape == (1, 21, 32, 32)
    heat = torch.zeros(1, 21, 32, 32)
    heat[0, :, 3, 30] = 1
    torch.testing.assert_close(peak_pixels(heat, 224)[0, 5], torch.tensor([30.5 * 7 - 0.5, 3.5 * 7 - 0.5]))


def test_first_answer_is_the_mean_hand_and_unrefined_joints() -> None:
    network = DenseNetwork(small_config()).eval()
    with torch.no_grad():
        out = network(torch.rand(2, 3, 32, 32), camera(2, 32, 70.0))
    assert out.h_TBN.shape == (3, 2, 63) and out.joints_unit_TBJ2.shape == (3, 2, 21, 2)
    assert (out.h_BN - network.start(2)).abs().max() < 0.3
    torch.testing.assert_close(out.refined_BJ2, to_unit(out.evidence.joints_px_BJ2, 32), atol=0.2, rtol=0)
    assert out.evidence.mask_BHW is not None and out.evidence.mask_BHW.shape == (2, 8, 8)


def test_another_device_has_all_of_it_from_the_first_picture_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # On "meta" nothing is computed, but as on a GPU, every tensor must be on it. Autocast does not support this device.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    network = DenseNetwork(small_config()).eval().to("meta")
    out = network(torch.zeros(2, 3, 32, 32, device="meta"), camera(2, 32).to("meta"))
    assert out.h_TBN.device.type == "meta"


def test_without_refiner_the_joints_stay() -> None:
    network = DenseNetwork(small_config(refiner=False)).eval()
    with torch.no_grad():
        out = network(torch.rand(1, 3, 32, 32), camera(1, 32, 70.0))
    torch.testing.assert_close(out.refined_BJ2, to_unit(out.evidence.joints_px_BJ2, 32))


def test_no_gradient_from_the_mesh_into_the_2d_joints() -> None:
    network = DenseNetwork(small_config())
    out = network(torch.rand(2, 3, 32, 32), camera(2, 32, 70.0))
    joints = out.evidence.joints_px_BJ2
    assert joints.requires_grad
    (gradient,) = torch.autograd.grad(out.surface.vertices_BV3.sum(), joints, allow_unused=True)
    assert gradient is None


def test_weights_survive_a_round_trip_in_several_files(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = DenseNetwork(small_config()).eval()
    files = save_dense(tmp_path / "net.safetensors", network, {"recipe": "test"}, shard_bytes=20_000)
    assert len(files) > 2 and all(f.exists() for f in files)
    again, notes = load_dense(files[0])
    assert notes == {"recipe": "test"} and again.config == network.config
    rgb, K = torch.rand(1, 3, 32, 32), camera(1, 32, 70.0)
    with torch.no_grad():
        torch.testing.assert_close(again(rgb, K).h_BN, network(rgb, K).h_BN)
    files[1].unlink()
    with pytest.raises(ModelFileError, match="part2"):
        load_dense(files[0])


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(ModelFileError, match=r"net\.safetensors"):
        load_dense(path)


@pytest.mark.parametrize(
    "change", [{"hidden": [60_000, 60_000]}, {"hidden": ["a"]}, {"hidden": [-(2**70)]}, {"iterations": 10**9}]
)
def test_a_configuration_beyond_its_file_is_refused_before_it_is_built(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "net.safetensors"
    save_dense(path, DenseNetwork(small_config()), {})
    weights = load_weights(path, DENSE_KIND)
    save_weights(path, replace(weights, config={**weights.config, **change}))
    with pytest.raises(ModelFileError, match="configuration") as told:
        load_dense(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("changes", [{"iterations": 0}, {"input_size": 64}, {"evidence": "paper", "input_size": 224}])
def test_impossible_configurations_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        small_config(**changes)


def test_a_hand_of_joints_alone_has_the_same_joints() -> None:
    h, K = random_vector(5), camera(5, 128)
    _, whole = decode(h, K, 128, HAND)
    _, joints = decode(h, K, 128, joints_only(HAND))
    torch.testing.assert_close(joints.joints_BJ3, whole.joints_BJ3, atol=1e-6, rtol=0)
