"""Training of the dense hand: losses against their equations, metrics against known cases, the trainer with a dense recipe."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from handviz.errors import ModelFileError
from handviz.fit.mesh_terms import Laplacian, mask_of, resized
from handviz.hand.model import load_hand_model
from handviz.hand.prior import sample_poses
from handviz.hand.skeleton import ROOT
from handviz.models.checkpoint import save_groups
from handviz.models.dense import DenseConfig, DenseNetwork
from handviz.models.dense_checkpoint import load_dense
from handviz.models.dense_vector import DenseParams, decode, encode, project_points, to_unit
from handviz.models.groups import GroupsConfig, GroupsNetwork
from handviz.models.hourglass import HourglassConfig
from training.data.pack import Pack, SampleNames
from training.data.sample import WHOLE, Batch
from training.dense import warm_up
from training.dense.ablate import VARIANTS, ablation_recipe, variant
from training.dense.losses import (
    DenseLossWeights,
    dense_loss,
    feature_loss,
    heat_loss,
    mask_loss,
    mask_on,
    normalised,
    true_surface,
)
from training.dense.metrics import f_scores, mask_scores, pa_mpvpe_mm
from training.dense.own_views import OwnViews, skin_from_picture
from training.dense.predict import crops_of, look, mesh_line, predict
from training.recipes import DataPart, Recipe, SelfAugmentation, Stage, recipe
from training.runs import RunFolder
from training.trainer import Trainer

HAND = load_hand_model()
SIZE = 64
FOCAL = 160.0
HOURGLASS = HourglassConfig(
    block="postactivation", stem_width=8, light_stem=True, level_widths=(16, 16, 16), level_modules=(1, 1, 1)
)
GROUPS = GroupsConfig(input_size=SIZE, hourglass=HOURGLASS, neck_widths=(16, 16), branch_widths=(8, 8, 8), lift=True)
CONFIG = DenseConfig(input_size=SIZE, evidence="live", groups=GROUPS, hidden=(64,), skeleton="chain", mask=True)
LOSS = DenseLossWeights(
    norm=1, vertices=1.0, pose=1.0, turn=1.0, shape=0.1, feature=0.0, heat=0.0, mask=0.0, mask_head=1.0, evidence=0.1
)


def posed_batch(count: int, seed: int = 0) -> Batch:
    """Crops whose picture is a dot at each joint, with every label a rendered hand has."""
    rng = np.random.default_rng(seed)
    K = torch.tensor([[FOCAL, 0, (SIZE - 1) / 2], [0, FOCAL, (SIZE - 1) / 2], [0, 0, 1]]).expand(count, 3, 3).clone()
    turn = torch.tensor([0.5 * np.pi, 0.0, 0.5 * np.pi]) + 0.2 * torch.from_numpy(rng.normal(size=(count, 3)))
    params = DenseParams(
        pose_BP=torch.from_numpy(sample_poses(rng, count)).float(),
        shape_BS=torch.from_numpy(0.5 * rng.normal(size=(count, 10))).float(),
        root_rotation_B3=turn.float(),
        scale_B=torch.ones(count),
        translation_B3=torch.tensor([0.0, 0.0, 0.6]).expand(count, 3)
        + 0.01 * torch.from_numpy(rng.normal(size=(count, 3))).float(),
    )
    _, surface = decode(encode(params, K, SIZE, HAND), K, SIZE, HAND)
    pixels = project_points(surface.joints_BJ3, K)
    grid = torch.stack(torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="xy"), -1).float()
    dots = torch.exp(-((grid - pixels[:, :, None, None]) ** 2).sum(-1) / 6)
    colours = torch.from_numpy(np.random.default_rng(1).random((21, 3))).float()
    rgb = torch.einsum("bjhw,jc->bchw", dots, colours).clamp(0, 1)
    yes = torch.ones(count, dtype=torch.bool)
    return Batch(
        rgb_B3SS=(255 * rgb).byte(),
        K_B33=K,
        joints_px_BJ2=pixels,
        valid_BJ=yes[:, None].expand(count, 21).clone(),
        sigma_px_BJ=torch.zeros(count, 21),
        joints_m_BJ3=surface.joints_BJ3,
        has_joints_m_B=yes,
        mask_BSS=(dots.sum(1) > 0.3).float(),
        has_mask_B=yes,
        pose_B45=params.pose_BP,
        shape_B10=params.shape_BS,
        root_B3=params.root_rotation_B3,
        scale_B=params.scale_B,
        trans_B3=params.translation_B3,
        has_params_B=yes,
    )


def as_float(batch: Batch) -> Batch:
    return dataclasses.replace(batch, rgb_B3SS=batch.rgb_B3SS.float() / 255)


def perfect_output(network: DenseNetwork, batch: Batch):
    """The network's output with the true parameters in it."""
    with torch.no_grad():
        out = network(batch.rgb_B3SS, batch.K_B33)
    true = DenseParams(
        pose_BP=batch.pose_B45, shape_BS=batch.shape_B10, root_rotation_B3=batch.root_B3, scale_B=batch.scale_B,
        translation_B3=batch.trans_B3,
    )  # fmt: skip
    h = encode(true, batch.K_B33, SIZE, HAND)
    params, surface = decode(h, batch.K_B33, SIZE, HAND)
    unit = to_unit(batch.joints_px_BJ2, SIZE)
    return dataclasses.replace(
        out, h_TBN=h[None], joints_unit_TBJ2=unit[None], params=params, surface=surface, joints_BJ3=surface.joints_BJ3
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


def test_mask_loss_waits_for_the_joints() -> None:
    batch, network = as_float(posed_batch(4)), DenseNetwork(CONFIG).eval()
    good = perfect_output(network, batch)
    moved = dataclasses.replace(good, joints_BJ3=good.joints_BJ3 + torch.tensor([0.06, 0.0, 0.0]))
    assert mask_on(network, good, batch, LOSS).all()
    assert not mask_on(network, moved, batch, LOSS).any()
    assert mask_on(network, moved, batch, dataclasses.replace(LOSS, schedule="constant")).all()


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


def tiny_recipe(**changes: object) -> Recipe:
    plain = {
        "name": "dense-test",
        "network": CONFIG,
        "data": (DataPart(source="none"),),
        "stages": (Stage(learns="everything", share=1.0, batch_size=8, lr=2e-3),),
        "steps": 60,
        "loss": LOSS,
        "mixed_precision": False,
    }
    return Recipe(**(plain | changes))


class Dots:
    """A source of ``posed_batch``; always the same batch when told to."""

    def __init__(self, one: bool = False) -> None:
        self.one = one

    def __len__(self) -> int:
        return 100

    def draw(self, step: int, size: int, rows: slice = WHOLE) -> Batch:
        return posed_batch(size, 0 if self.one else step).take(rows)


def make(folder, source, **changes: object) -> Trainer:
    prepare = lambda batch, generator, size: as_float(batch)  # noqa: E731
    return Trainer(tiny_recipe(**changes), source, prepare, RunFolder(path=folder), device=torch.device("cpu"))


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
    with pytest.raises(ModelFileError, match="2D evidence"):
        trainer.start_from(tmp_path / "other.safetensors")


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


def test_the_papers_own_setting_knows_no_meshes() -> None:
    loss = recipe("dense-paper-2d").loss
    assert isinstance(loss, DenseLossWeights)
    assert loss.vertices == loss.pose == loss.turn == loss.shape == 0 and loss.norm == 2


def test_mesh_metrics_on_known_cases() -> None:
    truth = np.random.default_rng(0).normal(0, 0.05, (4, 50, 3))
    turned = 1.3 * truth @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) + 0.2
    np.testing.assert_allclose(pa_mpvpe_mm(turned, truth), 0, atol=1e-9)
    assert f_scores(turned, truth) == {"F@5 mm": 1.0, "F@15 mm": 1.0}
    spread = truth + np.random.default_rng(1).normal(0, 0.004, truth.shape)
    scores = f_scores(spread, truth)
    assert 0 < scores["F@5 mm"] < scores["F@15 mm"] <= 1
    assert 2 < pa_mpvpe_mm(spread, truth).mean() < 8


