"""The bundled clip and its truth agree with the default hand, and MediaPipe sees the hand in it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import handviz
from handviz.detect.mediapipe_detector import MediaPipeDetector
from handviz.fit.rig import rig_of
from handviz.geometry.camera import project
from handviz.hand.limits import check_pose
from handviz.hand.model import load_hand_model
from handviz.records import HandParams

FOLDER = Path(handviz.__file__).parent / "assets" / "clip"


@pytest.fixture(scope="module")
def truth():
    with np.load(FOLDER / "demo.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def tenth_pictures():
    """Every tenth picture, and how many there are; all of them would be a quarter of a gigabyte."""
    video = cv2.VideoCapture(str(FOLDER / "demo.mp4"))
    frames, number = [], 0
    while video.grab():
        if number % 10 == 0:
            frames.append(cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB))
        number += 1
    return frames, number


def test_ten_seconds_at_thirty_a_second_in_three_megabytes(tenth_pictures, truth):
    pictures, number = tenth_pictures
    assert (FOLDER / "demo.mp4").stat().st_size < 3e6
    assert number == len(truth["t_s"]) == 300
    assert pictures[0].shape == (480, 640, 3)
    assert np.allclose(np.diff(truth["t_s"]), 1 / 30)


# The clip is rebuilt with scripts/build_clip.py when the default hand changes.
def test_parameters_give_the_joints(truth):
    rig = rig_of(load_hand_model())
    for i in range(0, 300, 50):
        params = HandParams(
            pose=truth["pose"][i],
            shape=truth["shape"],
            root_rotation=truth["root_rotation"][i],
            translation_m=truth["translation_m"][i],
        )
        assert np.allclose(rig.mesh(params)[1], truth["joints_camera_m"][i], atol=1e-4)
        assert np.allclose(project(truth["joints_camera_m"][i], truth["K"]), truth["joints_px"][i], atol=0.1)


def test_the_motion_is_possible_and_smooth(truth):
    # The small tremor may leave a range by a degree or two.
    assert all(check_pose(pose.astype(float), tolerance_deg=5) == [] for pose in truth["pose"])
    speed = np.linalg.norm(np.diff(truth["joints_camera_m"], axis=0), axis=-1) * 30
    assert speed.max() < 2.0


def test_mediapipe_finds_the_right_hand_where_it_is(tenth_pictures, truth):
    detector = MediaPipeDetector(1)
    found = [(10 * i, detector.detect(picture)) for i, picture in enumerate(tenth_pictures[0])]
    detector.close()
    hands = [(i, answer[0]) for i, answer in found if answer]
    assert len(hands) >= 0.95 * len(found)
    assert sum(hand.side == "right" for _, hand in hands) >= 0.9 * len(hands)
    errors = [np.linalg.norm(hand.joints_px - truth["joints_px"][i], axis=-1).mean() for i, hand in hands]
    assert np.median(errors) < 12
