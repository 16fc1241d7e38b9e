"""What the loaders of published sets make of one label, against numbers derived from the published formats, not by the code."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.data.benchmarks.dexter_object import in_colour_camera
from training.data.benchmarks.orders import RHD_ORDER, STB_ORDER
from training.data.benchmarks.stb import in_view

LABEL_MM = np.array([10.0, 20.0, 500.0])


def test_rhd_has_each_finger_from_its_tip_to_the_palm() -> None:
    assert list(RHD_ORDER) == [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]


def test_stb_has_the_fingers_from_little_to_thumb() -> None:
    assert list(STB_ORDER) == [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("view", "seen_mm"),
    [
        ("BB_left", (10.0, 20.0, 500.0)),
        # The right camera stands 120.054 mm to the right of the left one.
        ("BB_right", (-110.054, 20.0, 500.0)),
        # Labels are in the depth camera's frame; the published rotation and translation lead there from the colour camera's.
        ("SK_color", (40.0950, 23.0048, 500.6739)),
    ],
)
def test_stb_labels_are_seen_by_each_camera(view, seen_mm) -> None:
    joints = in_view(np.tile(LABEL_MM, (21, 1)), view)
    np.testing.assert_allclose(joints, np.tile(seen_mm, (21, 1)) * 1e-3, atol=1e-7)


def test_stbs_turn_is_undone_as_opencv_writes_it() -> None:
    R, _ = cv2.Rodrigues(np.array([0.00531, -0.01196, 0.00301]))
    in_colour = R.T @ (LABEL_MM - [-24.0381, -0.4563, -1.2326])
    np.testing.assert_allclose(in_view(np.tile(LABEL_MM, (21, 1)), "SK_color")[5], in_colour * 1e-3, atol=1e-9)


def test_stbs_wrist_lies_behind_the_palms_centre_seen_from_the_ring_finger() -> None:
    labels = np.zeros((21, 3))
    labels[0], labels[5] = [0, 40, 500], [6, 0, 510]  # the palm's centre, and the ring finger's base
    np.testing.assert_allclose(in_view(labels, "BB_left")[0], [-0.006, 0.080, 0.490], atol=1e-12)


def test_dexters_labels_are_negated_and_brought_to_the_colour_camera() -> None:
    joints = in_colour_camera(np.tile(LABEL_MM, (5, 1)))
    np.testing.assert_allclose(joints, np.tile([17.0303, -25.7684, 495.1539], (5, 1)) * 1e-3, atol=1e-7)
