"""What a batch shows, and that it agrees with the other renderers."""

import dataclasses

import numpy as np
import pytest
import torch

from handviz.hand.mesh_check import first_at_place
from handviz.hand.mirror import mirror_faces
from handviz.hand.model import load_hand_model
from handviz.render import depth_maps, shade_batch
from handviz.render.light import Light
from handviz.render.raster import rasterize
from handviz.render.shade import shade
from handviz.render.surface import Surface, Texture
from training.data.synth.batched import geometry
from training.data.synth.batched import renderer as batched
from training.data.synth.batched.draws import ARM, SLEEVE, SURFACES
from training.data.synth.batched.places import paint
from training.data.synth.batched.renderer import batch_renderer


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
            vertices_V3=vertices, faces_F3=mirror_faces(faces) if scenes.looks.flipped_BM[i, m] else faces,
            uv_V2=layout.uv_V2[layout.surface_V == m].double().numpy(), first_V=first_at_place(vertices, 1e-5),
            texture=Texture(bank.texels_N3.numpy(), bank.levels_TL3[scenes.looks.texture_BM[i, m]].numpy()),
            tint=tuple(scenes.looks.tint_BM3[i, m].tolist()), specular=float(scenes.looks.specular_BM[i, m]),
            gloss=float(scenes.looks.gloss_BM[i, m]), wrap=tuple(scenes.looks.wrap_BM3[i, m].tolist()),
        ))  # fmt: skip
    return out


def test_scenes_look_as_the_cpu_renderer_draws_them(renderer):
    size = renderer.dice.size
    draws, geometry = renderer.dice.draw(3, 0, 4), renderer.geometries[0]
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
        mapped = 1 + int(draws.present_BM[i, [ARM, SLEEVE]].sum())
        single = shade(surfaces, K, size, size, light, background=np.ascontiguousarray(backgrounds[i]), mapped=mapped)
        own, covered = single.coverage_SHW[0] > 0.5, single.coverage_SHW.sum(0)
        ours = mask[i].numpy() > 0.5
        assert (own & ours).sum() / (own | ours).sum() > 0.97
        apart = np.abs(rgb[i].numpy().astype(int) - single.rgb.astype(int))
        assert apart[covered == 0].max(initial=0) <= 1
        assert apart[covered > 0].mean() < 0.5
    assert len(seen) > 1


def test_labels_agree_with_each_other_and_with_the_picture(renderer):
    batch, model = renderer.render(0, 1, 8), load_hand_model()
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
    one, again, other = (renderer.render(5, step, 2) for step in (2, 2, 3))
    assert all(torch.equal(getattr(one, name), getattr(again, name)) for name in type(one).__dataclass_fields__)
    assert not torch.equal(one.joints_px_BJ2, other.joints_px_BJ2)
    assert not torch.equal(one.rgb_B3SS, renderer.render(6, 2, 2).rgb_B3SS)


def test_each_process_renders_its_own_rows(renderer, monkeypatch):
    rendered = []
    plain = batched.shade_scenes
    monkeypatch.setattr(
        batched,
        "shade_scenes",
        lambda scenes, *a, **k: (rendered.append(len(scenes.vertices_BV3)), plain(scenes, *a, **k))[1],
    )
    whole = renderer.render(1, 4, 4)
    for rank in range(2):
        rendered.clear()
        rows = slice(rank, None, 2)
        part, wanted = renderer.render(1, 4, 4, rows), whole.take(rows)
        assert sum(rendered) == 2
        assert torch.allclose(part.joints_m_BJ3, wanted.joints_m_BJ3, atol=1e-6)
        # Products over different numbers of rows may round differently.
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
    batch = dataclasses.replace(renderer, geometries=parts, device=there, **banks).render(0, 0, 2)
    assert all(getattr(batch, name).device == there for name in type(batch).__dataclass_fields__)
    assert batch.rgb_B3SS.shape == (2, 3, 160, 160) and batch.rgb_B3SS.dtype == torch.uint8


@pytest.mark.gpu
def test_cuda_renders_what_the_cpu_renders(plain_renderer, renderer):
    there = batch_renderer(plain_renderer, 0, torch.device("cuda"))
    there = dataclasses.replace(there, dice=renderer.dice)
    one, two = renderer.render(0, 0, 8), there.render(0, 0, 8).to("cpu")
    torch.cuda.synchronize()
    assert (one.rgb_B3SS.int() - two.rgb_B3SS.int()).abs().float().mean() < 0.5
    assert (one.mask_BSS - two.mask_BSS).abs().mean() < 1e-3
    assert torch.equal(one.joints_px_BJ2, two.joints_px_BJ2)
