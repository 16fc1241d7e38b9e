"""Made-up hands whose labels are off by known amounts, as the judge of pseudo-labels tells them."""

import re
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handviz.crop import CropSpec
from handviz.geometry.camera import project
from handviz.records import CropResult, HandJoints
from tests.training import judging
from tests.training.data.hands import SIZE, hand_sample
from training.answers import CROP_SIZE, Answers, labelled_crops, truth_of
from training.data.labelling.judge import Judge
from training.data.pack import pack_of, write_pack
from training.data.photo_crop import LabelledHand
from training.metrics import Truth

K = np.array([[500.0, 0, 127.5], [0, 500.0, 127.5], [0, 0, 1]])
RADIUS_M, DEPTH_M, BUMP_M = 0.05, 0.6, 0.008
ANGLES = 2 * np.pi * np.arange(20) / 20


@pytest.fixture(scope="module")
def judge():
    return judging.judge("judge_labels")


def ring() -> np.ndarray:
    """A joint in the middle of a circle of twenty that faces the camera: not a hand, but its alignment is known."""
    around = RADIUS_M * np.stack([np.cos(ANGLES), np.sin(ANGLES), 0 * ANGLES], -1)
    return np.concatenate([np.zeros((1, 3)), around]) + [0, 0, DEPTH_M]


def bumps() -> np.ndarray:
    """Depths (21,) that no shift, turn or scale of the ring takes away: two hills and two valleys."""
    return np.concatenate([[0.0], BUMP_M * np.cos(2 * ANGLES)])


def numbers(words: str) -> list[float]:
    """PA-MPJPE and its part along the line of sight in mm, and pixels."""
    return [float(n) for n in re.findall(r"(-?[0-9.]+) (?:mm|px)", words)]


def truth(count: int) -> Truth:
    joints = np.stack([ring()] * count)
    return Truth(joints_m=joints, joints_px=project(joints, K), valid=np.ones((count, 21), bool))


def label(joints_m: np.ndarray, joints_px: np.ndarray, *, doubtful: bool = False) -> LabelledHand:
    return LabelledHand(side="right", joints_px=joints_px, sigma_px=np.ones(21), joints_m=joints_m, doubtful=doubtful)


def along_rays(depths: np.ndarray) -> np.ndarray:
    """The ring's joints moved along their rays, so that they are seen where they were."""
    return ring() * (1 + depths[:, None] / DEPTH_M)


def test_what_an_alignment_takes_away_is_no_error(judge):
    moved = 1.3 * ring() @ Rotation.from_euler("xyz", [20, -30, 50], degrees=True).as_matrix().T + [0.1, -0.2, 0.3]
    assert numbers(judge.errors(moved[None], project(ring(), K)[None], truth(1), np.array([0]))) == [0, 0, 0]


def test_errors_are_those_that_were_made(judge):
    joints, pixels = ring() + bumps()[:, None] * [0, 0, 1], project(ring(), K) + [3, -4]
    told = numbers(judge.errors(joints[None], pixels[None], truth(3), np.array([1])))
    # Only the best scale changes, a little, because of the bumps of twenty joints on the circle.
    scale = 20 * RADIUS_M**2 / (20 * RADIUS_M**2 + (bumps() ** 2).sum())
    depth = 1000 * scale * np.abs(bumps()).mean()
    whole = 1000 * np.hypot((1 - scale) * RADIUS_M, scale * bumps())[1:].sum() / 21
    assert told == [pytest.approx(whole, abs=0.051), pytest.approx(depth, abs=0.051), 5.0]


