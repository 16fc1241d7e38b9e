"""Lights and backgrounds of many scenes at once."""

import dataclasses

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from handviz.render.light import Light, panorama_background, room_light
from tests.training.data.batched.scenery import panorama
from training.data.synth.batched.places import PANORAMA, PlaceDice, background_bank, paint, stacked
from training.data.synth.recipe import BackgroundRecipe, LightRecipe, Recipe
from training.data.synth.surroundings import Panorama, cut_photo


def test_lights_of_many_scenes_are_each_the_light_of_one():
    rng = np.random.default_rng(0)
    singles = [panorama(0).light, room_light(np.array([0.2, -0.5, -0.9]))]
    turns = np.stack([cv2.Rodrigues(rng.normal(0, 1, 3))[0] for _ in singles])
    many = stacked(singles).exposed(np.array([0.5, 0.2])).turned(turns)
    for i, light in enumerate(singles):
        alone = light.exposed((0.5, 0.2)[i]).turned(turns[i])
        for name in ("sh_93", "sun_direction", "sun_rgb"):
            np.testing.assert_allclose(getattr(many, name)[i], getattr(alone, name), atol=1e-9)


def test_light_is_the_worlds_however_the_crop_is_turned(renderer):
    turn = cv2.Rodrigues(np.array([0.4, -0.3, 2.0]))[0]
    still, K, gain = np.tile(np.eye(3), (40, 1, 1)), np.tile(np.diag([300.0, 300.0, 1.0]), (40, 1, 1)), np.ones(40)
    for recipe in (renderer.dice.recipe.light, LightRecipe(flat_light_chance=1.0), LightRecipe(key_chance=1.0)):
        places = dataclasses.replace(renderer.dice.places, light=recipe)
        level, turned = (places.draw(np.random.default_rng(0), R, K, gain)[0] for R in (still, turn @ still))
        back = Light(
            **{
                name: x.double().numpy()
                for name, x in zip(
                    ("sh_93", "sun_direction", "sun_rgb"),
                    (turned.sh_B93, turned.sun_direction_B3, turned.sun_rgb_B3),
                    strict=True,
                )
            }
        ).turned(turn.T)
        np.testing.assert_allclose(back.sun_direction, level.sun_direction_B3, atol=1e-5)
        # Brightness is as the camera sees it, so it may differ; the harmonics' directions may not.
        ours, wanted = (x / np.linalg.norm(x, axis=(1, 2), keepdims=True) for x in (back.sh_93, level.sh_B93.numpy()))
        np.testing.assert_allclose(ours, wanted, atol=1e-4)


def test_panoramas_are_seen_as_the_cpu_renderer_sees_them(renderer):
    draws = renderer.dice.draw(0, 0, 30).backgrounds
    draws = dataclasses.replace(draws.take(draws.kind_B == PANORAMA), blur_B=torch.zeros(1), gain_B=torch.ones(1))
    plain = dataclasses.replace(draws, blur_B=torch.zeros(len(draws.kind_B)), gain_B=torch.ones(len(draws.kind_B)))
    pictures = paint(plain, renderer.backgrounds).numpy()
    for i, world_from_pixel in enumerate(plain.place_from_pixel_B33.double().numpy()):
        # Any K and R with this product will do.
        place = renderer.backgrounds.panoramas_PHW3[plain.picture_B[i]].numpy()
        expected = panorama_background(place, np.linalg.inv(world_from_pixel), 160, 160, np.eye(3))
        assert np.abs(pictures[i].astype(int) - expected.astype(int)).mean() < 1.0


def test_photographs_are_cut_as_the_cpu_renderer_cuts_them():
    rng, size, count = np.random.default_rng(1), 48, 12
    photographs = [cv2.GaussianBlur(rng.integers(0, 255, (90, 90, 3), dtype=np.uint8), (0, 0), 3) for _ in range(3)]
    recipe = BackgroundRecipe(photo_weight=1e9, gain=(1.0, 1.0), blur_chance=0.0)
    dice = PlaceDice(
        panorama_lights=None, light=LightRecipe(), background=recipe, size=size, photographs=len(photographs), photo_side=90
    )
    R = Rotation.random(count, random_state=rng).as_matrix()
    _, drawn = dice.draw(rng, R, np.tile(np.diag([60.0, 60.0, 1.0]), (count, 1, 1)), np.ones(count))
    bank = background_bank(rng, [], recipe, size, photographs)
    for i, picture in enumerate(paint(drawn, bank).numpy()):
        expected = cut_photo(photographs[int(drawn.picture_B[i])], drawn.place_from_pixel_B33[i].double().numpy(), size)
        assert np.abs(picture.astype(int) - expected.astype(int)).max() <= 2


def test_backgrounds_of_any_size_are_taken():
    bank = background_bank(
        np.random.default_rng(0),
        [panorama(0), Panorama(rgb=np.zeros((30, 60, 3), np.uint8), light=panorama(0).light)],
        Recipe().background,
        32,
    )
    assert bank.panoramas_PHW3.shape == (2, 64, 128, 3)
