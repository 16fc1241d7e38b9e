from __future__ import annotations

import dataclasses

import pytest
import torch

from handviz.errors import ModelFileError, OutputError
from handviz.models import checkpoint
from handviz.models.checkpoint import least_size, load_groups, load_weights, save_groups, save_weights
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from handviz.models.weights_files import GROUPS_KIND, Weights

SMALL = HourglassConfig(light_stem=True, stem_width=16, level_widths=(32, 32), level_modules=(1, 1))
CONFIG = GroupsConfig(input_size=64, hourglass=SMALL, groups=2, neck_widths=(16,), branch_widths=(16, 16, 16), presence=True)


@pytest.fixture()
def saved(tmp_path):
    network = GroupsNetwork(CONFIG)
    path = tmp_path / "groups.safetensors"
    save_groups(path, network, {"recipe": "test"})
    return path, network


def test_round_trip(saved):
    path, network = saved
    loaded, notes = load_groups(path, groups=2)
    assert loaded.config == CONFIG
    assert notes == {"recipe": "test"}
    assert not loaded.training
    mine = network.state_dict()
    assert all(torch.equal(mine[name], tensor) for name, tensor in loaded.state_dict().items())


def test_half_precision_halves_the_file(saved, tmp_path):
    path, network = saved
    save_groups(tmp_path / "half.safetensors", network, {}, torch.float16)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * path.stat().st_size
    loaded, _ = load_groups(tmp_path / "half.safetensors")
    assert loaded.beta_J.dtype == torch.float32


def test_another_k_is_named(saved):
    with pytest.raises(ModelFileError, match="K = 2 groups, not 3"):
        load_groups(saved[0], groups=3)


def test_another_model_is_named(tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(path, Weights(kind="handviz-dense-1", config={}, tensors={"a": torch.ones(1)}, notes={}))
    with pytest.raises(ModelFileError, match="handviz-dense-1"):
        load_groups(path)


def test_foreign_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelFileError, match="unknown"):
        load_groups(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, 0.999])
def test_truncated(saved, keep):
    path, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ModelFileError, match="truncated"):
        load_groups(path)


def test_not_safetensors_and_missing(tmp_path):
    (tmp_path / "a.safetensors").write_text("hello, this is no network" * 10)
    with pytest.raises(ModelFileError, match="not a safetensors"):
        load_groups(tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match="no such"):
        load_groups(tmp_path / "b.safetensors")


def test_configuration_of_another_version(saved, tmp_path):
    path, _ = saved
    weights = load_weights(path, GROUPS_KIND)
    for change in ({"novelty": 1}, {"hourglass": 3}, {"groups": 99}, {"grouping": "manual"}, {"neck_widths": []}):
        save_weights(path, dataclasses.replace(weights, config={**weights.config, **change}))
        with pytest.raises(ModelFileError, match="configuration"):
            load_groups(path)


def test_a_configuration_beyond_its_file_is_refused_before_it_is_built(saved):
    path, network = saved
    assert least_size(CONFIG) <= sum(t.numel() for t in network.state_dict().values())
    weights = load_weights(path, GROUPS_KIND)
    large = {"hourglass": {**weights.config["hourglass"], "level_widths": [60_000, 60_000]}}
    for change in ({"neck_widths": [60_000, 60_000]}, {"branch_widths": [60_000] * 3}, {"neck_widths": ["a"]}, large):
        save_weights(path, dataclasses.replace(weights, config={**weights.config, **change}))
        with pytest.raises(ModelFileError, match="configuration"):
            load_groups(path)
    save_weights(path, dataclasses.replace(weights, config=5))
    with pytest.raises(ModelFileError, match="configuration"):
        load_groups(path)


@pytest.mark.parametrize("config", [GroupsConfig(), GroupsConfig(groups=21, light_heads=True)])
def test_the_least_size_is_below_the_true_one(config):
    assert least_size(config) <= sum(t.numel() for t in GroupsNetwork(config).state_dict().values())


def test_tensors_that_do_not_fit(saved):
    path, _ = saved
    weights = load_weights(path, GROUPS_KIND)
    tensors = {**weights.tensors, "beta_J": torch.ones(5)}
    save_weights(path, dataclasses.replace(weights, tensors=tensors))
    with pytest.raises(ModelFileError, match="do not fit"):
        load_groups(path)


def test_full_disk_keeps_the_old_file(saved, monkeypatch):
    path, network = saved
    kept = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save_groups(path, network, {"recipe": "new"})
    assert path.read_bytes() == kept
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_unwritable_place(saved, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="could not be written"):
        save_groups(tmp_path / "file" / "w.safetensors", saved[1], {})
