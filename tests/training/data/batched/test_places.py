"""Lights and backgrounds of many scenes at once."""

import dataclasses

import cv2
import numpy as np
import torch

from handviz.render.light import panorama_background, room_light
from tests.training.data.batched.scenery import panorama
from training.data.synth.batched.places import PANORAMA, background_bank, paint, stacked
from training.data.synth.recipe import Recipe
from training.data.synth.surroundings import Panorama


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


def test_backgrounds_of_any_size_are_taken():
    bank = background_bank(
        np.random.default_rng(0),
        [panorama(0), Panorama(rgb=np.zeros((30, 60, 3), np.uint8), light=panorama(0).light)],
        Recipe().background,
        32,
    )
    assert bank.panoramas_PHW3.shape == (2, 64, 128, 3)
