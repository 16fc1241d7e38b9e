from __future__ import annotations

import numpy as np

from handviz.postprocess.one_euro import OneEuro, OneEuroConfig, config_for

CONFIG = OneEuroConfig(min_cutoff_hz=1.5, beta=40.0)


def test_noise_at_rest_shrinks_and_movement_does_not_lag_far() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(120) / 30
    truth = np.where(t < 2, 0.0, (t - 2) * 0.5)
    noisy = truth + rng.normal(0, 0.002, 120)
    smooth = OneEuro(CONFIG)
    out = np.array([smooth(np.array([x]), float(s))[0] for x, s in zip(noisy, t, strict=True)])
    assert out[20:60].std() < 0.6 * noisy[20:60].std()
    assert np.abs(out[90:] - truth[90:]).max() < 0.025


def test_starts_anew_after_a_gap_and_after_missing_values() -> None:
    smooth = OneEuro(CONFIG)
    smooth(np.array([0.0]), 0.0)
    assert smooth(np.array([1.0]), 5.0)[0] == 1.0
    assert np.isnan(smooth(np.array([np.nan]), 5.03)[0])
    assert smooth(np.array([2.0]), 5.06)[0] == 2.0


def test_time_that_stands_still_changes_nothing() -> None:
    smooth = OneEuro(CONFIG)
    smooth(np.array([0.0]), 1.0)
    assert smooth(np.array([3.0]), 1.0)[0] == 3.0


def test_stronger_means_steadier() -> None:
    cutoffs = [config_for(strength, 0.09).min_cutoff_hz for strength in (0, 0.5, 1)]
    assert cutoffs == sorted(cutoffs, reverse=True)
