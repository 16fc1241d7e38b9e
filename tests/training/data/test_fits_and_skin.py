import numpy as np
import pytest
import torch

from handviz.geometry.camera import project
from handviz.hand.model import load_hand_model
from handviz.records import HandParams
from handviz.render.light import room_light
from handviz.render.shade import shade
from handviz.render.surface import Surface, texture_of
from tests.training.data.hands import K, hand_sample
from training.data.encoded import read_encoded
from training.data.labelling.hand_fits import at_depths_of_fits, with_fits
from training.data.pack import pack_of, write_pack
from training.data.synth.photo_skin import photo_skins, skin_of_photo, texel_map
from training.data.synth.skin import TEXTURE_SIZE, wrist_colour

# Palm towards the camera, fingers up.
PARAMS = HandParams(
    pose=np.tile([0.0, 0.0, 0.15], 15),
    shape=np.zeros(10),
    root_rotation=np.array([1.2091996, 1.2091996, 1.2091996]),
    translation_m=np.array([0.0, 0.0, 0.95]),
)


def placed():
    tensors = [torch.tensor(np.asarray(x), dtype=torch.float32)[None] for x in (PARAMS.pose, PARAMS.shape, PARAMS.root_rotation)]
    return load_hand_model().forward(*tensors, torch.ones(1), torch.tensor(PARAMS.translation_m, dtype=torch.float32)[None])


@pytest.fixture(scope="module")
def photo():
    """A picture of the default hand with known skin, and its labels."""
    model, surface = load_hand_model(), placed()
    skin = np.full((64, 64, 3), (190, 140, 115), np.uint8)
    joints = surface.joints_BJ3[0].double().numpy()
    centred = K.copy()
    centred[:2, 2] += 79.5 - project(joints, K)[9]
    mesh = Surface(
        vertices_V3=surface.vertices_BV3[0].double().numpy(),
        faces_F3=model.faces_F3.numpy(),
        uv_V2=model.uv_V2.numpy(),
        texture=texture_of(skin),
    )
    picture = shade(
        [mesh], centred, 160, 160, room_light(np.array([0.2, -0.5, -1.0])),
        background=np.full((160, 160, 3), (30, 60, 160), np.uint8),
    )  # fmt: skip
    return hand_sample(rgb=picture.rgb, K=centred, joints_m=joints, joints_px=project(joints, centred)), picture.coverage_SHW[
        0
    ] > 0.5


def test_fits_give_parameters_and_a_mask(photo):
    sample, covered = photo
    broken = hand_sample(1, joints_m=sample.joints_m[::-1], joints_px=sample.joints_px[::-1], K=sample.K)
    empty = hand_sample(2, is_hand=False, joints_m=None, joint_valid=np.zeros(21, bool))
    pack = with_fits(pack_of([sample, broken, empty]))
    assert pack.has_params_N.tolist() == [True, False, False] == pack.has_mask_N.tolist()
    assert pack.names.hand_model == ("default", "", "")
    mask = pack.mask_NSS[0] > 127
    assert (mask & covered).sum() / (mask | covered).sum() > 0.85
    assert not pack.params_N62[1:].any()


def test_fitting_keeps_what_is_there(photo):
    labelled = hand_sample(3, params=PARAMS, joints_m=photo[0].joints_m, joints_px=photo[0].joints_px, K=photo[0].K)
    np.testing.assert_allclose(with_fits(pack_of([labelled])).params_N62[0, :45], PARAMS.pose, rtol=1e-6)


def test_depths_of_a_close_fit_replace_those_of_a_label_and_its_pixels_stay(photo):
    truth, rng = photo[0].joints_m, np.random.default_rng(0)
    trembling = truth * (1 + rng.normal(0, 0.006, (21, 1)) / truth[:, 2:])
    samples = [hand_sample(i, joints_m=trembling, joints_px=photo[0].joints_px, K=photo[0].K) for i in range(2)]
    samples.append(hand_sample(2, joints_m=trembling[::-1], joints_px=photo[0].joints_px[::-1], K=photo[0].K))
    pack = with_fits(pack_of(samples))
    assert pack.has_params_N.tolist() == [True, True, False]
    moved = at_depths_of_fits(pack, np.array([True, False, True]))

    def off(joints_m):
        return np.abs((joints_m - joints_m[9])[:, 2] - (truth - truth[9])[:, 2]).mean()

    assert off(moved.joints_m_NJ3[0]) < 0.5 * off(pack.joints_m_NJ3[0])
    np.testing.assert_allclose(project(moved.joints_m_NJ3[0], pack.K_N33[0]), pack.joints_px_NJ2[0], atol=1e-3)
    np.testing.assert_array_equal(moved.joints_px_NJ2, pack.joints_px_NJ2)
    np.testing.assert_array_equal(moved.joints_m_NJ3[1:], pack.joints_m_NJ3[1:], "not chosen, and not fitted")


def test_every_triangle_has_texels():
    texels = texel_map(load_hand_model())
    shown = np.unique(texels.face_HW)
    assert len(shown) > 0.9 * len(load_hand_model().faces_F3) and texels.face_HW.shape == (TEXTURE_SIZE, TEXTURE_SIZE)
    np.testing.assert_allclose(texels.bary_HW3[texels.face_HW >= 0].sum(-1), 1.0, atol=1e-5)


def test_the_skin_of_a_photograph_comes_back(photo):
    model = load_hand_model()
    skin = skin_of_photo(photo[0].rgb, photo[0].K, PARAMS, model, texel_map(model))
    red, green, blue = skin.colour
    assert red > green > blue and 0.1 < skin.darkness < 0.8
    # Nothing of the blue background got into it.
    texels = skin.texture.texels[: TEXTURE_SIZE**2].astype(int)
    assert (texels[:, 2] > texels[:, 0] + 10).mean() < 0.01


def test_no_skin_where_there_is_none(photo, tmp_path):
    model = load_hand_model()
    blue = np.full_like(photo[0].rgb, (20, 40, 200))
    assert skin_of_photo(blue, photo[0].K, PARAMS, model, texel_map(model)) is None
    write_pack(pack_of([hand_sample()]), tmp_path / "photos.safetensors")
    assert photo_skins(np.random.default_rng(0), read_encoded([tmp_path / "photos.safetensors"]), model, 3) == []


def test_a_forearm_has_the_colour_of_the_wrist():
    """The texels where the surface ends decide, whatever the rest of the hand is like."""
    model = load_hand_model()
    texels = texel_map(model)
    x_F = model.template_V3[model.faces_F3].mean(1)[:, 0].numpy()
    ends = (texels.face_HW >= 0) & (x_F[texels.face_HW.clip(0)] > x_F.max() - 0.012)
    picture = np.where(ends[..., None], (200, 100, 50), (10, 10, 10)).astype(np.uint8)
    colour = wrist_colour(picture, model)
    assert np.abs(colour / colour.max() - np.array([1.0, 0.5, 0.25])).max() < 0.1 and colour[0] > 150
