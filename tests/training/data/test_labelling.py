from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.crop import CropSpec, image_to_crop, joints_from_crop
from handviz.errors import SourceError
from handviz.geometry.camera import NEAREST_M, camera_from_fov, project
from handviz.hand.mirror import mirror_points
from handviz.records import CropResult, HandDetection
from tests.training.data.hands import flat_hand
from training.data.labelling.command import label
from training.data.labelling.consistency import VARIANTS, ConsistencyLimits, camera_for_hand, label_hand, placed_in
from training.data.labelling.folder import label_folders, pictures_in
from training.data.labelling.judge import Judge
from training.data.labelling.negatives import negative_samples
from training.data.pack import read_pack
from training.data.photo_crop import DOUBTFUL, cut_sample

CAMERA = camera_from_fov(640, 480)
LIMITS = ConsistencyLimits()
PICTURE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)


class TruthTeller:
    """Knows the hand in the full camera, with new errors of ``noise`` pixels and ``noise_m`` metres in each crop."""

    name, device, crop_spec = "fake", "cpu", CropSpec(size=64, expand=1.5)

    def __init__(self, joints_m, noise=0.0, noise_m=0.0, score=1.0, empty=False):
        self.joints_m, self.noise, self.noise_m, self.score, self.empty = joints_m, noise, noise_m, score, empty
        self.rng = np.random.default_rng(0)
        self.seen_sides = []

    def estimate(self, crops, track_ids):
        (crop,) = crops
        self.seen_sides.append(crop.side)
        joints_px = project(self.joints_m, CAMERA.K) + self.rng.normal(0, self.noise, (21, 2))
        crop_px = image_to_crop(joints_px, crop.H_crop_from_image)
        crop_m = self.joints_m @ crop.Q_crop_from_camera.T + self.rng.normal(0, self.noise_m, (21, 3))
        return [CropResult(score=self.score, joints=joints_from_crop(crop, crop_m, crop_px, np.ones(21)))]

    def forget(self, track_id):
        pass


def detection(joints_m, side="right", score=0.95):
    joints = project(joints_m, CAMERA.K)
    return HandDetection(side=side, score=score, joints_px=joints)


@pytest.mark.parametrize("side", ["left", "right"])
def test_agreement_gives_the_mean_and_the_spread(side):
    truth = flat_hand() if side == "right" else mirror_points(flat_hand())
    judge = TruthTeller(truth, noise=1.0)
    hand = label_hand(PICTURE, CAMERA, detection(truth, side), judge, LIMITS)
    assert hand.side == side
    np.testing.assert_allclose(hand.joints_px, project(truth, CAMERA.K), atol=2.5)
    assert 0.5 < hand.sigma_px.mean() < 2.0
    np.testing.assert_allclose(hand.joints_m - hand.joints_m[9], truth - truth[9], atol=0.012)
    np.testing.assert_allclose(project(hand.joints_m, CAMERA.K), hand.joints_px, atol=1e-6)
    assert set(judge.seen_sides) == {"left", "right"} and len(judge.seen_sides) == len(VARIANTS) + 1


@pytest.mark.parametrize("fault", [{"noise": 12.0}, {"noise_m": 0.03}, {"score": 0.3}])
def test_disagreement_is_left_out(fault):
    assert label_hand(PICTURE, CAMERA, detection(flat_hand()), TruthTeller(flat_hand(), **fault), LIMITS) is None


def test_an_unsure_side_or_a_tiny_hand_is_left_out():
    assert label_hand(PICTURE, CAMERA, detection(flat_hand(), score=0.4), TruthTeller(flat_hand()), LIMITS) is None
    far = flat_hand(8.0)
    assert label_hand(PICTURE, CAMERA, detection(far), TruthTeller(far), LIMITS) is None


class SometimesWrong(TruthTeller):
    """Right except in some of its looks, which put the hand far off, each elsewhere."""

    def __init__(self, joints_m, wrong):
        super().__init__(joints_m)
        self.wrong, self.looks = wrong, -1

    def estimate(self, crops, track_ids):
        (result,) = super().estimate(crops, track_ids)
        self.looks += 1
        if self.looks not in self.wrong:
            return [result]
        return [replace(result, joints=replace(result.joints, joints_px=result.joints.joints_px + 60.0 * self.looks))]


@pytest.mark.parametrize("wrong", [(), (2,), (1, 4)])
def test_what_most_looks_say_is_a_doubtful_label(wrong):
    truth = flat_hand()
    hand = label_hand(PICTURE, CAMERA, detection(truth), SometimesWrong(truth, wrong), LIMITS)
    assert hand.doubtful == bool(wrong)
    np.testing.assert_allclose(hand.joints_px, project(truth, CAMERA.K), atol=1e-3)
    extent = np.ptp(hand.joints_px, axis=0).max()
    assert (hand.sigma_px >= LIMITS.doubtful_sigma * extent - 1e-6).all() == bool(wrong)
    assert label_hand(PICTURE, CAMERA, detection(truth), SometimesWrong(truth, (1, 2, 3, 4)), LIMITS) is None