def test_each_kind_is_told_of_its_own_hands(judge, capsys):
    """Labels are 10, 20 ... pixels off, the estimator 1, 2 ... and exact in space, so the mean is half as far off as labels."""
    exact = truth(5)
    pixels = [exact.joints_px[i] + [0, 10.0 * (i + 1)] for i in range(5)]
    labels = [label(ring(), px, doubtful=i in (1, 4)) for i, px in enumerate(pixels)]
    labels[2] = None
    judge.report(
        labels,
        exact.joints_m,
        exact.joints_px + (1.0 + np.arange(5))[:, None, None] * [1, 0],
        exact,
        np.stack([K] * 5),
        "mine",
    )
    lines = capsys.readouterr().out.splitlines()
    heads, rows = [line for line in lines if line[0] != " "], [line.split()[0] for line in lines if line[0] == " "]
    assert heads == ["sure: 2 of 5 hands", "doubtful: 2 of 5 hands", "no label: 1 of 5 hands"]
    assert rows == ["mine", "label", "both"] * 2 + ["mine"]
    px = [numbers(line)[2] for line in lines if line[0] == " "]
    assert px == [2.5, 25.0, 12.5, 3.5, 35.0, 17.5, 3.0]


def test_errors_of_opposite_sign_cancel_in_the_mean(judge, capsys):
    exact = truth(2)
    labels = [label(along_rays(bumps()), exact.joints_px[i]) for i in range(2)]
    estimated = np.stack([along_rays(-bumps())] * 2)
    judge.report(labels, estimated, exact.joints_px, exact, np.stack([K] * 2), "mine")
    mine, labelled, both = (numbers(line) for line in capsys.readouterr().out.splitlines() if line[0] == " ")
    assert mine[1] == pytest.approx(labelled[1], abs=0.2) and mine[1] > 4
    assert both[0] <= 0.2 and both[1] <= 0.2 and both[2] == 0.0


class Knowing:
    """A labeller that knows each hand by its picture's grey, and returns it some pixels off, elsewhere in space."""

    crop_spec = CropSpec(size=64, expand=1.5)

    def __init__(self, exact: Truth, greys: list[int], off_px: np.ndarray, unseen: int) -> None:
        self._exact, self._greys, self._off_px, self._unseen = exact, greys, off_px, unseen

    def estimate(self, crops, _before):
        return [self._answer(int(crop.rgb[32, 32, 0])) for crop in crops]

    def _answer(self, grey: int) -> CropResult:
        hand = int(np.abs(np.array(self._greys) - grey).argmin())
        joints = HandJoints(
            joints_camera_m=self._exact.joints_m[hand] + [0.3, -0.2, 0.5],
            joints_px=self._exact.joints_px[hand] + self._off_px,
            confidence=np.ones(21),
        )
        return CropResult(score=0.1 if hand == self._unseen else 0.9, joints=joints)


class Closed:
    def close(self) -> None:
        pass


def test_labels_are_in_the_crops_that_the_truth_is_in(judge, tmp_path, monkeypatch, capsys):
    greys = [40, 90, 140, 190]
    grey_pictures = [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in greys]
    pack = pack_of([hand_sample(seed, rgb=rgb) for seed, rgb in enumerate(grey_pictures)])
    write_pack(pack, tmp_path / "a.safetensors")
    exact = truth_of(labelled_crops(pack, CROP_SIZE))
    labeller = Judge(detector=Closed(), estimator=Knowing(exact, greys, np.array([3.0, 4.0]), unseen=2))
    monkeypatch.setattr(judge, "make_judge", lambda: labeller)
    monkeypatch.setattr(judge, "open_method", lambda name: None)
    told = Answers(joints_m=exact.joints_m, joints_px=exact.joints_px + [0, 2.0], depth=exact.joints_m[..., 2], ms=1.0)
    monkeypatch.setattr(judge, "answer", lambda method, hands: told)
    monkeypatch.setattr(sys, "argv", ["judge_labels.py", str(tmp_path / "a.safetensors"), "--estimator", "mine"])
    assert judge.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[4], lines[5]] == ["sure: 3 of 4 hands", "doubtful: 0 of 4 hands", "no label: 1 of 4 hands"]
    mine, labelled, both, alone = (numbers(lines[i]) for i in (1, 2, 3, 6))
    # A shift in the picture turns the entire hand a little; the shape stays.
    assert mine[::2] == [0.0, 2.0] and alone[::2] == [0.0, 2.0]
    assert labelled[0] < 1.0 and labelled[2] == 5.0 and both[2] == 2.5
