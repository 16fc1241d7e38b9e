from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from handviz.errors import HandvizError, ModelFileError, OutputError
from handviz.models import checkpoint
from handviz.models.checkpoint import load_groups
from training.board import batch_errors
from training.losses import LossWeights
from training.recipes.records import Stage
from training.runs import RunFolder
from training.trainer import Trainer, TrainingDivergedError


def make(recipe, synthetic, folder, **changes):
    source = synthetic.DotHands(negatives=0.1)
    changed = dataclasses.replace(recipe, **changes)
    return Trainer(changed, source, synthetic.to_float, RunFolder(path=folder), device=torch.device("cpu"))


def losses(trainer, steps):
    return [trainer.step().loss for _ in range(steps)]


def test_overfits_one_batch(tiny_recipe, synthetic, tmp_path):
    class OneBatch(synthetic.DotHands):
        def draw(self, step, size, rows):
            return super().draw(0, size, rows)

    trainer = Trainer(
        dataclasses.replace(tiny_recipe, steps=150),
        OneBatch(),
        synthetic.to_float,
        RunFolder(path=tmp_path),
        device=torch.device("cpu"),
    )
    first = trainer.step()
    before = batch_errors(first.output, first.batch)
    trainer.run(lambda: False, lambda step: None)
    last = trainer.step()
    after = batch_errors(last.output, last.batch)
    assert after["px"] < 1.5 < 6 < before["px"]
    assert after["depth"] < 0.3 * before["depth"]


def test_resumes_to_the_same_losses(tiny_recipe, synthetic, tmp_path):
    whole = losses(make(tiny_recipe, synthetic, tmp_path / "a"), 6)
    first = make(tiny_recipe, synthetic, tmp_path / "b")
    begin = losses(first, 3)
    first.save()
    second = make(tiny_recipe, synthetic, tmp_path / "b")
    second.resume()
    assert begin + losses(second, 3) == pytest.approx(whole, rel=1e-5)
    assert len(set(whole)) == 6


def test_same_seed_same_losses_other_seed_others(tiny_recipe, synthetic, tmp_path):
    a = losses(make(tiny_recipe, synthetic, tmp_path), 2)
    b = losses(make(tiny_recipe, synthetic, tmp_path), 2)
    c = losses(make(tiny_recipe, synthetic, tmp_path, seed=7), 2)
    assert a == pytest.approx(b, rel=1e-6)
    assert a != pytest.approx(c, rel=1e-3)


@pytest.mark.parametrize(("wanted", "able"), [(True, True), (True, False), (False, True)])
def test_a_cpu_mixes_precision_where_it_can(tiny_recipe, synthetic, tmp_path, monkeypatch, wanted, able):
    monkeypatch.setattr("training.optim.multiplies_bfloat16", lambda: able)
    assert make(tiny_recipe, synthetic, tmp_path, mixed_precision=wanted).mixed_precision == (wanted and able)


def test_hourglass_learns_alone_first(tiny_recipe, synthetic, tmp_path):
    stages = (
        Stage(learns="hourglass", share=0.5, batch_size=8, lr=1e-3),
        Stage(learns="everything", share=0.5, batch_size=4, lr=1e-3),
    )
    trainer = make(tiny_recipe, synthetic, tmp_path, stages=stages, steps=4)
    seen = []
    start = {name: p.clone() for name, p in trainer.network.named_parameters()}
    moved_first = []

    def report(step):
        seen.append((step.terms is None, len(step.batch)))
        if step.step == 1:
            moved_first.extend(n for n, p in trainer.network.named_parameters() if not torch.equal(p, start[n]))

    trainer.run(lambda: False, report)
    # Then one hand of four joins them mirrored.
    assert seen == [(True, 8), (True, 8), (False, 5), (False, 5)]
    assert moved_first and all(name.startswith("hourglass") for name in moved_first)


