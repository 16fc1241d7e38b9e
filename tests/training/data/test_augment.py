import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handviz.geometry.camera import Camera, project
from handviz.hand.model import load_hand_model
from handviz.records import HandParams
from tests.training.data.hands import SIZE, K, flat_hand, hand_sample
from training.data.augment import LIVE_EXPAND, MILD, augment, centre_cut, recut
from training.data.dice import Dice
from training.data.keying import on_other_backgrounds
from training.data.pack import STORED_EXPAND, pack_of
from training.data.photo_crop import LabelledHand, cut_sample
from training.data.rotation import log_rotation


def batch_of(*samples):
    return pack_of(list(samples)).batch(np.arange(len(samples)))


def generator(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def dots_at(pixels):
    """A picture with a bright dot at each pixel."""
    v, u = np.mgrid[0:SIZE, 0:SIZE]
    picture = np.zeros((SIZE, SIZE))
    for x, y in pixels:
        picture = np.maximum(picture, np.exp(-((u - x) ** 2 + (v - y) ** 2) / 8.0))
    return np.repeat((255 * picture).astype(np.uint8)[..., None], 3, 2)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_metric_joints_project_onto_the_moved_pixels(seed):
    batch = augment(batch_of(*(hand_sample(seed + i) for i in range(4))), generator(seed), 128)
    for i in range(4):
        np.testing.assert_allclose(
            project(batch.joints_m_BJ3[i].double().numpy(), batch.K_B33[i].double().numpy()),
            batch.joints_px_BJ2[i].numpy(),
            atol=2e-2,
        )


def test_the_picture_moves_with_its_joints():
    joints = project(flat_hand(), K)
    chosen = [0, 4, 8, 20]
    dots = dots_at(joints[chosen])
    sample = hand_sample(rgb=dots, mask=dots[..., 0], joints_px=joints, joints_m=flat_hand())
    batch = batch_of(*[sample] * 6)
    roll = torch.linspace(-3, 3, 6)
    shift = torch.tensor([[0.05, -0.04]]).repeat(6, 1)
    moved = recut(batch, 128, roll_B=roll, shift_B2=shift, expand_B=torch.full((6,), 1.7))
    checked = 0
    for i in range(6):
        grey = moved.rgb_B3SS[i, 0].numpy()
        for x, y in moved.joints_px_BJ2[i, chosen].numpy():
            if min(x, y) < 8 or max(x, y) > 119:
                continue
            checked += 1
            v, u = np.mgrid[0:128, 0:128]
            near = grey * (np.hypot(u - x, v - y) < 5)
            centre = np.array([(near * u).sum(), (near * v).sum()]) / near.sum()
            np.testing.assert_allclose(centre, [x, y], atol=0.35)
    assert checked > 12
    torch.testing.assert_close(moved.mask_BSS, moved.rgb_B3SS[:, 0], atol=0.01, rtol=0)


def test_parameters_move_with_the_picture():
    model, rng = load_hand_model(), np.random.default_rng(0)
    shape = rng.normal(size=10)
    root = Rotation.from_euler("xyz", [90, 20, 80], degrees=True).as_rotvec()
    params = HandParams(
        pose=0.2 * rng.normal(size=45), shape=shape, root_rotation=root, translation_m=np.array([0.01, 0, 0.7]), scale=1.05
    )

    def joints_of(batch):
        return model.forward(batch.pose_B45, batch.shape_B10, batch.root_B3, batch.scale_B, batch.trans_B3).joints_BJ3

    before = batch_of(hand_sample(params=params))
    joints = joints_of(before)[0].numpy()
    batch = batch_of(*(hand_sample(params=params, joints_m=joints, joints_px=project(joints, K)) for _ in range(5)))
    moved = augment(batch, generator(3), 128)
    torch.testing.assert_close(joints_of(moved), moved.joints_m_BJ3, atol=1e-5, rtol=0)


def test_live_jitter_keeps_the_hand_in_the_crop():
    hand = LabelledHand(side="right", joints_px=project(flat_hand(), K), sigma_px=np.zeros(21), joints_m=flat_hand())
    camera = Camera(width=SIZE, height=SIZE, K=K)
    stored = cut_sample(np.zeros((SIZE, SIZE, 3), np.uint8), camera, hand, source="test", name="a", split_key="")
    batch = augment(batch_of(*[stored] * 64), generator(), 64)
    inside = ((batch.joints_px_BJ2 > -3) & (batch.joints_px_BJ2 < 67)).all(-1).float().mean()
    assert float(inside) > 0.97


def test_mild_augmentation_stays_nearer_to_the_live_crop():
    batch = batch_of(*[hand_sample()] * 64)
    plain = centre_cut(batch, 64).joints_px_BJ2
    full, mild = ((augment(batch, generator(), 64, c).joints_px_BJ2 - plain).norm(dim=-1).mean() for c in (None, MILD))
    assert 0 < mild < 0.8 * full


def test_the_plain_cut_is_the_live_crop():
    sample = hand_sample()
    batch = centre_cut(batch_of(sample), 128)
    ratio = STORED_EXPAND / LIVE_EXPAND * 128 / SIZE
    expected = (sample.joints_px - 79.5) * ratio + 63.5
    np.testing.assert_allclose(batch.joints_px_BJ2[0].numpy(), expected, atol=1e-3)
    np.testing.assert_allclose(batch.sigma_px_BJ[0].numpy(), 0.5 * ratio, rtol=1e-5)


def test_same_generator_state_same_batch():
    batch = batch_of(hand_sample(1), hand_sample(2))
    a, b, other = (augment(batch, generator(s), 96) for s in (5, 5, 6))
    torch.testing.assert_close(a.rgb_B3SS, b.rgb_B3SS, rtol=0, atol=0)
    assert not torch.equal(a.rgb_B3SS, other.rgb_B3SS)
    assert a.rgb_B3SS.shape == (2, 3, 96, 96)
    assert float(a.rgb_B3SS.min()) >= 0 and float(a.rgb_B3SS.max()) <= 1


def test_the_source_batch_is_left_alone():
    batch = batch_of(hand_sample())
    before = batch.rgb_B3SS.clone(), batch.joints_px_BJ2.clone()
    augment(batch, generator(), 64)
    assert torch.equal(batch.rgb_B3SS, before[0]) and torch.equal(batch.joints_px_BJ2, before[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-9, 1e-4, 0.5, 3.0, np.pi - 1e-6, np.pi]))
