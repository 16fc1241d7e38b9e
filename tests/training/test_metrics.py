from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from training.metrics import (
    AUC_RANGES,
    Truth,
    auc,
    best_root_and_scale,
    errors_of,
    mean_over_joints,
    median_over_joints,
    pck,
    point_errors,
    procrustes_aligned,
    root_aligned,
)

RNG = np.random.default_rng(0)
HANDS = RNG.normal(0, 0.05, (6, 21, 3)) + [0, 0, 0.5]


def test_procrustes_undoes_a_similarity():
    R = Rotation.random(6, random_state=1).as_matrix()
    moved = 1.7 * HANDS @ R.transpose(0, 2, 1) + RNG.normal(size=(6, 1, 3))
    assert point_errors(procrustes_aligned(moved, HANDS), HANDS).max() < 1e-12


def test_procrustes_equals_scipys():
    noisy = HANDS + RNG.normal(0, 0.01, HANDS.shape)
    ours = ((procrustes_aligned(noisy, HANDS) - HANDS) ** 2).sum((1, 2))
    for mine, a, b in zip(ours, HANDS, noisy, strict=True):
        centred = a - a.mean(0)
        _, _, disparity = procrustes(a, b)  # of shapes scaled to unit norm, reflections allowed but not needed here
        assert mine == pytest.approx(disparity * (centred**2).sum(), rel=1e-6)


def test_procrustes_never_reflects():
    mirrored = HANDS * [-1, 1, 1]
    assert point_errors(procrustes_aligned(mirrored, HANDS), HANDS).mean() > 0.01


def test_root_alignment_removes_a_shift_only():
    assert point_errors(root_aligned(HANDS + 0.3, HANDS), HANDS).max() < 1e-12
    assert point_errors(root_aligned(HANDS * 1.1, HANDS), HANDS).max() > 1e-3


def test_best_root_and_scale_fits_valid_joints_without_rotation():
    valid = RNG.random((6, 21)) > 0.3
    truth = np.where(valid[..., None], 0.8 * HANDS + 0.1, np.nan)
    fitted = best_root_and_scale(HANDS, truth, valid)
    assert np.abs((fitted - truth)[valid]).max() < 1e-12
    turned = HANDS @ Rotation.from_euler("z", 30, degrees=True).as_matrix().T
    assert np.abs((best_root_and_scale(turned, truth, valid) - truth)[valid]).max() > 1e-3


def test_best_scale_turns_no_hand_over():
    truth, everyone = HANDS - HANDS.mean(1, keepdims=True), np.ones((6, 21), bool)
    assert point_errors(best_root_and_scale(-truth, truth, everyone), truth).mean() > 0.02


def test_auc_by_the_reference_formula():
    errors = RNG.gamma(2, 10, 500)
    for thresholds in AUC_RANGES.values():
        curve = np.array([np.mean(errors <= t) for t in thresholds])
        reference = trapezoid(curve, thresholds) / np.ptp(thresholds)
        assert auc(errors, thresholds) == pytest.approx(reference)


def test_the_two_20_50_differ_and_start_where_they_should():
    zimmermann, plain = AUC_RANGES["AUC 20-50 (Zimmermann)"], AUC_RANGES["AUC 20-50 (linspace)"]
    assert zimmermann[0] == pytest.approx(21.0526, abs=1e-3) and plain[0] == 20
    assert zimmermann[-1] == plain[-1] == 50
    assert len(zimmermann) == 12 and len(plain) == 15


def test_auc_limits():
    grid = AUC_RANGES["AUC 0-50"]
    assert auc(np.zeros(10), grid) == 1
    assert auc(np.full(10, 60.0), grid) == 0
    assert pck(np.array([1.0, np.nan, 3.0]), np.array([2.0]))[0] == 0.5


