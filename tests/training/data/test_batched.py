import dataclasses

import cv2
import numpy as np
import pytest
import torch

from handviz.errors import HandvizError, SourceError
from handviz.hand.mirror import mirror_faces
from handviz.hand.model import load_hand_model
from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from handviz.render import depth_maps, shade_batch
from handviz.render.light import Light, light_from_radiance, panorama_background, room_light
from handviz.render.raster import rasterize
from handviz.render.shade import shade
from handviz.render.surface import Surface, Texture
from tests.training.data.test_splits_and_sources import Part
from training.data.preview import preview
from training.data.sources import open_source, read_source
from training.data.synth.batched import geometry
from training.data.synth.batched import renderer as batched
from training.data.synth.batched.arms import arm_meshes, hides_hand
from training.data.synth.batched.draws import ARM, BEFORE, HELD, SECOND, SLEEVE, SURFACES
from training.data.synth.batched.faults import apply_faults, draw_faults, noise_sheet
from training.data.synth.batched.filters import coarse, filtered, gaussian, streaked
from training.data.synth.batched.geometry import joints_in_camera, project_joints, props
from training.data.synth.batched.jpeg import through_jpeg
from training.data.synth.batched.places import NOISE, PANORAMA, WALL, background_bank, paint, stacked
from training.data.synth.batched.renderer import batch_renderer
from training.data.synth.command import SynthesisJob, make_renderer
from training.data.synth.props import forearm
from training.data.synth.recipe import CameraRecipe, ClutterRecipe, Recipe
from training.data.synth.surroundings import Panorama
from training.recipes import DataPart, recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def small():
    """Fewer skins, walls and poses than in earnest: they take most of a renderer's start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.data.synth.command.SKINS_PER_HAND", 3)
        for name, value in {"POOL_CPU": 64, "CLOTHS": 6, "THINGS": 6, "FACES": 3}.items():
            patch.setattr(batched, name, value)
        patch.setattr("training.data.synth.batched.places.WALLS", 8)
        patch.setattr("training.data.synth.batched.places.NOISES", 2)
        yield


def panorama(seed=0):
    rng = np.random.default_rng(seed)
    rgb = cv2.resize(rng.integers(0, 255, (8, 16, 3), np.uint8), (128, 64), interpolation=cv2.INTER_CUBIC)
    return Panorama(rgb=rgb, light=light_from_radiance(rng.random((8, 16, 3)) ** 3))


@pytest.fixture(scope="module")
def plain_renderer():
    renderer = make_renderer(SynthesisJob(count=1, seed=0))
    places = dataclasses.replace(renderer.surroundings, panoramas=[panorama(0), panorama(1)])
    return dataclasses.replace(renderer, surroundings=places)


@pytest.fixture(scope="module")
def renderer(plain_renderer):
    return batch_renderer(plain_renderer, 0, CPU)


def surfaces_of(scenes, geometry, bank, i):
    """The scene's surfaces as the CPU renderer takes them."""
    layout, out = geometry.layout, []
    for m in range(len(SURFACES)):
        vertices = scenes.vertices_BV3[i, layout.surface_V == m].double().numpy()
        if np.ptp(vertices, 0).max() == 0:
            continue
        faces = layout.faces_F3[layout.surface_F == m].numpy()
        faces = (faces - faces.min()).astype(np.int32)
        out.append(Surface(
            vertices_V3=vertices, faces_F3=mirror_faces(faces) if scenes.flipped_BM[i, m] else faces,
            uv_V2=layout.uv_V2[layout.surface_V == m].double().numpy(),
            texture=Texture(bank.texels_N3.numpy(), bank.levels_TL3[scenes.texture_BM[i, m]].numpy()),
            tint=tuple(scenes.tint_BM3[i, m].tolist()), specular=float(scenes.specular_BM[i, m]),
            gloss=float(scenes.gloss_BM[i, m]), wrap=tuple(scenes.wrap_BM3[i, m].tolist()),
        ))  # fmt: skip
    return out


