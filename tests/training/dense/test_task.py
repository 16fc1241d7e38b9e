"""The trainer with a dense recipe."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from handviz.errors import HandvizError, ModelFileError
from handviz.fit.mesh_terms import resized
from handviz.models.checkpoint import save_groups
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_checkpoint import load_dense
from handviz.models.groups import GroupsNetwork
from handviz.models.selector import FINAL_TEMPERATURE
from tests.training.dense.dots import CONFIG, GROUPS, LOSS, SIZE, Dots, as_float, make, posed_batch
from training.dense import warm_up
from training.dense.losses import (
    DenseLossWeights,
)
from training.recipes.changes import recipe
from training.recipes.records import Stage, Temperature
from training.runs import RunFolder
from training.trainer import Trainer


def test_overfits_one_batch(tmp_path) -> None:
    trainer = make(tmp_path, Dots(one=True))
    first = trainer.step()
    before = trainer.task.errors(first.output, first.batch)
    trainer.run(lambda: False, lambda step: None)
    last = trainer.step()
    after = trainer.task.errors(last.output, last.batch)
    assert after["vertices_mm"] < 0.6 * before["vertices_mm"]
    assert after["px"] < 0.6 * before["px"]
    again, notes = load_dense(trainer.folder.weights)
    assert notes["recipe"] == "dense-test" and again.config == CONFIG


def test_the_mesh_stage_leaves_the_groups_network_alone(tmp_path) -> None:
    trainer = make(tmp_path, Dots(), stages=(Stage(learns="mesh", share=1.0, batch_size=4, lr=1e-2),), steps=2)
    before = {name: t.clone() for name, t in trainer.network.state_dict().items()}
    trainer.run(lambda: False, lambda step: None)
    changed = {name for name, t in trainer.network.state_dict().items() if not torch.equal(t, before[name])}
    assert changed and not any(name.startswith("evidence.groups.") for name in changed)


def test_begins_from_a_groups_network(tmp_path) -> None:
    groups = GroupsNetwork(GROUPS)
    save_groups(tmp_path / "groups.safetensors", groups, {})
    trainer = make(tmp_path / "run", Dots())
    trainer.start_from(tmp_path / "groups.safetensors")
    torch.testing.assert_close(trainer.network.evidence.groups.beta_J, groups.beta_J)
    other = GroupsNetwork(dataclasses.replace(GROUPS, groups=2))
    save_groups(tmp_path / "other.safetensors", other, {})
    with pytest.raises(ModelFileError, match="another configuration"):
        trainer.start_from(tmp_path / "other.safetensors")


def test_groups_are_learned_warm_and_stay_once_they_are_decided(tmp_path) -> None:
    plan = Temperature(start=5.0, drop_per_1000=None, ends_at=0.5)
    trainer = make(tmp_path, Dots(), temperature=plan, steps=8)
    selector, warm = trainer.network.evidence.groups.selector, []
    trainer.run(lambda: False, lambda step: warm.append(float(selector.temperature)))
    assert warm[:5] == pytest.approx([5.0, 3.75, 2.5, 1.25, FINAL_TEMPERATURE])
    seen = trainer.task.scalars(trainer.network)
    assert seen["selector/entropy"] > 0.5 and trainer.task.pictures(trainer.network)["selector"].ndim == 3
    with torch.no_grad():
        selector.logits_JK.copy_(20 * torch.eye(3)[torch.arange(21) % 3])
    trainer.task.before_step(trainer.network, 0, 0.0)
    assert float(selector.temperature) == pytest.approx(FINAL_TEMPERATURE)


def test_resumes_to_the_same_losses(tmp_path) -> None:
    whole = make(tmp_path / "a", Dots(), steps=20)
    expected = [whole.step().loss for _ in range(4)]
    first = make(tmp_path / "b", Dots(), steps=20)
    begin = [first.step().loss for _ in range(2)]
    first.save()
    second = make(tmp_path / "b", Dots(), steps=20)
    second.resume()
    assert begin + [second.step().loss for _ in range(2)] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["dense-live", "dense-paper", "dense-paper-2d"])
def test_recipes_exist_and_take_changes(name: str) -> None:
    changed = recipe(name, {"loss.mask": "0.5", "network.iterations": "2"})
    assert isinstance(changed.loss, DenseLossWeights) and changed.loss.mask == 0.5
    assert isinstance(changed.network, DenseConfig) and changed.network.iterations == 2


def test_both_networks_of_the_live_recipe_take_one_size() -> None:
    changed = recipe("dense-live", {"network.input_size": "160"})
    assert changed.network.input_size == changed.network.groups.input_size == 160
    with pytest.raises(HandvizError, match="input_size must be"):
        recipe("dense-live", {"network.input_size": "100"})
    with pytest.raises(HandvizError, match="crops of 128 pixels"):
        recipe("dense-live", {"network.groups.input_size": "160"})


def test_the_papers_own_setting_knows_no_meshes() -> None:
    loss = recipe("dense-paper-2d").loss
    assert isinstance(loss, DenseLossWeights)
    assert loss.vertices == loss.pose == loss.turn == loss.shape == 0 and loss.norm == 2


@pytest.mark.slow
def test_the_papers_network_takes_a_step_in_the_papers_setting(tmp_path) -> None:
    chosen = dataclasses.replace(
        recipe("dense-paper-2d"),
        stages=(Stage(learns="everything", share=1.0, batch_size=2, lr=1e-3),),
        mixed_precision=False,
        self_augmentation=None,
    )
    enlarge = lambda batch, generator, size: dataclasses.replace(  # noqa: E731
        as_float(batch),
        rgb_B3SS=torch.nn.functional.interpolate(as_float(batch).rgb_B3SS, size=(224, 224)),
        mask_BSS=torch.nn.functional.interpolate(batch.mask_BSS[:, None], size=(224, 224))[:, 0],
        joints_px_BJ2=(batch.joints_px_BJ2 + 0.5) * 3.5 - 0.5,
        K_B33=resized(batch.K_B33, SIZE, 224),
    )
    trainer = Trainer(chosen, Dots(one=True), enlarge, RunFolder(path=tmp_path), device=torch.device("cpu"))
    first = trainer.step()
    losses = [trainer.step().loss for _ in range(5)]
    assert set(first.terms.numbers()) >= {"articulation", "refiner", "feature", "heat", "mask", "laplacian"}
    assert min(losses) < first.loss


def test_warm_up_learns_from_evidence_seen_once() -> None:
    torch.manual_seed(0)
    network = DenseNetwork(CONFIG)
    groups = {name: t.clone() for name, t in network.evidence.groups.state_dict().items()}
    looked = warm_up.look(network, Dots(), 16, lambda batch, generator, size: as_float(batch), batch_size=8)
    assert len(looked) == 16
    first = warm_up.learn(network, looked, LOSS, 1, 8, 2e-3)
    last = warm_up.learn(network, looked, LOSS, 60, 8, 5e-3)
    assert last["total"] < 0.8 * first["total"]
    assert all(torch.equal(t, groups[name]) for name, t in network.evidence.groups.state_dict().items())
    # The stored outputs give exactly the evidence of the pictures themselves.
    network.eval()
    raw, batch = looked.take(torch.arange(8))
    with torch.no_grad():
        kept = network.regress(network.evidence.assemble(raw), batch.K_B33).joints_BJ3
        seen = network(as_float(posed_batch(8, 0)).rgb_B3SS, batch.K_B33).joints_BJ3
    torch.testing.assert_close(kept, seen, atol=5e-3, rtol=0)
