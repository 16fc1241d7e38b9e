import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from handviz.crop import CropSpec, cut_crop, window_from_joints
from handviz.errors import OutputError, SourceError
from handviz.geometry.camera import Camera, project
from handviz.hand.limits import ANATOMICAL_FROM_POSE, ANGLE_INDEX, check_pose
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import BONES, FINGERS, MANO_JOINT_NAMES, MIDDLE_MCP, WRIST
from tests.training.data.at_once import AtOnce
from training.cli import main
from training.data.dice import Dice
from training.data.pack import pack_of, read_pack
from training.data.synth.camera_faults import through_camera
from training.data.synth.command import RIGGED_FILES, Assets, SynthesisJob, make_renderer, render_job, synthesize
from training.data.synth.live import LiveSource
from training.data.synth.overlap import overlaps
from training.data.synth.poses import pose_source
from training.data.synth.recipe import CameraRecipe, PoseRecipe, Recipe, ViewRecipe
from training.data.synth.rigged_hand import load_rigged_hand
from training.data.synth.skin import tone
from training.data.synth.views import VIEW_NAMES, place_hand


@pytest.fixture(scope="module", autouse=True)
def few_skins():
    """Fewer skins than in real use: they take most of a renderer's startup."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.data.synth.command.SKINS_PER_HAND", 3)
        yield


def posed_joints(count, seed=0):
    model, dice = load_hand_model(), Dice.seeded(seed)
    shape = dice.normal(1.0, count, 10)
    pose = pose_source(PoseRecipe()).draw(dice, model, shape)
    return model.forward(pose, shape, torch.zeros(count, 3), torch.ones(count), torch.zeros(count, 3)).joints_BJ3, pose


@pytest.fixture(scope="module")
def samples():
    return list(next(render_job(SynthesisJob(count=12, seed=11, workers=1))))


def test_poses_keep_the_joint_limits_and_do_not_run_through_themselves():
    joints, pose = posed_joints(300)
    assert all(not check_pose(p) for p in pose.double().numpy())
    assert float(overlaps(joints, PoseRecipe().overlap).float().mean()) < 0.02


def test_closed_hands_are_among_them():
    _, pose = posed_joints(600)
    angles = np.degrees(pose.double().numpy() @ ANATOMICAL_FROM_POSE.T)
    fingers = ("index", "middle", "ring", "little")
    bend = sum(angles[:, [ANGLE_INDEX[f"{finger}_{part} flexion"] for finger in fingers]] for part in ("mcp", "pip"))
    closed = (bend > 140).sum(1)
    assert (closed == 4).mean() > 0.04 and (closed >= 3).mean() > 0.18


def test_overlap_is_seen():
    joints, _ = posed_joints(2)
    through = joints.clone()
    through[1, 5:9] = through[1, 9:13]
    assert overlaps(torch.stack([through[1]]), 0.7).all()


def test_test_gestures_are_not_in_training():
    train, test = (pose_source(PoseRecipe(), test=t).gestures_G45 for t in (False, True))
    assert len(test) == 7
    assert torch.cdist(train, test).min() > 0.1


def test_the_crop_is_the_one_the_live_app_cuts():
    joints, _ = posed_joints(40)
    place = place_hand(joints, Dice.seeded(1), ViewRecipe(), size=160, expand=2.0)
    seen = place.place(joints).double().numpy()
    for i in range(40):
        K = place.K_B33[i].double().numpy()
        pixels = project(seen[i], K)
        window = window_from_joints(pixels, CropSpec(size=160, expand=2.0))
        crop = cut_crop(np.zeros((160, 160, 3), np.uint8), Camera(width=160, height=160, K=K), window, "right", 160)
        np.testing.assert_allclose(crop.H_crop_from_image, np.eye(3), atol=0.6)
        assert abs(window.u - 79.5) < 0.6 and abs(window.v - 79.5) < 0.6 and abs(window.side - 160) < 1.5
        up = pixels[MIDDLE_MCP] - pixels[WRIST]
        assert abs(np.degrees(np.arctan2(up[0], -up[1]))) < 2.0


def test_all_views_are_drawn_and_palms_face_the_camera():
    joints, _ = posed_joints(400)
    place = place_hand(joints, Dice.seeded(2), ViewRecipe(), size=160, expand=2.0)
    assert set(place.view_B.tolist()) == set(range(len(VIEW_NAMES)))
    # The palm looks along the model's -y; towards the camera is -z.
    palm = place.R_crop_from_model @ torch.tensor([0.0, -1.0, 0.0])
    towards = -(palm * torch.nn.functional.normalize(place.place(joints).mean(1), dim=1)).sum(1)
    assert float((towards[place.view_B == 0] > 0).float().mean()) > 0.9
    assert float((towards[place.view_B == 1] < 0).float().mean()) > 0.9
    assert float(towards[place.view_B == 3].abs().mean()) < 0.6


def test_rendered_labels_agree_with_each_other(samples):
    model = load_hand_model()
    for s in samples:
        np.testing.assert_allclose(project(s.joints_m, s.K), s.joints_px, atol=1e-6)
        p = s.params
        as_batch = [
            torch.tensor(np.asarray(x), dtype=torch.float64)[None]
            for x in (p.pose, p.shape, p.root_rotation, p.scale, p.translation_m)
        ]
        joints = model.to(dtype=torch.float64).forward(*as_batch).joints_BJ3[0].numpy()
        np.testing.assert_allclose(joints, s.joints_m, atol=2e-5)
        assert s.mask.any() and s.rgb.shape == (160, 160, 3) and s.view in VIEW_NAMES


def test_the_mask_covers_the_hand(samples):
    inside = [s.mask[v, u] > 127 for s in samples for u, v in s.joints_px.round().astype(int).clip(0, 159)]
    assert np.mean(inside) > 0.75


def test_the_same_seed_gives_the_same_samples_and_another_gives_others():
    one, again, other = (next(render_job(SynthesisJob(count=3, seed=seed, workers=1))) for seed in (11, 11, 12))
    assert all(np.array_equal(a.rgb, b.rgb) and np.array_equal(a.joints_px, b.joints_px) for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a.rgb, b.rgb) for a, b in zip(one, other, strict=True))


def test_packs_are_written(tmp_path):
    files = synthesize(SynthesisJob(count=6, seed=1, workers=1), tmp_path)
    assert len(read_pack(tmp_path)) == 6 and [f.name for f in files] == ["seed1-000.safetensors"]


def test_packs_of_a_seed_are_not_written_over(tmp_path, monkeypatch, samples):
    monkeypatch.setattr("training.data.synth.command.render_job", lambda job: iter([samples]))
    (file,) = synthesize(SynthesisJob(count=12, seed=3), tmp_path)
    before = file.read_bytes()
    with pytest.raises(OutputError, match="holds packs of seed 3"):
        synthesize(SynthesisJob(count=12, seed=3, test=True), tmp_path)
    assert file.read_bytes() == before
    synthesize(SynthesisJob(count=12, seed=4), tmp_path)


def test_what_was_rendered_before_an_interruption_is_kept(tmp_path, monkeypatch, samples):
    def interrupted(job):
        yield samples[:5]
        raise KeyboardInterrupt

    monkeypatch.setattr("training.data.synth.command.render_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesize(SynthesisJob(count=12, seed=3), tmp_path)
    assert len(read_pack(tmp_path)) == 5


@pytest.mark.parametrize(
    ("words", "folder"),
    [([], "rendered"), (["--webcam"], "rendered-webcam"), (["--test"], "test-rendered"), (["--test", "--webcam"], "test-webcam")],
)
def test_hands_for_tests_go_beside_those_for_training(words, folder, monkeypatch):
    places = []
    monkeypatch.setattr("training.data.synth.command.synthesize", lambda job, out: places.append(out) or [])
    assert main(["synthesize", *words]) == 0
    assert places == [Path("out/data") / folder]


@pytest.mark.parametrize("assets", [{"panoramas": "x"}, {"rigged_hand": "x"}])
def test_missing_assets_are_named(tmp_path, assets):
    folder = tmp_path / "nothing here"
    with pytest.raises(SourceError, match="nothing here"):
        make_renderer(SynthesisJob(count=1, seed=0, assets=Assets(**dict.fromkeys(assets, folder))))


@pytest.mark.parametrize("name", RIGGED_FILES)
def test_a_rigged_hand_lies_flat_like_the_default_hand(shared, name):
    default = load_hand_model()
    rigged = load_rigged_hand(shared / "data" / "rigged_hand_cc0" / name, default)
    joints = []
    for model in (default, rigged):
        still = torch.zeros(1, 3)
        surface = model.forward(torch.zeros(1, 45), torch.zeros(1, 10), still, torch.ones(1), still)
        joints.append(surface.joints_BJ3[0].double().numpy())
    bones = [(a, b) for a, b in BONES if a != WRIST]
    ours, theirs = (np.stack([(j[b] - j[a]) / np.linalg.norm(j[b] - j[a]) for a, b in bones]) for j in joints)
    # Joints are where they are labelled, and tips are vertices, not the rig's own joints: bones are only close.
    assert (ours * theirs).sum(1).min() > np.cos(np.radians(12))
    np.testing.assert_allclose(joints[0][MIDDLE_MCP], joints[1][MIDDLE_MCP], atol=1e-5)
    assert not np.allclose(joints[0], joints[1], atol=2e-3)


@pytest.mark.parametrize("name", RIGGED_FILES)
def test_a_rigged_hands_joints_are_where_they_are_marked(shared, name):
    """The wrist within the surface, not behind its end; the thumb's root on the thumb's side of where the rig has it."""
    default = load_hand_model()
    rigged = load_rigged_hand(shared / "data" / "rigged_hand_cc0" / name, default)
    surfaces = [rigged.template_V3.numpy(), default.template_V3.numpy()]
    joints = [m.joint_regressor_JV.numpy() @ surface for m, surface in zip((rigged, default), surfaces, strict=True)]
    behind = [surface[:, 0].max() - points[0, 0] for surface, points in zip(surfaces, joints, strict=True)]
    assert 0 < behind[0] < behind[1]
    root = [points[MANO_JOINT_NAMES.index("thumb_cmc")] - points[MANO_JOINT_NAMES.index("middle_mcp")] for points in joints]
    assert abs(root[0][2] - root[1][2]) < 0.004
    tips = rigged.template_V3[list(rigged.tip_vertices)].numpy()
    for finger, tip in zip(FINGERS, tips, strict=True):
        last = joints[0][MANO_JOINT_NAMES.index(f"{finger}_{'ip' if finger == 'thumb' else 'dip'}")]
        before = joints[0][MANO_JOINT_NAMES.index(f"{finger}_{'mcp' if finger == 'thumb' else 'pip'}")]
        ahead = (last - before) / np.linalg.norm(last - before)
        beside = np.linalg.norm((tip - last) - ((tip - last) @ ahead) * ahead)
        assert beside < 0.2 * np.linalg.norm(tip - last) + 0.001, finger


@pytest.mark.parametrize("name", RIGGED_FILES)
def test_a_rigged_hands_seams_are_known(shared, name):
    model = load_rigged_hand(shared / "data" / "rigged_hand_cc0" / name, load_hand_model())
    others = model.first_V != np.arange(len(model.first_V))
    assert others.sum() > 200
    still = torch.zeros(1, 3)
    posed = model.forward(0.5 * torch.ones(1, 45), torch.zeros(1, 10), still, torch.ones(1), still).vertices_BV3[0].numpy()
    np.testing.assert_allclose(posed[model.first_V], posed, atol=1e-5)


def test_a_count_of_zero_is_refused():
    with pytest.raises(SourceError, match="--count 0"):
        list(render_job(SynthesisJob(count=0, seed=0)))


def test_skin_gets_darker():
    values = [tone(d).mean() for d in np.linspace(0, 1, 9)]
    assert np.all(np.diff(values) < 0) and values[0] > 190 and values[-1] < 60


def faultless():
    """A camera that changes nothing."""
    none = {f.name: 0.0 for f in dataclasses.fields(CameraRecipe) if f.name.endswith("_chance")}
    return CameraRecipe(**none, white_balance_sigma=0.0, gamma=(1.0, 1.0), contrast=(1.0, 1.0))


@pytest.mark.parametrize(
    "change", [{"grey_chance": 1.0}, {"motion_chance": 1.0}, {"low_res_chance": 1.0}, {"over_chance": 1.0}, {"under_chance": 1.0}]
)
def test_camera_faults_keep_the_picture_a_picture(change):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(through_camera(rng, picture, faultless()), picture)
    out = through_camera(rng, picture, dataclasses.replace(faultless(), **change))
    assert out.shape == picture.shape and out.dtype == np.uint8 and not np.array_equal(out, picture)
    if "grey_chance" in change:
        assert (out == out[..., :1]).all()


def test_jpeg_is_that_of_a_file():
    still = dataclasses.replace(faultless(), jpeg_chance=1.0)
    picture = np.kron(np.random.default_rng(0).integers(0, 255, (16, 16, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    out = through_camera(np.random.default_rng(0), picture, dataclasses.replace(still, jpeg_quality=(60, 61)))
    coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    assert out.flags.c_contiguous and np.array_equal(out, cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])


def test_the_recipe_can_be_changed_in_one_place():
    recipe = Recipe(view=ViewRecipe(webcam=0, egocentric=0, edge_on=1, any=0))
    drawn = next(render_job(SynthesisJob(count=4, seed=3, workers=1, recipe=recipe)))
    assert {s.view for s in drawn} == {"edge_on"}


@pytest.mark.slow
def test_live_batches_depend_on_seed_and_step_alone():
    batches = []
    for first in (3, 4):
        source = LiveSource(SynthesisJob(count=10, seed=1))
        if first == 3:
            source.draw(3, 12)
        batches.append(source.draw(4, 12))
        source.close()
    assert len(batches[0]) == 12
    assert torch.equal(batches[0].rgb_B3SS, batches[1].rgb_B3SS)


@pytest.mark.parametrize("count", [2, 3])
def test_each_process_renders_its_own_rows(monkeypatch, samples, count):
    size = 32
    monkeypatch.setattr("training.data.synth.live.ProcessPoolExecutor", AtOnce)
    monkeypatch.setattr("training.data.synth.live.read_materials", lambda job: None)
    monkeypatch.setattr("training.data.synth.live._STEPS_AHEAD", 1)

    def numbered(task):
        some = [dataclasses.replace(s, sigma_px=np.full(21, 100.0 * task[0] + i)) for i, s in enumerate(samples[: task[1]])]
        return pack_of(some)

    monkeypatch.setattr("training.data.synth.live._render_pack", numbered)
    source = LiveSource(SynthesisJob(count=10, seed=0))
    whole = source.draw(1, size).sigma_px_BJ
    assert len(whole.unique()) == size
    rendered = [len(source._pool.asked)]
    for rank in range(count):
        assert torch.equal(source.draw(1, size, slice(rank, None, count)).sigma_px_BJ, whole[rank::count])
        rendered.append(len(source._pool.asked) - sum(rendered))
    # Four groups of eight: two processes render two each; three cannot share them evenly.
    assert rendered == ([4, 2, 2] if count == 2 else [4, 4, 4, 4])