def test_mask_metrics_on_known_cases() -> None:
    truth = np.zeros((10, 10), bool)
    truth[:, :4] = True
    half = np.zeros((10, 10), bool)
    half[:, :2] = True
    scores = mask_scores([half], [truth])
    assert (scores.iou, scores.precision, scores.recall) == (0.5, 1.0, 0.5)
    assert scores.f1 == pytest.approx(2 / 3)
    empty = np.zeros((10, 10), bool)
    assert mask_scores([empty, empty], [empty, truth]).numbers()["mask IoU"] == 0.5


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


def test_own_fits_become_new_samples_with_exact_labels() -> None:
    batch, network = as_float(posed_batch(3)), DenseNetwork(CONFIG).eval()
    own = OwnViews(SelfAugmentation(seeds=2, views=2, per_batch=3, picture_texture=1.0), 0)
    output = perfect_output(network, batch)
    seeds = own.seeds_of(output, batch)
    assert len(seeds) == 2 and all(s.skin is not None for s in seeds)
    assert own.draw(0) is None
    own.learn(output, batch)
    new = own.draw(0)
    assert new is not None and len(new) == 3 and new.has_params_B.all() and new.mask_BSS.amax() == 1
    surface = HAND.forward(new.pose_B45, new.shape_B10, new.root_B3, new.scale_B, new.trans_B3)
    torch.testing.assert_close(surface.joints_BJ3, new.joints_m_BJ3, atol=1e-4, rtol=0)
    # Poses are the seeds', within what the joint limits allow.
    apart = (new.pose_B45[:, None] - batch.pose_B45[None]).abs().amax(-1).amin(1)
    assert (apart < 1e-3).all()


