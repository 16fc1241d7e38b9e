"""The mean of two trainings' weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from handviz.models.checkpoint import save_groups
from handviz.models.dense import DenseNetwork
from handviz.models.dense_checkpoint import load_dense, save_dense
from handviz.models.groups import GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from tests.training.dense.dots import CONFIG
from training.cli import main
from training.recipes.named import live_network
from training.runs import RunFolder, load_network

SMALL = HourglassConfig(block="postactivation", stem_width=4, light_stem=True, level_widths=(8, 8), level_modules=(1, 1))


def groups_run(path: Path, seed: int, chosen: int = 0, **changes: object) -> GroupsNetwork:
    """A run whose network has all joints in one group, and whose weights the seed gives."""
    torch.manual_seed(seed)
    network = GroupsNetwork(live_network(input_size=64, hourglass=SMALL, **changes)).eval()
    torch.nn.init.zeros_(network.selector.logits_JK)
    with torch.no_grad():
        network.selector.logits_JK[:, chosen] = 3.0
    save_groups(path / "weights.safetensors", network, {"steps": str(seed)})
    return network


def test_every_weight_is_the_mean_and_the_runs_are_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["/some/where/training", "average", "a", "b"])
    runs = [groups_run(tmp_path / name, seed) for seed, name in enumerate("abc")]
    (tmp_path / "a" / "run.json").write_text('{"command": "how a was made"}')
    (tmp_path / "b" / "run.json").write_text('{"cut sho')
    out = tmp_path / "mean"
    assert main(["average", *(str(tmp_path / name) for name in "abc"), "--out", str(out)]) == 0
    mean, notes = load_network(RunFolder(path=out))
    states = [run.state_dict() for run in runs]
    floats = [name for name, t in states[0].items() if t.is_floating_point()]
    assert any(not torch.equal(states[0][name], states[1][name]) for name in floats)
    for name in floats:
        expected = (states[0][name] + states[1][name] + states[2][name]) / 3
        torch.testing.assert_close(mean.state_dict()[name], expected)
    assert notes["steps"] == "2" and notes["average_of"] == "3"
    facts = json.loads((out / "run.json").read_text())
    assert facts["runs"] == [{"command": "how a was made"}, {}, {}] and facts["command"] == "training average a b"


def test_a_dense_run_has_a_mean_too(tmp_path) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        network = DenseNetwork(CONFIG)
        for p in network.parameters():
            torch.nn.init.constant_(p, value)
        (tmp_path / name).mkdir()
        save_dense(tmp_path / name / "weights.safetensors", network, {})
    assert main(["average", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "mean")]) == 0
    mean = load_dense(tmp_path / "mean" / "weights.safetensors")[0]
    assert all(torch.all(p == 1.5) for p in mean.parameters())


def other_groups(path: Path) -> None:
    groups_run(path, 1, chosen=1)


def another_number(path: Path) -> None:
    groups_run(path, 1, groups=5)


def a_dense_one(path: Path) -> None:
    path.mkdir()
    save_dense(path / "weights.safetensors", DenseNetwork(CONFIG), {})


def nothing(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (other_groups, "other groups"),
        (another_number, "another configuration"),
        (a_dense_one, "another configuration"),
        (nothing, "holds no weights"),
    ],
)
def test_what_has_no_mean_is_refused_and_nothing_written(make, said, tmp_path, capsys) -> None:
    groups_run(tmp_path / "a", 0)
    make(tmp_path / "b")
    assert main(["average", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "mean")]) == 1
    error = capsys.readouterr().err
    assert said in error and str(tmp_path / "b") in error and not (tmp_path / "mean").exists()


def test_one_run_is_refused_and_so_is_a_folder_that_holds_a_run(tmp_path, capsys) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for seed, path in enumerate((a, b)):
        groups_run(path, seed)
    before = (b / "weights.safetensors").read_bytes()
    assert main(["average", str(a), "--out", str(tmp_path / "mean")]) == 1
    assert "two or more" in capsys.readouterr().err
    assert main(["average", str(a), str(b), "--out", str(b)]) == 1
    assert "holds a run already" in capsys.readouterr().err and (b / "weights.safetensors").read_bytes() == before
