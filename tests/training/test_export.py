from __future__ import annotations

import numpy as np
import pytest
import torch

from handviz.errors import ModelFileError
from handviz.models.confidence import Calibration, calibration_from, calibration_note, heat_spread
from training.export import fit_calibration


def test_calibration_finds_the_curve_that_made_the_data():
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.5, 15, 20_000)
    truth = Calibration(offset=3.0, slope=2.0)
    right = rng.random(20_000) < truth.chance(spread)
    found = fit_calibration(spread, right)
    assert (found.offset, found.slope) == (pytest.approx(3.0, abs=0.15), pytest.approx(2.0, abs=0.1))
    assert calibration_from(calibration_note(found)) == found
    assert calibration_from({}) == Calibration()
    for damaged in ("{", "[1]", '{"offset": "far"}', '{"offset": 1.0, "more": 2.0}'):
        with pytest.raises(ModelFileError, match="calibration"):
            calibration_from({"calibration": damaged})


def test_spread_of_known_heatmaps():
    heat = np.zeros((1, 2, 32, 32), np.float32)
    heat[0, 0, 5, 7] = 1.0
    heat[0, 1, 5, 7] = heat[0, 1, 5, 11] = 0.5
    # Two peaks four cells apart: standard deviation two cells, eight pixels of a 128 px crop.
    np.testing.assert_allclose(heat_spread(heat), [[0.0, 8.0]], atol=1e-5)
    chance = Calibration().chance(heat_spread(heat))
    np.testing.assert_allclose(chance[0, 1], 1 / (1 + np.exp(2.5 * np.log(8) - 5)), rtol=1e-5)
    assert chance[0, 0] > 0.9 > chance[0, 1]


def test_arrays_and_tensors_are_as_sure_as_each_other():
    heat = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    heat /= heat.sum((2, 3), keepdims=True)
    arrays, tensors = heat_spread(heat), heat_spread(torch.from_numpy(heat))
    np.testing.assert_allclose(arrays, tensors.numpy(), rtol=1e-5)
    np.testing.assert_allclose(Calibration().chance(arrays), Calibration().chance(tensors).numpy(), rtol=1e-5)