def test_scenes_look_as_the_cpu_renderer_draws_them(renderer):
    size = renderer.dice.size
    draws, geometry = renderer.dice.draw(3, 0, 10), renderer.geometries[0]
    rgb, mask = renderer.clean_pictures(draws, 0)
    scenes = geometry.scenes(draws, renderer.dice.pool, size, renderer.dice.recipe.view.min_visible)
    backgrounds = paint(draws.backgrounds, renderer.backgrounds).numpy()
    seen = set()
    for i in range(len(rgb)):
        lights = draws.lights
        light = Light(**{
            name: getattr(lights, field)[i].double().numpy()
            for name, field in (("sh_93", "sh_B93"), ("sun_direction", "sun_direction_B3"), ("sun_rgb", "sun_rgb_B3"))
        })  # fmt: skip
        surfaces = surfaces_of(scenes, geometry, renderer.textures, i)
        seen.add(len(surfaces))
        K = draws.K_B33[i].double().numpy()
        single = shade(surfaces, K, size, size, light, background=np.ascontiguousarray(backgrounds[i]))
        own, covered = single.coverage_SHW[0] > 0.5, single.coverage_SHW.sum(0)
        ours = mask[i].numpy() > 0.5
        assert (own & ours).sum() / (own | ours).sum() > 0.97
        apart = np.abs(rgb[i].numpy().astype(int) - single.rgb.astype(int))
        assert apart[covered == 0].max(initial=0) <= 1
        assert apart[covered > 0].mean() < 0.5
    assert len(seen) > 1


def test_labels_agree_with_each_other_and_with_the_picture(renderer):
    batch, model = renderer.render(0, 1, 12), load_hand_model()
    flat = batch.joints_m_BJ3 @ batch.K_B33.transpose(1, 2)
    assert torch.allclose(flat[..., :2] / flat[..., 2:], batch.joints_px_BJ2, atol=1e-3)
    assert batch.has_params_B.all() and batch.rgb_B3SS.dtype == torch.uint8
    posed = model.forward(batch.pose_B45, batch.shape_B10, batch.root_B3, batch.scale_B, batch.trans_B3)
    assert torch.allclose(posed.joints_BJ3, batch.joints_m_BJ3, atol=2e-5)
    whole = rasterize(posed.vertices_BV3, model.faces_F3, batch.K_B33, 160, 160).mask_BHW
    visible = batch.mask_BSS > 0.5
    assert (visible & ~whole).sum() < 0.02 * visible.sum()
    iou = (visible & whole).sum((1, 2)) / (visible | whole).sum((1, 2))
    assert iou.max() > 0.97 and iou.min() < 0.97


def test_a_batch_depends_on_seed_and_step_alone(renderer):
    one, again, other = (renderer.render(5, step, 6) for step in (2, 2, 3))
    assert all(torch.equal(getattr(one, name), getattr(again, name)) for name in type(one).__dataclass_fields__)
    assert not torch.equal(one.joints_px_BJ2, other.joints_px_BJ2)
    assert not torch.equal(one.rgb_B3SS, renderer.render(6, 2, 6).rgb_B3SS)


def test_each_process_renders_its_own_rows(renderer, monkeypatch):
    rendered = []
    plain = batched.shade_scenes
    monkeypatch.setattr(
        batched, "shade_scenes", lambda scenes, *a, **k: (rendered.append(len(scenes.flipped_BM)), plain(scenes, *a, **k))[1]
    )
    whole = renderer.render(1, 4, 8)
    for rank in range(2):
        rendered.clear()
        rows = slice(rank, None, 2)
        part, wanted = renderer.render(1, 4, 8, rows), whole.take(rows)
        assert sum(rendered) == 4
        assert torch.allclose(part.joints_m_BJ3, wanted.joints_m_BJ3, atol=1e-6)
        # Products over other numbers of rows may round otherwise.
        assert (part.rgb_B3SS.int() - wanted.rgb_B3SS.int()).abs().float().mean() < 0.05


def test_without_compiled_loops_as_on_a_gpu_the_pictures_are_the_same(renderer, monkeypatch):
    one = renderer.render(2, 0, 3)
    monkeypatch.setattr("handviz.render.raster.have_numba", lambda: False)
    two = renderer.render(2, 0, 3)
    assert torch.equal(one.rgb_B3SS, two.rgb_B3SS) and torch.equal(one.mask_BSS, two.mask_BSS)