def test_rotation_logarithm(seed, angle):
    axis = np.random.default_rng(seed).normal(size=3)
    R = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
    back = Rotation.from_rotvec(log_rotation(torch.from_numpy(R)[None])[0].numpy()).as_matrix()
    np.testing.assert_allclose(back, R, atol=1e-6)


def test_green_mats_are_replaced_and_hands_kept():
    green = np.zeros((SIZE, SIZE, 3), np.uint8) + np.array([40, 160, 60], np.uint8)
    green[60:100, 60:100] = (210, 150, 130)
    wall = np.full((SIZE, SIZE, 3), 70, np.uint8)
    empty = hand_sample(rgb=wall, is_hand=False, joints_m=None, joint_valid=np.zeros(21, bool))
    batch = batch_of(hand_sample(rgb=green), empty, hand_sample(rgb=wall))
    rgb = on_other_backgrounds(batch.rgb_B3SS / 255, batch.is_hand_B, Dice.seeded(1), 1.0)
    skin = torch.tensor([210, 150, 130])[:, None, None] / 255
    torch.testing.assert_close(rgb[0, :, 65:95, 65:95], skin.expand(3, 30, 30))
    red, greens, blue = rgb[0, :, :50].flatten(1)
    assert float((greens - torch.maximum(red, blue)).mean()) < 0.1
    torch.testing.assert_close(rgb[1:], batch.rgb_B3SS[1:] / 255)
    unchanged = on_other_backgrounds(batch.rgb_B3SS / 255, batch.is_hand_B, Dice.seeded(1), 0.0)
    torch.testing.assert_close(unchanged, batch.rgb_B3SS / 255)