def test_skin_from_a_picture_has_its_colours() -> None:
    batch = as_float(posed_batch(1))
    surface = perfect_output(DenseNetwork(CONFIG).eval(), batch).surface
    blue = torch.tensor([0.1, 0.2, 0.9])[:, None, None].expand(3, SIZE, SIZE)
    skin = skin_from_picture(HAND, surface.vertices_BV3[0], blue, batch.K_B33[0])
    np.testing.assert_allclose(skin.colour, [25.5, 51, 229.5], atol=1)
    top = skin.texture.texels[: 256 * 256]
    assert np.abs(top.astype(float) - [25.5, 51, 229.5]).max() < 2


def test_own_views_join_the_batches(tmp_path) -> None:
    settings = SelfAugmentation(from_share=0.0, seeds=2, views=2, per_batch=2)
    trainer = make(tmp_path, Dots(), steps=10, self_augmentation=settings)
    trainer.prepare = lambda batch, generator, size: as_float(batch)
    trainer.task._own = OwnViews(settings, 0)
    trainer.task._own.learn(perfect_output(trainer.network, as_float(posed_batch(2))), as_float(posed_batch(2)))
    own = trainer.task.extra(0, 0.5)
    assert own is not None and len(own) == 2


def test_every_ablation_differs_in_its_own_part_alone() -> None:
    base = ablation_recipe(100, {})
    full = variant(base, "full", 3)
    assert full.seed == 3 and full.self_augmentation is not None
    for name in set(VARIANTS) - {"full"}:
        other = variant(base, name, 3)
        assert other != full
        parts = [getattr(other, f.name) != getattr(full, f.name) for f in dataclasses.fields(full)]
        assert sum(parts) == len(VARIANTS[name])
    assert variant(base, "constant lambda", 0).loss.schedule == "constant"


def test_prediction_and_mesh_metrics_on_a_pack() -> None:
    batch = posed_batch(4)
    pack = Pack(
        rgb_NSS3=batch.rgb_B3SS.permute(0, 2, 3, 1).numpy(),
        K_N33=batch.K_B33.numpy(),
        joints_px_NJ2=batch.joints_px_BJ2.numpy(),
        valid_NJ=batch.valid_BJ.numpy(),
        sigma_px_NJ=batch.sigma_px_BJ.numpy(),
        joints_m_NJ3=batch.joints_m_BJ3.numpy(),
        has_joints_m_N=batch.has_joints_m_B.numpy(),
        mask_NSS=(255 * batch.mask_BSS).byte().numpy(),
        has_mask_N=batch.has_mask_B.numpy(),
        params_N62=torch.cat(
            [batch.pose_B45, batch.shape_B10, batch.root_B3, batch.scale_B[:, None], batch.trans_B3], 1
        ).numpy(),
        has_params_N=batch.has_params_B.numpy(),
        is_hand_N=batch.is_hand_B.numpy(),
        names=_names(4),
    )  # fmt: skip
    network = DenseNetwork(CONFIG).eval()
    batches = crops_of(pack, SIZE)
    answers = predict(look(network, batches), 2)
    assert answers.vertices_m.shape == (4, 778, 3) and np.isfinite(answers.joints_px).all()
    line = mesh_line(answers.vertices_m, batches[0])
    assert 0 <= line["mask IoU"] <= 1 and line["PA-MPVPE mm"] > 0
    perfect = true_surface(batches[0], HAND).vertices_BV3.double().numpy()
    assert mesh_line(perfect, batches[0])["PA-MPVPE mm"] == pytest.approx(0, abs=0.05)
    assert mesh_line(perfect[:, :700], batches[0])["F@5 mm"] != mesh_line(perfect, batches[0])["F@5 mm"]


def _names(count: int) -> SampleNames:
    words = ("x",) * count
    return SampleNames(
        source=words, name=words, split_key=words, view=words, side=("right",) * count, hand_model=("default",) * count
    )


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


def test_warm_up_learns_from_evidence_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.dense.warm_up.augment", lambda batch, generator, size: as_float(batch))
    torch.manual_seed(0)
    network = DenseNetwork(CONFIG)
    groups = {name: t.clone() for name, t in network.evidence.groups.state_dict().items()}
    looked = warm_up.look(network, Dots(), 16, batch_size=8)
    assert len(looked) == 16
    first = warm_up.learn(network, looked, LOSS, 1, 8, 2e-3)
    last = warm_up.learn(network, looked, LOSS, 60, 8, 5e-3)
    assert last["total"] < 0.8 * first["total"]
    assert all(torch.equal(t, groups[name]) for name, t in network.evidence.groups.state_dict().items())
    # What was kept gives the very evidence of the pictures themselves.
    network.eval()
    raw, batch = looked.take(torch.arange(8))
    with torch.no_grad():
        kept = network.regress(network.evidence.assemble(raw), batch.K_B33).joints_BJ3
        seen = network(as_float(posed_batch(8, 0)).rgb_B3SS, batch.K_B33).joints_BJ3
    torch.testing.assert_close(kept, seen, atol=5e-3, rtol=0)
