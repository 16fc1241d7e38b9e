"""Formulas shared by both renderers give the same result for one scene and for many."""

import numpy as np
import torch

from handviz.hand.skeleton import FINGERTIPS, MIDDLE_MCP, WRIST
from handviz.render.light import lamp_colour, room_light
from training.data.synth import camera_faults, clutter
from training.data.synth.batched import faults, geometry, places
from training.data.synth.camera_faults import with_noise
from training.data.synth.props import grip


def test_a_grip_lies_between_palm_and_fingertips():
    joints = np.random.default_rng(0).normal(0, 0.05, (2, 21, 3))
    joints[0] = 0.0
    joints[0, list(FINGERTIPS)] = [0.1, 0, 0]
    joints[0, [WRIST, MIDDLE_MCP]] = [[0, 0, 0.1], [0, 0, 0.3]]
    np.testing.assert_allclose(grip(joints)[0], [0.06, -0.012, 0.08])
    np.testing.assert_array_equal(grip(joints)[1], grip(joints[1]))
    assert clutter.grip is geometry.grip


def test_noise_is_stronger_where_it_is_bright():
    picture = np.array([-0.5, 0.0, 0.25, 1.0, 1.5], np.float32).reshape(1, 1, 5)
    noisy = with_noise(picture, 0.1, np.ones_like(picture))
    np.testing.assert_allclose((noisy - picture).ravel(), 0.1 * np.array([0.5, 0.5, 1.0, 1.5, 1.5]), atol=1e-6)
    as_tensor = with_noise(torch.from_numpy(picture), torch.full((1, 1, 1), 0.1), torch.ones(1, 1, 5))
    np.testing.assert_array_equal(as_tensor.numpy(), noisy)
    assert camera_faults.with_noise is faults.with_noise and camera_faults.in_spots_of_two is faults.in_spots_of_two


def test_a_warm_lamp_is_yellow():
    np.testing.assert_allclose(lamp_colour(0.0), [1, 1, 1])
    np.testing.assert_allclose(lamp_colour(np.array([1.0, -1.0])), [[1.25, 1, 0.65], [0.75, 1, 1.35]])
    np.testing.assert_allclose(room_light(np.array([0, 0, 1.0]), sun=2.0, warmth=0.4).sun_rgb, 2 * lamp_colour(0.4))
    assert places.lamp_colour is lamp_colour
