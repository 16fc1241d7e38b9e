from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handviz.postprocess.one_euro import OneEuro, OneEuroConfig, config_for

CONFIG = OneEuroConfig(min_cutoff_hz=1.5, beta=40.0)


def test_noise_at_rest_shrinks_and_movement_does_not_lag_far() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(120) / 30
    truth = np.where(t < 2, 0.0, (t - 2) * 0.5)
    noisy = truth + rng.normal(0, 0.002, 120)
    smooth = OneEuro(CONFIG)
    out = np.array([smooth(np.array([[x]]), float(s))[0, 0] for x, s in zip(noisy, t, strict=True)])
    assert out[20:60].std() < 0.6 * noisy[20:60].std()
    assert np.abs(out[90:] - truth[90:]).max() < 0.025


def test_starts_anew_after_a_gap_and_after_missing_values() -> None:
    smooth = OneEuro(CONFIG)
    smooth(np.array([[0.0]]), 0.0)
    assert smooth(np.array([[1.0]]), 5.0)[0, 0] == 1.0
    assert np.isnan(smooth(np.array([[np.nan]]), 5.03)[0, 0])
    assert smooth(np.array([[2.0]]), 5.06)[0, 0] == 2.0


def test_time_that_stands_still_changes_nothing() -> None:
    smooth = OneEuro(CONFIG)
    smooth(np.array([[0.0]]), 1.0)
    assert smooth(np.array([[3.0]]), 1.0)[0, 0] == 3.0


def test_stronger_means_steadier() -> None:
    cutoffs = [config_for(strength, 0.09, 10.0).min_cutoff_hz for strength in (0, 0.5, 1)]
    assert cutoffs == sorted(cutoffs, reverse=True)


def moved(config: OneEuroConfig, velocity_D: list[float], seconds: float = 0.5) -> float:
    """Return how far a steadily moving point lags behind after a while."""
    smooth, step = OneEuro(config), np.array([velocity_D]) / 30
    behind = [np.linalg.norm(smooth(i * step, i / 30) - i * step) for i in range(round(30 * seconds))]
    return float(behind[-1])


def test_a_lag_is_the_same_in_every_direction() -> None:
    """A filter that treated each coordinate by itself would lag further along a diagonal."""
    config = config_for(0.5, 60.0, 12.0)
    assert moved(config, [85.0, 85.0]) == pytest.approx(moved(config, [np.hypot(85.0, 85.0), 0.0]), rel=1e-6)


def test_points_that_hardly_move_follow_those_that_all_move() -> None:
    """A hand's points move together: where the hand goes, none stays behind because it jittered back."""
    alone, together = OneEuro(CONFIG), OneEuro(CONFIG)
    for i in range(15):
        slow = np.array([[0.002 * i]])
        last = alone(slow, i / 30), together(np.concatenate([slow, np.full((20, 1), 0.02 * i)]), i / 30)
    assert abs(last[1][0, 0] - slow[0, 0]) < 0.5 * abs(last[0][0, 0] - slow[0, 0])


def test_trembling_opens_nothing() -> None:
    config = config_for(0.5, 60.0, 12.0)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.2, (90, 21, 2))  # a third of a hundredth of a palm
    filters = OneEuro(config), OneEuro(replace(config, beta=0.0))
    held, closed = (np.array([smooth(value, i / 30) for i, value in enumerate(noise)])[30:].std() for smooth in filters)
    assert held < 1.1 * closed