def test_nothing_is_read_back_from_the_device_but_what_is_covered(renderer, monkeypatch):
    """Tensors on torch's meta device hold no values: reading one, or mixing it with the CPU's, is an error."""
    there = torch.device("meta")

    def nearest(screen, height, width, **_):
        shape = (len(screen.drawn_BF), height, width)
        return torch.zeros(shape, dtype=torch.int32, device=there), torch.zeros(shape, device=there)

    def shares(face, samples):
        whole = torch.zeros(50, dtype=torch.int64, device=there)
        return shade_batch._Shares(whole, whole, whole, whole.float(), whole[:, None].expand(-1, 2))

    # The two places where counts are read back.
    for module in (depth_maps, shade_batch, geometry):
        monkeypatch.setattr(module, "nearest", nearest)
    monkeypatch.setattr(shade_batch, "_shares", shares)
    parts = [dataclasses.replace(g, model=g.model.to(device=there), layout=g.layout.to(there)) for g in renderer.geometries]
    banks = {name: getattr(renderer, name).to(there) for name in ("textures", "backgrounds", "noise")}
    batch = dataclasses.replace(renderer, geometries=parts, device=there, **banks).render(0, 0, 6)
    assert all(getattr(batch, name).device == there for name in type(batch).__dataclass_fields__)
    assert batch.rgb_B3SS.shape == (6, 3, 160, 160) and batch.rgb_B3SS.dtype == torch.uint8


def test_factors_come_as_often_as_the_recipe_says(renderer):
    draws, recipe = renderer.dice.draw(0, 0, 4000), renderer.dice.recipe
    clutter, camera = recipe.clutter, recipe.camera
    share = draws.looks.present_BM.float().mean(0)
    arm = 1 - clutter.no_arm_chance
    expected = [1, arm, arm * clutter.sleeve_chance, clutter.held_chance, clutter.before_chance, clutter.second_hand_chance]
    assert torch.allclose(share, torch.tensor([*expected, clutter.head_chance]), atol=0.025)
    kinds = torch.bincount(draws.backgrounds.kind_B, minlength=3) / 4000
    weights = torch.tensor([recipe.background.panorama_weight, recipe.background.wall_weight, recipe.background.noise_weight])
    assert torch.allclose(kinds[[PANORAMA, WALL, NOISE]], weights / weights.sum(), atol=0.025)
    faults = draws.faults
    for values, chance in (
        (faults.defocus_B, camera.defocus_chance), (faults.motion_B, camera.motion_chance),
        (faults.quality_B, camera.jpeg_chance), (faults.coarse_B, camera.low_res_chance),
        (faults.noise_B, camera.noise_chance), (faults.grey_B, camera.grey_chance),
    ):  # fmt: skip
        assert float((values > 0).float().mean()) == pytest.approx(chance, abs=0.025)
    assert len(draws.own_B.unique()) == 64 and float(draws.scale_B.min()) >= 0.86 and float(draws.scale_B.max()) <= 1.14
    assert all(torch.isfinite(x).all() for x in (draws.lights.sh_B93, draws.lights.sun_rgb_B3, draws.K_B33))


def test_what_hides_too_much_is_left_out(renderer):
    recipe = Recipe(clutter=ClutterRecipe(held_chance=1, before_chance=1, second_hand_chance=1))
    draws = dataclasses.replace(renderer.dice, recipe=recipe).draw(0, 0, 4)
    geometry, pool = renderer.geometries[0], renderer.dice.pool
    front = torch.isin(geometry.layout.surface_V, torch.tensor([HELD, BEFORE, SECOND]))
    kept, bare = (geometry.scenes(draws, pool, 160, share).vertices_BV3[:, front] for share in (0.0, 2.0))
    assert (kept.std(1).amax(1) > 0.01).all()
    assert (bare == bare[:, :1]).all()


def test_no_arm_hides_its_hand(renderer):
    draws, view = renderer.dice.draw(0, 1, 600), renderer.dice.recipe.view
    blind = dataclasses.replace(renderer.dice, recipe=Recipe(view=dataclasses.replace(view, min_visible=-1.0))).draw(0, 1, 600)
    hidden = []
    for some in (draws, blind):
        joints, R, t = (x.double().numpy() for x in (some.joints_BJ3, some.R_B33, some.t_B3))
        arms = arm_meshes(joints, some.shapes.bend_B3, some.shapes.sleeve_start_B, some.shapes.sleeve_width_B)
        hidden.append(hides_hand(joints, arms, some.looks.present_BM[:, [ARM, SLEEVE]].numpy(), R, t, view.min_visible))
    assert hidden[0].mean() < 0.002 < hidden[1].mean() < 0.2
    # What is said of an arm is what the picture shows.
    i = int(np.flatnonzero(hidden[1])[0])
    one, clean = blind.take(slice(i, i + 1)), blind.take(torch.from_numpy(np.flatnonzero(~hidden[1])[:1]))
    shown = [
        renderer.geometries[0]._visible(renderer.geometries[0].scenes(d, renderer.dice.pool, 160, 0.0), d, 160, 0.55)
        for d in (one, clean)
    ]
    assert [bool(x) for x in shown] == [False, True]


