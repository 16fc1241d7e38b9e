"""The drawn numbers: how often things occur, what is left out, where arms lie."""

import dataclasses

import numpy as np
import pytest
import torch

from handviz.hand.skeleton import MIDDLE_MCP, WRIST
from training.data.synth.batched.arms import arm_meshes, hides_hand
from training.data.synth.batched.draws import ARM, BEFORE, HELD, SECOND, SECOND_ARM, SLEEVE
from training.data.synth.batched.geometry import joints_in_camera, project_joints, props
from training.data.synth.batched.places import NOISE, PANORAMA, WALL
from training.data.synth.props import forearm, holds_camera
from training.data.synth.recipe import ClutterRecipe, Recipe, ViewRecipe


def test_factors_come_as_often_as_the_recipe_says(renderer):
    draws, recipe = renderer.dice.draw(0, 0, 1500), renderer.dice.recipe
    clutter, camera = recipe.clutter, recipe.camera
    share = draws.present_BM.float().mean(0)
    arm = 1 - clutter.no_arm_chance
    expected = [1, arm, arm * clutter.sleeve_chance, clutter.held_chance, clutter.before_chance, clutter.second_hand_chance]
    assert torch.allclose(share, torch.tensor([*expected, expected[-1], clutter.head_chance]), atol=0.04)
    kinds = torch.bincount(draws.backgrounds.kind_B, minlength=3) / 1500
    weights = torch.tensor([recipe.background.panorama_weight, recipe.background.wall_weight, recipe.background.noise_weight])
    assert torch.allclose(kinds[[PANORAMA, WALL, NOISE]], weights / weights.sum(), atol=0.04)
    faults = draws.faults
    for values, chance in (
        (faults.defocus_B, camera.defocus_chance), (faults.motion_B, camera.motion_chance),
        (faults.quality_B, camera.jpeg_chance), (faults.coarse_B, camera.low_res_chance),
        (faults.noise_B, camera.noise_chance), (faults.grey_B, camera.grey_chance),
    ):  # fmt: skip
        assert float((values > 0).float().mean()) == pytest.approx(chance, abs=0.04)
    assert len(draws.own_B.unique()) == 64 and float(draws.scale_B.min()) >= 0.86 and float(draws.scale_B.max()) <= 1.14
    assert all(torch.isfinite(x).all() for x in (draws.lights.sh_B93, draws.lights.sun_rgb_B3, draws.K_B33))


def test_what_hides_too_much_is_left_out(renderer):
    recipe = Recipe(clutter=ClutterRecipe(held_chance=1, before_chance=1, second_hand_chance=1))
    draws = dataclasses.replace(renderer.dice, recipe=recipe).draw(0, 0, 4)
    geometry, pool = renderer.geometries[0], renderer.dice.pool
    front = torch.isin(geometry.layout.surface_V, torch.tensor([HELD, BEFORE, SECOND, SECOND_ARM]))
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
        hidden.append(hides_hand(joints, arms, some.present_BM[:, [ARM, SLEEVE]].numpy(), R, t, view.min_visible))
    assert hidden[0].mean() < 0.002 < hidden[1].mean() < 0.2
    # What is computed about an arm is what the picture shows.
    i = int(np.flatnonzero(hidden[1])[0])
    one, clean = blind.take(slice(i, i + 1)), blind.take(torch.from_numpy(np.flatnonzero(~hidden[1])[:1]))
    shown = [
        renderer.geometries[0]._visible(renderer.geometries[0].scenes(d, renderer.dice.pool, 160, 0.0), d, 160, 0.55)
        for d in (one, clean)
    ]
    assert [bool(x) for x in shown] == [False, True]


def test_no_camera_is_within_an_arm(renderer):
    recipe = Recipe(view=ViewRecipe(webcam=0, egocentric=1, edge_on=0, any=0))
    draws = dataclasses.replace(renderer.dice, recipe=recipe).draw(0, 1, 600)
    held = np.stack([holds_camera(arm.vertices) for arm in props(draws)[:2]], 1) & draws.present_BM[:, [ARM, SLEEVE]].numpy()
    assert not held.any()


def test_a_second_hand_has_its_arm_at_its_wrist(renderer):
    recipe = Recipe(clutter=ClutterRecipe(held_chance=0, before_chance=0, second_hand_chance=1))
    draws = dataclasses.replace(renderer.dice, recipe=recipe).draw(0, 5, 12)
    geometry = renderer.geometries[0]
    vertices, of = geometry.scenes(draws, renderer.dice.pool, 160, 0.0).vertices_BV3, geometry.layout.surface_V
    ends = geometry.model.template_V3[:, 0] > geometry.model.template_V3[:, 0].max() - 0.004
    wrist = vertices[:, of == SECOND][:, ends].mean(1)
    start = vertices[:, of == SECOND_ARM][:, :21].mean(1)
    there = vertices[:, of == SECOND].std(1).amax(1) > 0.01
    assert there.sum() > 4
    assert (wrist - start)[there].norm(dim=-1).max() < 0.035
    assert (draws.present_BM[:, SECOND] == draws.present_BM[:, SECOND_ARM]).all()


def test_heads_stand_upright_in_the_world(renderer):
    draws = renderer.dice.draw(0, 3, 200)
    rows = props(draws)[4].vertices.reshape(200, 14, -1, 3).mean(2)
    up = rows[:, -1] - rows[:, 0]
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    assert (up * -draws.R_crop_from_world_B33.numpy()[:, :, 1]).sum(1).mean() > 0.8


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
