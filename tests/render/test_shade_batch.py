import numpy as np
import pytest
import torch

from handviz.hand.model import load_hand_model
from handviz.render.light import room_light
from handviz.render.shade import shade
from handviz.render.shade_batch import SkinLook, shade_batch
from handviz.render.surface import Surface, texture_of

K = np.array([[150.0, 0, 47.5], [0, 150.0, 47.5], [0, 0, 1]])


@pytest.fixture(scope="module")
def model():
    return load_hand_model()


@pytest.fixture(scope="module")
def hands(model):
    turns = torch.tensor([[0.0, 0.0, 0.0], [1.2, 0.4, 0.3]])
    surface = model.forward(0.3 * torch.ones(2, 45), torch.zeros(2, 10), turns, torch.ones(2), torch.zeros(2, 3))
    vertices = surface.vertices_BV3 - surface.vertices_BV3.mean(1, keepdim=True)
    return (vertices + torch.tensor([0, 0, 0.3])).detach()


@pytest.fixture(scope="module")
def look(model):
    return SkinLook(texture=texture_of(model.texture), uv_V2=model.uv_V2)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_pictures_are_those_of_the_cpu_path(model, hands, look, backend):
    lights = [room_light(np.array([-0.5, -0.8, -0.8])), room_light(np.array([0.9, -0.2, -0.5]), sky=0.3)]
    background = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), np.uint8)
    batch = shade_batch(
        hands, model.faces_F3, look, torch.tensor(K).float(), 96, 96, lights,
        background_BHW3=torch.from_numpy(background), backend=backend,
    )  # fmt: skip
    for i in range(2):
        surface = Surface(
            vertices_V3=hands[i].numpy(), faces_F3=model.faces_F3.numpy(), texture=look.texture, uv_V2=model.uv_V2.numpy()
        )
        single = shade([surface], K, 96, 96, lights[i], background=background[i], occlusion_views=0)
        covered = single.coverage_SHW[0] == 1
        apart = np.abs(batch.rgb_BHW3[i].numpy().astype(int) - single.rgb.astype(int))
        assert covered.sum() > 500
        assert np.abs(batch.coverage_BHW[i].numpy() - single.coverage_SHW[0]).mean() < 1e-3
        # The one shades every sub-pixel, the other once a pixel and triangle.
        assert np.median(apart[covered]) <= 3
        assert apart[covered].mean() < 5
        assert apart[single.coverage_SHW[0] == 0].max() <= 1


def test_nothing_to_see_is_the_background(model, hands, look):
    light = [room_light(np.array([0.0, -1, -1]))] * 2
    background = torch.randint(0, 255, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    behind = hands * torch.tensor([1, 1, -1.0])
    picture = shade_batch(behind, model.faces_F3, look, torch.tensor(K).float(), 32, 32, light, background_BHW3=background)
    assert (picture.rgb_BHW3.int() - background.int()).abs().max() <= 1
    assert not picture.coverage_BHW.any()


def test_a_light_for_each_mesh_is_demanded(model, hands, look):
    with pytest.raises(ValueError, match="as many lights"):
        shade_batch(hands, model.faces_F3, look, torch.tensor(K).float(), 8, 8, [])


@pytest.mark.gpu
def test_cuda_draws_what_the_cpu_draws(model, hands, look):
    light = [room_light(np.array([-0.5, -0.8, -0.8]))] * 2
    camera = torch.tensor(K).float()
    on_cpu = shade_batch(hands, model.faces_F3, look, camera, 96, 96, light)
    there = SkinLook(texture=look.texture, uv_V2=look.uv_V2.cuda())
    on_gpu = shade_batch(hands.cuda(), model.faces_F3.cuda(), there, camera.cuda(), 96, 96, light)
    assert (on_gpu.rgb_BHW3.cpu().int() - on_cpu.rgb_BHW3.int()).abs().float().mean() < 0.5