def test_stops_when_told_and_leaves_weights_that_load(tiny_recipe, synthetic, tmp_path):
    trainer = make(tiny_recipe, synthetic, tmp_path)
    trainer.run(lambda: trainer.progress.step >= 2, lambda step: None)
    assert trainer.progress.step == 2
    network, notes = load_groups(tmp_path / "weights.safetensors")
    assert notes["steps"] == "2"
    ours = trainer.average.network.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in network.state_dict().items())


def test_nan_stops_names_the_batch_and_keeps_the_checkpoint(tiny_recipe, synthetic, tmp_path):
    trainer = make(tiny_recipe, synthetic, tmp_path)
    losses(trainer, 2)
    trainer.save()
    kept = (tmp_path / "state.pt").read_bytes()
    with torch.no_grad():
        trainer.network.beta_J.fill_(float("nan"))
    with pytest.raises(TrainingDivergedError, match=r"batch 2.*last good checkpoint is kept in"):
        trainer.run(lambda: False, lambda step: None)
    assert (tmp_path / "state.pt").read_bytes() == kept
    sheet = cv2.imread(str(tmp_path / "diverged-0.png"))
    size = tiny_recipe.network.input_size
    assert sheet.shape[0] * sheet.shape[1] >= tiny_recipe.stages[0].batch_size * (2 * size) ** 2


@pytest.mark.parametrize("broken_label", [float("nan"), float("inf"), 1e30])
def test_a_batch_that_holds_no_numbers_is_drawn_all_the_same(tiny_recipe, synthetic, tmp_path, broken_label):
    trainer = make(tiny_recipe, synthetic, tmp_path)
    draw = trainer.next_batch

    def broken(step):
        batch = draw(step)
        batch.rgb_B3SS[1] = float("nan")
        batch.joints_px_BJ2[2] = broken_label
        return batch

    trainer.next_batch = broken
    with pytest.raises(TrainingDivergedError, match=r"diverged-0\.png"):
        trainer.step()
    assert (tmp_path / "diverged-0.png").is_file()


def test_a_gradient_that_is_no_number_is_not_taken(tiny_recipe, synthetic, tmp_path):
    trainer = make(tiny_recipe, synthetic, tmp_path)
    losses(trainer, 1)
    before = trainer.network.beta_J.detach().clone()
    handle = trainer.network.beta_J.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(TrainingDivergedError, match=r"gradient of batch 1.*There was no checkpoint yet"):
        trainer.step()
    assert torch.equal(trainer.network.beta_J, before)
    handle.remove()
    assert np.isfinite(trainer.step().loss)


def test_the_side_head_learns_alone(tiny_recipe, synthetic, tmp_path):
    stage = dataclasses.replace(tiny_recipe.stages[0], learns="side", lr=3e-2)
    trainer = make(tiny_recipe, synthetic, tmp_path, stages=(stage,), mirrored=1.0, steps=3)
    before = {name: t.clone() for name, t in trainer.network.state_dict().items()}
    trainer.run(lambda: False, lambda step: None)
    changed = {name for name, t in trainer.network.state_dict().items() if not torch.equal(t, before[name])}
    # The temperature follows its schedule, as in any stage.
    assert {name.split(".")[0] for name in changed - {"selector.temperature"}} == {"side"}


def test_the_groups_learn_on_a_hourglass_that_stays(tiny_recipe, synthetic, tmp_path):
    stage = dataclasses.replace(tiny_recipe.stages[0], learns="groups")
    trainer = make(tiny_recipe, synthetic, tmp_path, stages=(stage,), steps=3)
    before = {name: t.clone() for name, t in trainer.network.state_dict().items()}
    trainer.run(lambda: False, lambda step: None)
    changed = {name.split(".")[0] for name, t in trainer.network.state_dict().items() if not torch.equal(t, before[name])}
    assert "hourglass" not in changed and {"neck", "branches", "fusions", "heat_heads", "selector", "lift"} <= changed


def test_after_the_side_head_everything_learns_again(tiny_recipe, synthetic, tmp_path):
    stage = tiny_recipe.stages[0]
    stages = tuple(dataclasses.replace(stage, learns=what, share=0.5) for what in ("side", "everything"))
    trainer = make(tiny_recipe, synthetic, tmp_path, stages=stages, mirrored=0.5, steps=4)
    trainer.run(lambda: False, lambda step: None)
    assert all(p.requires_grad for p in trainer.network.parameters())
    assert len(trainer.optimiser.param_groups) > 1