def test_many_forearms_are_each_the_forearm_of_one(renderer):
    draws = renderer.dice.draw(0, 7, 5)
    arms = props(draws)[:2]
    for i in range(5):
        joints, R, t = (x[i].double().numpy() for x in (draws.joints_BJ3, draws.R_B33, draws.t_B3))
        palm = np.linalg.norm(joints[MIDDLE_MCP] - joints[WRIST])
        bend, shapes = draws.shapes.bend_B3[i].double().numpy(), draws.shapes
        alone = (
            forearm(joints[WRIST], palm, bend),
            forearm(
                joints[WRIST], palm, bend, start=float(shapes.sleeve_start_B[i]) / palm, width=float(shapes.sleeve_width_B[i])
            ),
        )
        for m, mesh in zip((ARM, SLEEVE), alone, strict=True):
            np.testing.assert_allclose(arms[m - ARM].vertices[i], mesh.vertices @ R.T + t, atol=1e-9)
    pixels = project_joints(draws)
    assert (joints_in_camera(draws)[..., 2] > 0.1).all() and (pixels > 0).all() and (pixels < 160).all()


def test_lights_of_many_scenes_are_each_the_light_of_one():
    rng = np.random.default_rng(0)
    singles = [panorama(0).light, room_light(np.array([0.2, -0.5, -0.9]))]
    turns = np.stack([cv2.Rodrigues(rng.normal(0, 1, 3))[0] for _ in singles])
    many = stacked(singles).exposed(np.array([0.5, 0.2])).turned(turns)
    for i, light in enumerate(singles):
        alone = light.exposed((0.5, 0.2)[i]).turned(turns[i])
        for name in ("sh_93", "sun_direction", "sun_rgb"):
            np.testing.assert_allclose(getattr(many, name)[i], getattr(alone, name), atol=1e-9)


def test_panoramas_are_seen_as_the_cpu_renderer_sees_them(renderer):
    draws = renderer.dice.draw(0, 0, 30).backgrounds
    draws = dataclasses.replace(draws.take(draws.kind_B == PANORAMA), blur_B=torch.zeros(1), gain_B=torch.ones(1))
    plain = dataclasses.replace(draws, blur_B=torch.zeros(len(draws.kind_B)), gain_B=torch.ones(len(draws.kind_B)))
    pictures = paint(plain, renderer.backgrounds).numpy()
    for i, world_from_pixel in enumerate(plain.world_from_pixel_B33.double().numpy()):
        # Any K and R whose product is this serve.
        place = renderer.backgrounds.panoramas_PHW3[plain.picture_B[i]].numpy()
        expected = panorama_background(place, np.linalg.inv(world_from_pixel), 160, 160, np.eye(3))
        assert np.abs(pictures[i].astype(int) - expected.astype(int)).mean() < 1.0


def photo():
    rng = np.random.default_rng(0)
    picture = sum(
        cv2.resize(rng.normal(0, 40, (n, n, 3)).astype(np.float32), (160, 160), interpolation=cv2.INTER_CUBIC)
        for n in (5, 20, 60)
    )
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def as_batch(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).float().permute(2, 0, 1)[None].repeat(2, 1, 1, 1)


def as_picture(batch, i):
    return batch[i].permute(1, 2, 0).numpy()


def test_blur_and_coarse_pixels_are_those_of_the_cpu_path():
    picture = photo().astype(np.float32)
    blurred = filtered(as_batch(picture), gaussian(torch.tensor([0.7, 3.0]), 160))
    for i, sigma in enumerate((0.7, 3.0)):
        assert np.abs(as_picture(blurred, i) - cv2.GaussianBlur(picture, (0, 0), sigma)).max() < 0.5
    shrunk = filtered(as_batch(picture), coarse(torch.tensor([1.5, 3.3]), 160))
    for i, factor in enumerate((1.5, 3.3)):
        small = cv2.resize(picture, (round(160 / factor),) * 2, interpolation=cv2.INTER_AREA)
        assert np.abs(as_picture(shrunk, i) - cv2.resize(small, (160, 160), interpolation=cv2.INTER_LINEAR)).max() < 0.5