def test_an_unsure_side_makes_a_label_doubtful():
    assert label_hand(PICTURE, CAMERA, detection(flat_hand(), score=0.6), TruthTeller(flat_hand()), LIMITS).doubtful


def test_a_picture_of_nothing_but_a_hand_gets_a_narrower_lens():
    near = flat_hand(0.2)
    hand = label_hand(PICTURE, CAMERA, detection(near), TruthTeller(near), LIMITS)
    camera = camera_for_hand(640, 480, hand)
    placed = placed_in(camera, hand)
    assert camera.K[0, 0] > CAMERA.K[0, 0]
    assert placed.joints_m[:, 2].mean() == pytest.approx(NEAREST_M, rel=0.25)
    np.testing.assert_allclose(project(placed.joints_m, camera.K), hand.joints_px, atol=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_stored_samples_show_right_hands_with_their_labels(side):
    truth = flat_hand() if side == "right" else mirror_points(flat_hand())
    hand = label_hand(PICTURE, CAMERA, detection(truth, side), TruthTeller(truth), LIMITS)
    sample = cut_sample(PICTURE, CAMERA, hand, source="s", name="n", split_key="k")
    np.testing.assert_allclose(project(sample.joints_m, sample.K), sample.joints_px, atol=1e-6)
    # Palm to the camera, fingers up: a right hand's thumb is on the right.
    assert sample.joints_px[4, 0] > sample.joints_px[20, 0] and sample.joints_px[12, 1] < sample.joints_px[0, 1]
    assert sample.rgb.shape == (160, 160, 3)


class FakeDetector:
    def __init__(self, hands):
        self.hands = hands

    def detect(self, rgb):
        return self.hands

    detect_thoroughly = detect


@pytest.fixture
def judged(monkeypatch):
    """MediaPipe replaced by one that finds the same hand in every picture."""
    judge = Judge(detector=FakeDetector([detection(flat_hand())]), estimator=TruthTeller(flat_hand()))
    monkeypatch.setattr("training.data.labelling.folder.make_judge", lambda: judge)
    return judge


def photographs(folder: Path, names):
    folder.mkdir()
    for name in names:
        cv2.imwrite(str(folder / name), PICTURE)
    return folder


def test_folders_become_packs_split_by_room(tmp_path, judged):
    folder = photographs(tmp_path / "webcam_hands", ["2_pic1.jpg", "2_pic2.jpg", "1528664299.56_pic1.jpg"])
    (folder / "broken_pic1.jpg").write_bytes(b"no picture")
    report = label([folder], tmp_path / "out", workers=1)
    assert report["webcam_hands"] == Counter(
        {"pictures": 3, "hands found": 3, "hands kept": 3, "doubtful hands": 0, "unreadable picture": 1, "negatives": 0}
    )
    train, held_out = (read_pack(tmp_path / "out" / f"{name}.safetensors") for name in ("train", "heldout"))
    assert set(train.names.split_key) == {"2"} and set(held_out.names.split_key) == {"1528664299.56"}
    assert train.has_joints_m_N.all() and (train.sigma_px_NJ >= 0).all()


def test_doubtful_hands_are_trained_on_and_held_out_apart(tmp_path, judged):
    judged.detector.hands = [detection(flat_hand(), score=0.6)]
    folder = photographs(tmp_path / "webcam_hands", ["2_pic1.jpg", "1528664299.56_pic1.jpg"])
    assert label([folder], tmp_path / "out", workers=1)["webcam_hands"]["doubtful hands"] == 2
    train, held_out = (read_pack(tmp_path / "out" / f"{name}.safetensors") for name in ("train", "heldout-doubtful"))
    assert train.names.view == held_out.names.view == (DOUBTFUL,)
    assert not (tmp_path / "out" / "heldout.safetensors").exists()


def test_crops_without_a_hand_keep_away_from_hands(judged):
    judged.estimator.score = 0.0
    hands = [detection(flat_hand())]
    found = [s for i in range(20) for s in negative_samples(PICTURE, hands, Path(f"{i}.jpg"), "source", judged)]
    assert found and not any(s.is_hand or s.joint_valid.any() for s in found)
    judged.estimator.score = 0.9
    assert negative_samples(PICTURE, hands, Path("a.jpg"), "source", judged) == ()
    assert negative_samples(PICTURE, [], Path("a.jpg"), "source", judged) == ()


def test_folders_without_pictures_are_named(tmp_path, judged):
    with pytest.raises(SourceError, match="no such folder"):
        pictures_in(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no pictures"):
        list(label_folders([tmp_path / "empty"], workers=1))


def test_pictures_without_hands_say_so(tmp_path, judged):
    judged.detector.hands = []
    with pytest.raises(SourceError, match="no hand was found"):
        label([photographs(tmp_path / "a", ["x.jpg"])], tmp_path / "out", workers=1)