def test_no_hand_is_mirrored_for_a_network_that_can_not_tell(tiny_recipe, synthetic, tmp_path):
    network = dataclasses.replace(tiny_recipe.network, side=False)
    assert len(make(tiny_recipe, synthetic, tmp_path, network=network, mirrored=0.5).next_batch(0)) == 8
    assert len(make(tiny_recipe, synthetic, tmp_path, mirrored=0.5).next_batch(0)) == 12


def test_a_run_goes_on_with_the_learning_rate_of_today(tiny_recipe, synthetic, tmp_path):
    first = make(tiny_recipe, synthetic, tmp_path)
    losses(first, 1)
    first.save()
    # The recipe's rates for fusion and for the rest are equal, these are not; the decay becomes none.
    lower = dataclasses.replace(tiny_recipe.stages[0], lr=1e-7, lr_selector=1e-6, lr_fusion=1e-5)
    second = make(tiny_recipe, synthetic, tmp_path, stages=(lower,), weight_decay=0.0)
    second.resume()
    second.step()
    assert {group["lr"] for group in second.optimiser.param_groups} == {1e-7, 1e-6, 1e-5}
    assert {group["weight_decay"] for group in second.optimiser.param_groups} == {0.0}


def test_full_disk_keeps_the_old_checkpoint(tiny_recipe, synthetic, tmp_path, monkeypatch):
    trainer = make(tiny_recipe, synthetic, tmp_path)
    trainer.save()
    kept = (tmp_path / "state.pt").read_bytes()
    losses(trainer, 1)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        trainer.save()
    assert (tmp_path / "state.pt").read_bytes() == kept
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.pt", "weights.safetensors"]


def test_empty_source_is_refused(tiny_recipe, synthetic, tmp_path):
    class Nothing(synthetic.DotHands):
        def __len__(self):
            return 0

    with pytest.raises(HandvizError, match="empty"):
        Trainer(tiny_recipe, Nothing(), synthetic.to_float, RunFolder(path=tmp_path), device=torch.device("cpu"))


def test_resume_refuses_what_is_not_its_own(tiny_recipe, synthetic, tmp_path):
    trainer = make(tiny_recipe, synthetic, tmp_path)
    with pytest.raises(HandvizError, match="no run to resume"):
        trainer.resume()
    trainer.save()
    with pytest.raises(HandvizError, match="groups-live"):
        make(tiny_recipe, synthetic, tmp_path, name="other").resume()
    network = dataclasses.replace(tiny_recipe.network, groups=2)
    with pytest.raises(HandvizError, match="does not fit"):
        make(tiny_recipe, synthetic, tmp_path, network=network).resume()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for wrong in ({"step": -5}, {"step": "x"}, {"stage": 9}):
        torch.save({**state, "progress": {**state["progress"], **wrong}}, tmp_path / "state.pt")
        with pytest.raises(HandvizError, match="does not fit"):
            make(tiny_recipe, synthetic, tmp_path).resume()
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:1000])
    # Nothing of torch's own advice, which is to turn off its safety.
    with pytest.raises(ModelFileError, match=r"state.pt: empty, cut short, or not a training state\. Start a new run"):
        make(tiny_recipe, synthetic, tmp_path).resume()


def test_uncertain_labels_weigh_less(tiny_recipe, synthetic):
    from training.losses import label_weights

    batch = synthetic.DotHands().draw(0, 2)
    sure = label_weights(batch, LossWeights(trusted_px=2.0))
    batch.sigma_px_BJ[0] = 1.0  # trusted_px is for 128 px; these crops have 64
    weights = label_weights(batch, LossWeights(trusted_px=2.0))
    assert torch.allclose(sure, torch.ones(2, 21))
    assert torch.allclose(weights[0], torch.full((21,), 0.5))
    assert torch.allclose(weights[1], torch.ones(21))