def test_a_joint_that_is_seldom_labelled_counts_as_much_as_the_others() -> None:
    errors = np.array([[1.0, np.nan, np.nan], [1.0, np.nan, np.nan], [1.0, 9.0, np.nan]])
    assert pck(errors, np.array([2.0]))[0] == 0.5
    assert mean_over_joints(errors) == 5.0
    for unknown in (np.full((2, 2), np.nan), np.zeros((0, 21)), np.zeros(0)):
        assert np.isnan(pck(unknown, np.array([2.0]))[0])


def test_summary_of_a_known_case():
    pixels = RNG.uniform(0, 128, (6, 21, 2))
    pixels[:, 0], pixels[:, 9] = [0, 0], [0, 50]
    valid = np.ones((6, 21), bool)
    valid[0, 3] = False
    truth = Truth(joints_m=HANDS, joints_px=pixels, valid=valid)
    line = errors_of(HANDS + [0.003, 0, 0.004], pixels + [3, 4], truth).summary()
    assert line["EPE mean mm"] == pytest.approx(5)
    assert line["MPJPE root-aligned mm"] == pytest.approx(0, abs=1e-9)
    assert line["PA-MPJPE mm"] == pytest.approx(0, abs=1e-9)
    assert line["2D px"] == pytest.approx(5)
    assert line["2D palm lengths"] == pytest.approx(0.1)
    assert line["AUC 0-100"] == pytest.approx(1 - 4.5 / 99)


def test_samples_without_3d_truth_count_in_2d_only():
    joints = HANDS.copy()
    joints[2:] = np.nan
    pixels = RNG.uniform(0, 128, (6, 21, 2))
    errors = errors_of(HANDS + 0.01, pixels + 1, Truth(joints_m=joints, joints_px=pixels, valid=np.ones((6, 21), bool)))
    assert np.isfinite(errors.px).all()
    assert np.isfinite(errors.epe_mm).all(1).tolist() == [True, True, False, False, False, False]


def test_what_is_measured_from_an_unknown_joint_is_unknown():
    """Labels of fingertips alone, the rest zeros: neither a root nor a palm to measure from."""
    tips = np.zeros((6, 21), bool)
    tips[:, [4, 8, 12, 16, 20]] = True
    pixels = RNG.uniform(0, 128, (6, 21, 2))
    errors = errors_of(HANDS + 0.01, pixels + [3, 4], Truth(joints_m=HANDS * tips[..., None], joints_px=pixels, valid=tips))
    assert np.isnan(errors.root_mm).all() and np.isnan(errors.palms).all()
    assert errors.px[tips] == pytest.approx(5) and np.isnan(errors.px[~tips]).all()
    assert errors.procrustes_mm[tips] == pytest.approx(0, abs=1e-9)


def test_the_median_is_taken_joint_by_joint():
    errors = np.array([[0.0, 10.0], [0.0, 20.0], [0.0, 90.0], [np.nan, np.nan]])
    assert median_over_joints(errors) == 10.0
    assert np.isnan(median_over_joints(np.full((2, 3), np.nan)))


def test_an_answer_that_is_no_number_is_a_miss():
    rng = np.random.default_rng(0)
    joints, pixels = rng.normal(size=(4, 21, 3)), rng.uniform(0, 256, (4, 21, 2))
    truth = Truth(joints_m=joints, joints_px=pixels, valid=np.ones((4, 21), bool))
    answer_m, answer_px = joints.copy(), pixels.copy()
    answer_m[0, 5], answer_px[1, 7] = np.nan, np.nan
    errors = errors_of(answer_m, answer_px, truth)
    for name in ("epe_mm", "root_mm", "procrustes_mm"):
        assert np.isinf(getattr(errors, name)[0]).all()
        np.testing.assert_allclose(getattr(errors, name)[1:], 0, atol=1e-6)
        assert pck(getattr(errors, name), np.array([50.0]))[0] == 0.75
    assert np.isinf(errors.px[1, 7]) and np.isinf(errors.palms[1, 7]) and np.isfinite(errors.px).sum() == 83
    assert errors.summary()["PA-MPJPE mm"] == np.inf
