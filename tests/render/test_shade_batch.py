from dataclasses import replace

import numpy as np
import pytest
import torch

from handviz.hand.mesh_check import first_at_place
from handviz.hand.mirror import mirror_faces, mirror_points
from handviz.hand.model import load_hand_model
from handviz.render.depth_maps import depth_along
from handviz.render.light import Light, room_light
from handviz.render.scenes import Lights, Looks, Scenes, layout_of, lights_of, texture_bank
from handviz.render.shade import shade
from handviz.render.shade_batch import scene_normals, shade_scenes
from handviz.render.shade_loops import normals_of
from handviz.render.surface import Surface, plain_texture, texture_of
from tests.render.conftest import sphere

K = np.array([[150.0, 0, 47.5], [0, 150.0, 47.5], [0, 0, 1]])
LIGHTS = [room_light(np.array([-0.5, -0.8, -0.8])), room_light(np.array([0.9, -0.2, -0.5]), sky=0.3)]
# A hand, a mirrored hand, a ball: in the second scene the ball is absent and the second hand is not mirrored.
FLIPPED = torch.tensor([[False, True, False], [False, False, False]])
WRAP, GLOSS, SPECULAR = (0.3, 0.12, 0.06), (24.0, 12.0, 40.0), (0.05, 0.0, 0.1)
TINT = torch.tensor([[[1.0, 1, 1], [0.5, 0.7, 1.0], [0.9, 0.2, 0.1]]]).repeat(2, 1, 1)


@pytest.fixture(scope="module")
def model():
    return load_hand_model()


@pytest.fixture(scope="module")
def ball():
    vertices, faces = sphere(radius=0.03, distance=0.0)
    return vertices.numpy(), faces.numpy()


@pytest.fixture(scope="module")
def points(model, ball):
    """Vertices of each surface of each scene, in the camera's frame."""
    turns = torch.tensor([[0.0, 0.0, 0.0], [1.2, 0.4, 0.3]])
    surface = model.forward(0.3 * torch.ones(2, 45), torch.zeros(2, 10), turns, torch.ones(2), torch.zeros(2, 3))
    hands = (surface.vertices_BV3 - surface.vertices_BV3.mean(1, keepdim=True)).double().numpy()
    first = [hand + [0, 0, 0.3] for hand in hands]
    return [
        [first[0], mirror_points(hands[1]) + [0.04, 0.02, 0.36], ball[0] + [-0.04, 0, 0.25]],
        [first[1], hands[0] + [-0.05, 0.0, 0.4], np.tile(first[1][:1], (len(ball[0]), 1))],
    ]


@pytest.fixture(scope="module")
def textures(model):
    checks = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((8, 8)))[..., None] * np.array([180, 90, 40]) + 40
    return [texture_of(model.texture), plain_texture((255, 255, 255)), texture_of(checks.astype(np.uint8))]


@pytest.fixture(scope="module")
def layout(model, ball):
    hand = (model.faces_F3.numpy(), model.uv_V2.numpy(), model.first_V)
    around = np.random.default_rng(0).random((len(ball[0]), 2))
    return layout_of([hand, hand, (ball[1], around, np.arange(len(around)))])


@pytest.fixture(scope="module")
def scenes(points):
    return Scenes(
        vertices_BV3=torch.from_numpy(np.stack([np.concatenate(scene) for scene in points])).float(),
        looks=Looks(
            flipped_BM=FLIPPED,
            texture_BM=torch.tensor([[0, 1, 2], [0, 2, 2]]),
            tint_BM3=TINT,
            specular_BM=torch.tensor([SPECULAR] * 2),
            gloss_BM=torch.tensor([GLOSS] * 2),
            wrap_BM3=torch.tensor(WRAP).expand(2, 3, 3),
        ),
    )


@pytest.fixture(scope="module")
def lights():
    names = ("sh_93", "sun_direction", "sun_rgb")
    return lights_of(Light(**{name: np.stack([getattr(light, name) for light in LIGHTS]) for name in names}))


@pytest.fixture(scope="module")
def background():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), np.uint8))


def cameras():
    return torch.tensor(K).float().repeat(2, 1, 1)


def surfaces_of(i, points, layout, scenes, textures):
    out = []
    for m in range(3):
        faces = layout.faces_F3[layout.surface_F == m].numpy()
        faces = (faces - faces.min()).astype(np.int32)
        out.append(Surface(
            vertices_V3=points[i][m], faces_F3=mirror_faces(faces) if FLIPPED[i, m] else faces,
            uv_V2=layout.uv_V2[layout.surface_V == m].double().numpy(), texture=textures[scenes.looks.texture_BM[i, m]],
            tint=tuple(TINT[i, m].tolist()), specular=SPECULAR[m], gloss=GLOSS[m], wrap=WRAP,
        ))  # fmt: skip
    return out


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_pictures_are_those_of_the_cpu_path(points, layout, scenes, textures, lights, background, backend):
    batch = shade_scenes(scenes, layout, texture_bank(textures), lights, cameras(), background, backend=backend)
    for i in range(2):
        single = shade(surfaces_of(i, points, layout, scenes, textures), K, 96, 96, LIGHTS[i], background=background[i].numpy())
        own, covered = single.coverage_SHW[0], single.coverage_SHW.sum(0)
        apart = np.abs(batch.rgb_BHW3[i].numpy().astype(int) - single.rgb.astype(int))
        assert all((single.coverage_SHW[m] == 1).sum() > 150 for m in range(3 - i))
        assert np.abs(batch.coverage_BHW[i].numpy() - own).mean() < 1e-3
        assert apart[covered == 1].mean() < 0.3
        assert apart[covered > 0].mean() < 0.5
        assert apart[covered == 0].max() == 0


