from __future__ import annotations

import numpy as np
import pytest

from handviz.hand.skeleton import palm_length
from handviz.postprocess.one_euro import LEAP_PALMS, HandSmoother, OneEuro, OneEuroConfig, config_for
from handviz.records import HandEstimate, HandJoints

CONFIG = OneEuroConfig(min_cutoff_hz=1.5, beta=40.0)


def hand(joints_px: np.ndarray, joints_m: np.ndarray) -> HandEstimate:
    joints = HandJoints(joints_camera_m=joints_m, joints_px=joints_px, confidence=np.ones(21))
    return HandEstimate(track_id=0, side="right", score=1.0, box_xyxy_px=np.zeros(4), joints=joints)


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


def test_hand_is_smoothed_in_pixels_and_metres_and_a_cut_starts_anew() -> None:
    rng = np.random.default_rng(1)
    rest_m, rest_px = rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.5], rng.uniform(100, 200, (21, 2))
    smoother = HandSmoother(0.5, 60.0)
    raw, out = [], []
    for i in range(40):
        noise_m, noise_px = rng.normal(0, 0.003, (21, 3)), rng.normal(0, 1.5, (21, 2))
        given = hand(rest_px + noise_px, rest_m + noise_m)
        raw.append(given.joints)
        out.append(smoother(given, i / 30).joints)
    for name in ("joints_px", "joints_camera_m"):
        before, after = (np.std([getattr(j, name) for j in series[10:]], axis=0).mean() for series in (raw, out))
        assert after < 0.6 * before
    elsewhere = hand(rest_px + 300, rest_m + [0.3, 0, 0])
    jumped = smoother(elsewhere, 40 / 30)
    np.testing.assert_allclose(jumped.joints.joints_px, elsewhere.joints.joints_px)
    np.testing.assert_allclose(jumped.joints.joints_camera_m, elsewhere.joints.joints_camera_m)
    assert jumped.stage == "smoothed"


@pytest.mark.parametrize(("palms", "anew"), [(0.9 * LEAP_PALMS, False), (1.1 * LEAP_PALMS, True)])
def test_a_leap_is_told_from_a_movement(palms: float, anew: bool) -> None:
    rng = np.random.default_rng(2)
    rest_m, rest_px = rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.5], rng.uniform(100, 200, (21, 2))
    smoother = HandSmoother(0.5, float(palm_length(rest_px)))
    for i in range(5):
        smoother(hand(rest_px, rest_m), i / 30)
    moved = rest_px + [palms * float(palm_length(rest_px)), 0]
    answer = smoother(hand(moved, rest_m), 5 / 30).joints.joints_px
    assert bool(np.allclose(answer, moved)) == anew
