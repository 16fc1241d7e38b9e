from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from handviz.errors import ModelFileError
from handviz.models import compiled
from handviz.models.checkpoint import save_groups
from handviz.models.compiled import compiled_for
from handviz.models.dense import DenseNetwork, dense_live_config
from handviz.models.dense_checkpoint import save_dense
from handviz.models.dense_deploy import DenseRunner
from handviz.models.deploy import Answers, DeployedGroups
from handviz.models.groups import GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from training.compile import write_compiled
from training.quantize import DoubleSize, write_quantized
from training.recipes.named import live_network

SMALL = live_network(
    input_size=64,
    hourglass=HourglassConfig(
        block="postactivation", stem_width=8, light_stem=True, level_widths=(16, 16, 16), level_modules=(1, 1, 1)
    ),
    neck_widths=(16, 8),
    branch_widths=(8, 8, 8),
)


@pytest.fixture
def groups(tmp_path: Path) -> tuple[GroupsNetwork, Path]:
    torch.manual_seed(0)
    network = GroupsNetwork(SMALL).eval()
    path = tmp_path / "small.safetensors"
    save_groups(path, network, {})
    return network, path


def test_an_exported_groups_network_answers_as_torch_does(groups):
    network, path = groups
    assert compiled_for(path) is None
    write_compiled(path)
    exported = compiled_for(path)
    assert exported is not None
    rgb = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = Answers(DeployedGroups(network)).eval()(rgb)
    for mine, theirs in zip(exported(rgb), expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-3)


def test_an_exported_dense_network_answers_as_torch_does(tmp_path):
    torch.manual_seed(1)
    network = DenseNetwork(dense_live_config(SMALL)).eval()
    path = tmp_path / "dense.safetensors"
    save_dense(path, network, {})
    write_compiled(path)
    rgb, K = torch.rand(2, 3, 64, 64), torch.tensor([[120.0, 0, 31.5], [0, 120, 31.5], [0, 0, 1]]).expand(2, 3, 3)
    plain, fast = (DenseRunner(network, torch.device("cpu"), c)(rgb, K) for c in (None, compiled_for(path)))
    for field in dataclasses.fields(plain):
        assert torch.allclose(getattr(plain, field.name), getattr(fast, field.name), atol=1e-3), field.name


def test_an_export_of_other_weights_is_not_used(groups, tmp_path):
    _, path = groups
    write_compiled(path)
    save_groups(path, GroupsNetwork(SMALL), {})
    assert compiled_for(path) is None


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"not a network"])
def test_a_damaged_export_is_named(groups, damage):
    _, path = groups
    export = write_compiled(path)
    export.write_bytes(damage(export.read_bytes()))
    with pytest.raises(ModelFileError, match=r"small\.onnx"):
        compiled_for(path)


def test_a_network_on_eight_bits_says_nearly_the_same(groups, monkeypatch):
    network, path = groups
    torch.nn.init.normal_(network.lift.leave.weight, std=0.5)
    save_groups(path, network, {})
    write_compiled(path)
    crops = np.random.default_rng(0).random((24, 3, 64, 64), np.float32)
    write_quantized(path, crops)
    monkeypatch.setattr(compiled, "multiplies_bytes", lambda: True)
    plain, rounded = compiled_for(path), compiled_for(path, eight_bits=True)
    depths = []
    for crop in crops:
        exact, nearly = plain.answers(crop[None]), rounded.answers(crop[None])
        assert np.abs(exact[0] - nearly[0]).max() < 1.0
        depths.append((exact[1], nearly[1]))
    exact, nearly = (np.concatenate(column) for column in zip(*depths, strict=True))
    assert 0 < np.abs(exact - nearly).mean() < 0.1 * exact.std()
    assert np.allclose(exact.mean(0), nearly.mean(0), atol=1e-3), "what rounding adds on average is subtracted"


def test_eight_bits_are_left_alone_by_other_cpus_and_for_other_weights(groups, monkeypatch):
    network, path = groups
    write_compiled(path)
    write_quantized(path, np.random.default_rng(0).random((2, 3, 64, 64), np.float32))
    rgb = torch.rand(1, 3, 64, 64)
    monkeypatch.setattr(compiled, "multiplies_bytes", lambda: False)
    plain = compiled_for(path)(rgb)[0]
    assert torch.equal(compiled_for(path, eight_bits=True)(rgb)[0], plain)
    monkeypatch.setattr(compiled, "multiplies_bytes", lambda: True)
    assert not torch.equal(compiled_for(path, eight_bits=True)(rgb)[0], plain)
    save_groups(path, network, {"note": "trained further"})
    write_compiled(path)
    assert torch.equal(compiled_for(path, eight_bits=True)(rgb)[0], compiled_for(path)(rgb)[0])


@pytest.mark.parametrize("height", [1, 6])
def test_a_transposed_convolution_is_a_plain_one_whose_features_become_pixels(height):
    torch.manual_seed(2)
    transposed = torch.nn.ConvTranspose2d(3, 5, 4, 2, padding=1)
    x = torch.randn(2, 3, height, 4)
    torch.testing.assert_close(DoubleSize(transposed)(x), transposed(x))