def test_normals_and_the_suns_depth_map_are_those_of_the_cpu_path(points, layout, scenes, textures):
    normals = scene_normals(scenes, layout)
    for i in range(2):
        start = 0
        for surface in surfaces_of(i, points, layout, scenes, textures)[: 3 - i]:
            ours = normals[i, start : start + len(surface.vertices_V3)].double().numpy()
            np.testing.assert_allclose(ours, normals_of(surface.vertices_V3, surface.faces_F3), atol=1e-3)
            start += len(surface.vertices_V3)
    towards = torch.nn.functional.normalize(torch.tensor([[0.3, -0.8, -0.5], [0.0, 0.0, -1.0]]), dim=-1)
    flipped = scenes.looks.flipped_BM[:, layout.surface_F]
    one, two = (
        depth_along(scenes.vertices_BV3, layout.mapped_V, layout.faces_F3, flipped, towards, 64, b) for b in ("numba", "torch")
    )
    assert torch.equal(one.depth_BSS, two.depth_BSS) and torch.isfinite(one.depth_BSS).any()
    # Far to the side of the scenes, and in front of them, the sun reaches everything; a point far behind them is in shadow.
    middle = scenes.vertices_BV3.mean(1)
    probes = torch.stack([middle + 9.0, middle + towards, middle - towards], 1)
    assert one.lit(probes, 3.5).tolist() == [[1.0, 1.0, 0.0]] * 2
    owner = torch.arange(2).repeat_interleave(3)
    assert torch.equal(one.lit_points(owner, probes.flatten(0, 1), 3.5), one.lit(probes, 3.5).flatten())


def test_something_large_behind_leaves_shadows_as_they_are(points, layout, scenes, textures, lights, background):
    """The first surface is lit alike whether or not a ball of three metres stands far behind it."""
    looks = scenes.looks._mapped(lambda x: x[:1, [0, 2]])
    uvs = [layout.uv_V2[layout.surface_V == m].double().numpy() for m in (0, 2)]
    faces = [layout.faces_F3[layout.surface_F == m].int().numpy() for m in (0, 2)]
    faces = [f - f.min() for f in faces]
    both = layout_of([(f, uv, np.arange(len(uv))) for f, uv in zip(faces, uvs, strict=True)], mapped=1)
    hand, ball = points[0][0], points[0][2] - points[0][2].mean(0)
    batch, single = [], []
    for thing in (np.tile(hand[:1], (len(ball), 1)), ball * 100 + [0, 0, 20.0]):
        meshes = [hand, thing]
        scene = Scenes(vertices_BV3=torch.from_numpy(np.concatenate(meshes)).float()[None], looks=looks)
        rest = (texture_bank(textures), lights.take(slice(1)), cameras()[:1], background[:1])
        picture = shade_scenes(scene, both, *rest)
        own = picture.coverage_BHW[0].numpy() == 1
        batch.append(picture.rgb_BHW3[0].numpy()[own].astype(int))
        surfaces = [
            Surface(vertices_V3=v, faces_F3=f, uv_V2=uv, texture=textures[0]) for v, f, uv in zip(meshes, faces, uvs, strict=True)
        ]
        single.append(shade(surfaces, K, 96, 96, LIGHTS[0], mapped=1).rgb[own].astype(int))
        assert own.sum() > 500
    assert all(np.abs(one - two).mean() < 0.3 for one, two in (batch, single))


def test_vertices_at_one_place_share_their_normal(model, ball, scenes):
    """Split every triangle of the hand from its neighbours: only knowing which vertices coincide keeps it smooth."""
    faces, uv = model.faces_F3.numpy(), model.uv_V2.numpy()
    split, first = np.arange(faces.size).reshape(-1, 3), first_at_place(model.template_V3.double().numpy()[faces.ravel()])
    looks = scenes.looks._mapped(lambda x: x[:1, :1])
    joined, apart = (
        scene_normals(Scenes(vertices_BV3=points[None], looks=looks), layout_of([parts]))[0]
        for points, parts in (
            (model.template_V3, (faces, uv, model.first_V)),
            (model.template_V3[faces.ravel()], (split, uv[faces.ravel()], first)),
        )
    )
    np.testing.assert_allclose(apart.numpy(), joined.numpy()[faces.ravel()], atol=1e-4)


def test_nothing_to_see_is_the_background(layout, scenes, textures, lights, background):
    behind = replace(scenes, vertices_BV3=-scenes.vertices_BV3)
    picture = shade_scenes(behind, layout, texture_bank(textures), lights, cameras(), background)
    assert torch.equal(picture.rgb_BHW3, background)
    assert not picture.coverage_BHW.any()


def test_a_light_for_each_scene_is_demanded(layout, scenes, textures, lights, background):
    with pytest.raises(ValueError, match="as many cameras, lights"):
        shade_scenes(scenes, layout, texture_bank(textures), lights.take(slice(1)), cameras(), background)


@pytest.mark.gpu
def test_cuda_draws_what_the_cpu_draws(layout, scenes, textures, lights, background):
    parts = (scenes, layout, texture_bank(textures), lights, cameras(), background)
    on_cpu, on_gpu = (shade_scenes(*(part.to(device) for part in parts)) for device in ("cpu", "cuda"))
    assert isinstance(parts[3], Lights)
    assert (on_gpu.rgb_BHW3.cpu().int() - on_cpu.rgb_BHW3.int()).abs().float().mean() < 0.5