def test_a_streak_spreads_a_dot_along_its_line():
    dot = torch.zeros(2, 3, 33, 33)
    dot[:, :, 16, 16] = 1.0
    out = streaked(dot, torch.tensor([8.0, 8.0]), torch.tensor([0.0, torch.pi / 2]))
    steps = torch.arange(33.0) - 16
    for i, axis in enumerate((1, 0)):
        along, across = out[i, 0].sum(1 - axis), out[i, 0].sum(axis)
        assert float((along * steps.square()).sum()) == pytest.approx(64 / 12, rel=0.25)
        assert float((across * steps.square()).sum()) < 0.05
        assert float(along.sum()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("quality", [25, 60, 90])
def test_jpeg_loses_what_a_file_loses(quality):
    picture = photo()
    coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    expected = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    ours = as_picture(through_jpeg(as_batch(picture), torch.tensor([quality, quality])), 0).astype(int)
    lost = np.abs(expected - picture.astype(int)).mean()
    assert np.abs(ours - expected).mean() < 0.25 * lost
    with pytest.raises(ValueError, match="multiple of 16"):
        through_jpeg(torch.zeros(1, 3, 40, 40), torch.tensor([50]))


def test_no_faults_leave_a_picture_and_each_fault_changes_it():
    clean = torch.from_numpy(photo())[None].repeat(4, 1, 1, 1)
    rng = np.random.default_rng(0)
    sheet = noise_sheet(rng)
    none = {f.name: 0.0 for f in dataclasses.fields(CameraRecipe) if f.name.endswith("_chance")}
    still = CameraRecipe(**none, white_balance_sigma=0.0, gamma=(1.0, 1.0), contrast=(1.0, 1.0))
    plain = clean.permute(0, 3, 1, 2)
    assert torch.equal(apply_faults(clean, draw_faults(rng, still, 4, 160), sheet), plain)
    for name in none:
        faults = draw_faults(rng, dataclasses.replace(still, **{name: 1.0}), 4, 160)
        apart = (apply_faults(clean, faults, sheet).int() - plain.int()).abs().float()
        assert 0.1 < float(apart.mean()) < 100


def test_backgrounds_of_any_size_are_taken():
    bank = background_bank(
        np.random.default_rng(0),
        [panorama(0), Panorama(rgb=np.zeros((30, 60, 3), np.uint8), light=panorama(0).light)],
        Recipe().background,
        32,
    )
    assert bank.panoramas_PHW3.shape == (2, 64, 128, 3)


def test_a_recipe_names_it_and_mixes_it(tmp_path):
    source = open_source((Part("rendered-live:batched", 0.5), Part("rendered-live:batched", 0.5)), tmp_path, 0)
    batch = source.draw(0, 4)
    assert len(batch) == 4 and batch.rgb_B3SS.shape == (4, 3, 160, 160) and len(source) > 1000
    assert not torch.equal(batch.joints_px_BJ2[0], batch.joints_px_BJ2[2])
    source.close()
    assert preview("rendered-live:batched", tmp_path, tmp_path / "sheet.png", count=3, seed=0, augmented=False) == 3
    with pytest.raises(SourceError, match="unknown way"):
        open_source((Part("rendered-live:gpu"),), tmp_path, 0)
    with pytest.raises(SourceError, match="without end"):
        read_source("rendered-live", tmp_path)


def test_data_is_set_by_a_name_or_a_list():
    assert recipe("groups-live", {"data": "rendered-live"}).data == (DataPart(source="rendered-live"),)
    mixed = recipe("groups-live", {"data": '[{"source": "rendered-live", "share": 3}, "photos"]'}).data
    assert mixed == (DataPart(source="rendered-live", share=3), DataPart(source="photos"))
    for bad in ("3", '[{"share": 1}]', '[{"source": "a", "share": "b"}]', '[{"source": "a", "colour": 1}]', '{"source": 1}'):
        with pytest.raises(HandvizError, match="give a source's name"):
            recipe("groups-live", {"data": bad})


@pytest.mark.gpu
def test_cuda_renders_what_the_cpu_renders(plain_renderer, renderer):
    there = batch_renderer(plain_renderer, 0, torch.device("cuda"))
    there = dataclasses.replace(there, dice=renderer.dice)
    one, two = renderer.render(0, 0, 8), there.render(0, 0, 8).to("cpu")
    torch.cuda.synchronize()
    assert (one.rgb_B3SS.int() - two.rgb_B3SS.int()).abs().float().mean() < 0.5
    assert (one.mask_BSS - two.mask_BSS).abs().mean() < 1e-3
    assert torch.equal(one.joints_px_BJ2, two.joints_px_BJ2)
